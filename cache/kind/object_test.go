package kind

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime/metrics"
	"strings"
	"testing"
)

// objectOf is an archive with the object of a package, as far as it is read: names, a list of files, one symbol.
func objectOf(symbol, file string) []byte {
	names := symbol + file
	filesAt := uint32(objectHeader + len(names))
	defsAt, end := filesAt+stringRef, filesAt+stringRef+symbolSize
	object := bytes.NewBufferString(objectMagic)
	object.Write(make([]byte, 12))
	offsets := [objectBlocks]uint32{filesAt, filesAt, filesAt, defsAt, defsAt, defsAt, defsAt, end}
	for i := blockNoDefs; i < objectBlocks; i++ {
		offsets[i] = end
	}
	_ = binary.Write(object, binary.LittleEndian, offsets)
	object.WriteString(names)
	_ = binary.Write(object, binary.LittleEndian, []uint32{uint32(len(file)), uint32(objectHeader + len(symbol))})
	_ = binary.Write(object, binary.LittleEndian, []uint32{uint32(len(symbol)), uint32(objectHeader)})
	object.Write(make([]byte, symbolSize-stringRef))
	return archiveOf("_go_.o", "go object linux amd64 go1.26 X:none\nbuild id \"x\"\n\n!\n"+object.String())
}

// archiveOf is an archive whose first member is the one of cgo's, of an odd size.
func archiveOf(name, content string) []byte {
	archive := bytes.NewBufferString(archiveMagic)
	for _, member := range [][2]string{{"__.PKGDEF", "odd"}, {name, content}} {
		fmt.Fprintf(archive, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", member[0], 0, 0, 0, 0o644, len(member[1]), member[1])
		if len(member[1])%2 == 1 {
			archive.WriteByte(0)
		}
	}
	return archive.Bytes()
}

func TestAnArchiveSaysWhichPackageItIs(t *testing.T) {
	t.Parallel()
	named := func(path string) string { return packageSymbol + path }
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"a library":                {objectOf(named("example.com/a/b"), "b.go"), "example.com/a/b"},
		"a program":                {objectOf(named("main"), "/builds/g/p/cmd/app/main.go"), "/builds/g/p/cmd/app"},
		"one built with -trimpath": {objectOf(named("main"), "./main.go"), "main"},
		"a test's program":         {objectOf(named("main"), "_testmain.go"), "main of a test"},
		"another symbol":           {objectOf("example.com/a.F", "a.go"), ""},
		"no object":                {archiveOf("x.o", "ELF"), ""},
		"another format":           {archiveOf("_go_.o", "go object linux amd64 go9\n\n!\n\x00go999ld"), ""},
		"just a beginning":         {[]byte(archiveMagic), ""},
		"nothing":                  {nil, ""},
		"a name that clears":       {objectOf(named("a\x1b[2J"), "a.go"), ""},
		"a very long name":         {objectOf(named(strings.Repeat("a", 501)), "a.go"), ""},
	} {
		if got := packageOf(bytes.NewReader(c.archive), int64(len(c.archive))); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// referring is an archive of a program of which n source files have the same name, of so many bytes.
func referring(n, length int) []byte {
	name, file := packageSymbol+"main", strings.Repeat("a", length)
	files := uint32(objectHeader + len(name) + len(file))
	defs := files + uint32(n)*stringRef
	offsets := [objectBlocks]uint32{blockFiles: files, blockDefs: defs, 4: defs, 5: defs, 6: defs, blockNoDefs: defs + symbolSize}
	object := bytes.NewBufferString(objectMagic)
	object.Write(make([]byte, 12))
	_ = binary.Write(object, binary.LittleEndian, offsets)
	object.WriteString(name + file)
	for range n {
		_ = binary.Write(object, binary.LittleEndian, []uint32{uint32(len(file)), uint32(objectHeader + len(name))})
	}
	_ = binary.Write(object, binary.LittleEndian, []uint32{uint32(len(name)), uint32(objectHeader)})
	object.Write(make([]byte, symbolSize-stringRef))
	return archiveOf("_go_.o", "go object linux amd64 go1.26 X:none\n\n!\n"+object.String())
}

// allocated is how many bytes something takes.
func allocated(do func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	do()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// A job may have written the archive: whatever it is, it is read to its end and no further, and once.
func FuzzPackageOf(f *testing.F) {
	f.Add(referring(5_000, 20_000))
	f.Add(referring(5_000, 4_000))
	f.Add(objectOf(packageSymbol+"example.com/a", "a.go"))
	f.Add(objectOf(packageSymbol+"main", "cmd/a.go")[:200])
	f.Fuzz(func(t *testing.T, archive []byte) {
		var got string
		took := allocated(func() { got = packageOf(bytes.NewReader(archive), int64(len(archive))) })
		if got != "" && !isPrintable(got) {
			t.Errorf("%q", got)
		}
		if most := uint64(2*len(archive) + 2*maxSources*maxName); took > most {
			t.Errorf("%d bytes take %d", len(archive), took)
		}
	})
}

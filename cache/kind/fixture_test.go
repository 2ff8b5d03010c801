package kind

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sys/unix"
)

// h1 is the sum of files by name.
func h1(t *testing.T, files map[string]string) string {
	t.Helper()
	sum, err := dirhash.Hash1(slices.Collect(maps.Keys(files)), func(name string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(files[name])), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// zipped packs files.
func zipped(t testing.TB, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(name)
		if err == nil {
			_, err = io.WriteString(f, files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var spoilt = module.Version{Path: "example.com/spoilt", Version: "v1.2.3"}

// fetch puts a version into the job's cache as Go does, and what go.sum says of it into the job's sums.
func (j *job) fetch(mod module.Version, files map[string]string) {
	j.t.Helper()
	inZip := map[string]string{}
	for name, content := range files {
		inZip[mod.String()+"/"+name] = content
		j.write(j.mods, partFile(mod, partTree)+"/"+name, content)
	}
	j.zip(mod, inZip, zipped(j.t, inZip))
	if mod.Path == toolchain {
		return
	}
	j.write(j.mods, partFile(mod, partMod), files["go.mod"])
	j.write(j.mods, partFile(mod, partInfo), fmt.Sprintf(`{"Version":%q,"Time":"2024-01-01T00:00:00Z"}`, mod.Version))
	j.sums[mod.Path+" "+mod.Version+"/go.mod"] = []string{h1(j.t, map[string]string{"go.mod": files["go.mod"]})}
}

// zip puts a zip there, and the sum that its files have.
func (j *job) zip(mod module.Version, files map[string]string, content string) {
	j.t.Helper()
	sum := h1(j.t, files)
	j.write(j.mods, partFile(mod, partZip), content)
	j.write(j.mods, partFile(mod, partZipHash), sum)
	if j.sums == nil {
		j.sums = Sums{}
	}
	j.sums[mod.Path+" "+mod.Version] = []string{sum}
}

func source(mod module.Version) map[string]string {
	return map[string]string{"go.mod": "module " + mod.Path + "\n", "a.go": "package a\n", "inner/b.go": "package inner\n", "LICENSE": "free\n"}
}

// inZip spoils the zip, and has go.sum agree: it is the job's own.
func inZip(files map[string]string) func(*job) {
	return func(j *job) { j.zip(spoilt, files, zipped(j.t, files)) }
}

// prefixed are the honest files of the spoilt module and one more.
func prefixed(name, content string) map[string]string {
	files := map[string]string{}
	for name, content := range source(spoilt) {
		files[spoilt.String()+"/"+name] = content
	}
	files[name] = content
	return files
}

// tree changes something of the extracted tree.
func tree(name string, with func(file string) error) func(*job) {
	return func(j *job) { j.replace(j.mods, partFile(spoilt, partTree)+"/"+name, with) }
}

func part(part string, with func(file string) error) func(*job) {
	return func(j *job) { j.replace(j.mods, partFile(spoilt, part), with) }
}

func text(content string) func(string) error {
	return func(file string) error { return os.WriteFile(file, []byte(content), 0o600) }
}

func fifo(file string) error   { return syscall.Mkfifo(file, 0o666) }
func device(file string) error { return unix.Mknod(file, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) }
func gone(string) error        { return nil }

func linkTo(target string) func(string) error {
	return func(file string) error { return os.Symlink(target, file) }
}

// holes is a file of 1 TB that takes no room: whoever reads it does not end within the time of a test.
func holes(file string) error {
	return errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 1<<40))
}

func sums(version string, lines ...string) func(*job) {
	return func(j *job) { j.sums[spoilt.Path+" "+version] = lines }
}

// bomb is a small zip of many zeros.
func (j *job) bomb(size uint64) {
	const files = 10
	var packed bytes.Buffer // of one of them, since packing takes longer than the test
	deflate, err := flate.NewWriter(&packed, flate.BestSpeed)
	j.must(err)
	sum := crc32.NewIEEE()
	_, err = io.CopyN(io.MultiWriter(deflate, sum), zeros{}, int64(size/files))
	j.must(errors.Join(err, deflate.Close()))
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := range files {
		f, err := w.CreateRaw(&zip.FileHeader{
			Name: fmt.Sprintf("%s/zeros%d", spoilt, i), Method: zip.Deflate, CRC32: sum.Sum32(),
			CompressedSize64: uint64(packed.Len()), UncompressedSize64: size / files,
		})
		j.must(err)
		_, err = f.Write(packed.Bytes())
		j.must(err)
	}
	j.must(w.Close())
	j.write(j.mods, partFile(spoilt, partZip), out.String())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// lyingZip has a directory that tells of a small file where there are many zeros.
func (j *job) lyingZip() {
	var small, big bytes.Buffer
	for out, size := range map[*bytes.Buffer]int64{&small: 10, &big: 8 << 20} {
		w := zip.NewWriter(out)
		f, err := w.Create(spoilt.String() + "/zeros")
		j.must(err)
		_, err = io.CopyN(f, zeros{}, size)
		j.must(err)
		j.must(w.Close())
	}
	data := big.Bytes()
	directory := bytes.LastIndex(data, []byte("PK\x01\x02"))
	copy(data[directory+24:directory+28], []byte{10, 0, 0, 0}) // the uncompressed size, see APPNOTE.TXT 4.3.12
	j.write(j.mods, partFile(spoilt, partZip), string(data))
}

// manyEntries is a zip with so many files that their names alone are a burden.
func (j *job) manyEntries() {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	long := spoilt.String() + "/" + strings.Repeat("long/", 12_000)
	for i := range 1000 {
		_, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(long, i), Method: zip.Store})
		j.must(err)
	}
	j.must(w.Close())
	j.write(j.mods, partFile(spoilt, partZip), out.String())
}

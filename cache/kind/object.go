package kind

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"path"
	"strconv"
	"strings"
)

// packageOf reads from a package archive that the Go compiler wrote which package it is: an import path, or for a program its folder. It is
// told to people and nothing depends on it, so that an archive of another format, of whose author nothing is believed, is just "".
//
// An archive (cmd/internal/archive) has the compiler's object file as its member _go_.o; the object (cmd/internal/goobj) has a symbol that
// bears the package's path (recordPackageName in cmd/compile/internal/dwarfgen), and a list of source files.
func packageOf(archive io.ReaderAt, size int64) string {
	object, err := goObject(archive, size)
	if err != nil {
		return ""
	}
	if path := object.packagePath(); isPrintable(path) {
		return path
	}
	return ""
}

var errNoObject = errors.New("no Go object of a known format")

// Numbers of the archive format.
const (
	archiveMagic  = "!<arch>\n"
	memberHeader  = 60 // name 16, date 12, uid 6, gid 6, mode 8, size 10, "`\n"
	textHeaderMax = 4096
	maxMembers    = 16 // that are looked at: the compiler's object is the second
)

// goObject finds the object file in an archive.
func goObject(archive io.ReaderAt, size int64) (*goobj, error) {
	header := make([]byte, memberHeader)
	at := int64(len(archiveMagic))
	for member := 0; member < maxMembers && at+memberHeader <= size; member++ {
		if _, err := archive.ReadAt(header, at); err != nil {
			return nil, err
		}
		length, err := strconv.ParseInt(strings.TrimSpace(string(header[48:58])), 10, 64)
		if err != nil || length < 0 || string(header[58:]) != "`\n" {
			return nil, errNoObject
		}
		at += memberHeader
		if strings.TrimRight(string(header[:16]), " /") == "_go_.o" {
			return openObject(io.NewSectionReader(archive, at, min(length, size-at)))
		}
		at += length + length&1
	}
	return nil, errNoObject
}

// goobj is an object file of the compiler, up to the end of what it defines.
type goobj struct {
	data    []byte // from the magic on
	offsets [objectBlocks]uint32
}

// Numbers of the object file format, unchanged since Go 1.20.
const (
	objectMagic  = "\x00go120ld"
	objectBlocks = 19
	objectHeader = len(objectMagic) + 8 + 4 + 4*objectBlocks
	blockFiles   = 2
	blockDefs    = 3 // and the three after it: all symbols that the object defines
	blockNoDefs  = 7
	symbolSize   = 21 // of which a reference to the name comes first
	stringRef    = 8  // length, offset
	maxObject    = 64 << 20
	maxName      = 4096 // bytes: the longest path of a file
	maxSources   = 1000 // that are looked at for one with a folder
)

// packageSymbol comes before the path in the symbol's name.
const packageSymbol = "go:cuinfo.packagename."

func openObject(member *io.SectionReader) (*goobj, error) {
	start := make([]byte, textHeaderMax)
	n, err := member.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	_, rest, found := bytes.Cut(start[:n], []byte("\n!\n")) // the text that go tool buildid reads
	if !found || !bytes.HasPrefix(rest, []byte(objectMagic)) || len(rest) < objectHeader {
		return nil, errNoObject
	}
	o := &goobj{}
	if err := binary.Read(bytes.NewReader(rest[len(objectMagic)+8+4:]), binary.LittleEndian, &o.offsets); err != nil {
		return nil, err
	}
	begin, length := int64(n-len(rest)), int64(o.offsets[blockNoDefs]) // names come before all blocks
	if length < int64(objectHeader) || length > min(maxObject, member.Size()-begin) {
		return nil, errNoObject
	}
	o.data = make([]byte, length)
	_, err = member.ReadAt(o.data, begin)
	return o, err
}

func (o *goobj) packagePath() string {
	for name := range o.names(blockDefs, blockNoDefs, symbolSize) {
		if path, ok := bytes.CutPrefix(name, []byte(packageSymbol)); ok {
			return o.orFolder(string(path))
		}
	}
	return ""
}

// orFolder gives programs, which all have the path main, the folder of their first source file.
func (o *goobj) orFolder(name string) string {
	if name != "main" {
		return name
	}
	seen := 0
	for file := range o.names(blockFiles, blockDefs, stringRef) {
		if seen++; seen > maxSources {
			break
		}
		switch dir, base := path.Split(string(file)); {
		case base == "_testmain.go": // that go test makes
			return "main of a test"
		case path.Clean(dir) != ".":
			return path.Clean(dir)
		}
	}
	return name
}

// names gives the names of the elements of some blocks. Each begins with a reference to it. Many may refer to the same one, so that what is too
// long for a name is passed over, lest somebody looks at it as often.
func (o *goobj) names(from, to, size int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		whole := int64(len(o.data))
		for at := int64(o.offsets[from]); at+int64(size) <= min(int64(o.offsets[to]), whole); at += int64(size) {
			length, begin := int64(binary.LittleEndian.Uint32(o.data[at:])), int64(binary.LittleEndian.Uint32(o.data[at+4:]))
			if begin+length > whole {
				return
			}
			if length <= maxName && !yield(o.data[begin:begin+length]) {
				return
			}
		}
	}
}

// isPrintable refuses what would mislead a terminal: a job may have written the archive.
func isPrintable(s string) bool {
	return s != "" && len(s) <= 500 && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}

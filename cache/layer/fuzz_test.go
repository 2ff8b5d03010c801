package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"
)

// FuzzTar writes a layer of files whose names a job gave. What is written is read back as it is, and below the tree: nothing comes twice, or is a
// file here and a folder there, which the image writer would not refuse.
func FuzzTar(f *testing.F) {
	f.Add("a\na/b", []byte("x"), int64(0))
	f.Add("a/b\na/c\nd", []byte("content"), int64(1<<32-1))
	f.Add("../x", []byte(""), int64(1))
	f.Add("/etc/passwd", []byte(""), int64(-1))
	f.Add("a\na", []byte(""), int64(1<<32))
	f.Add("ä\x00", []byte(nil), int64(1))
	f.Add(strings.Repeat("d/", 200)+"f\n.\n", []byte("x"), int64(1))
	f.Fuzz(func(t *testing.T, names string, content []byte, when int64) {
		files := func(yield func(File, error) bool) {
			for name := range strings.SplitSeq(names, "\n") {
				open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
				if !yield(File{Name: name, Mode: 0o444, ModTime: time.Unix(when, 0), Size: int64(len(content)), Open: open}, nil) {
					return
				}
			}
		}
		var out bytes.Buffer
		if err := writeTar(t.Context(), &out, []byte("index"), files); err != nil {
			return
		}
		kinds := map[string]fs.FileMode{}
		count := 0
		for r := tar.NewReader(&out); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // its end is not written
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimSuffix(h.Name, "/")
			if _, twice := kinds[name]; twice || !fs.ValidPath(name) || name != Index && name != Tree && !strings.HasPrefix(name, Tree+"/") {
				t.Errorf("%q is in the layer", h.Name)
			}
			kinds[name] = h.FileInfo().Mode().Type()
			if kinds[name].IsRegular() && name != Index {
				count++
				if data, err := io.ReadAll(r); err != nil || !bytes.Equal(data, content) || h.ModTime.Unix() != when {
					t.Errorf("%q has %q of %v, %v", name, data, h.ModTime, err)
				}
			}
		}
		for name := range kinds {
			if dir := path.Dir(name); dir != "." && !kinds[dir].IsDir() {
				t.Errorf("%q is in %q, which is no folder", name, dir)
			}
		}
		if count != strings.Count(names, "\n")+1 {
			t.Errorf("%d files of %q", count, names)
		}
	})
}

package layer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer/layertest"
)

func TestEqualInputGivesAnEqualLayerAtAnyTime(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	var digests []string
	for range 2 {
		info, err := f.Host.Write(t.Context(), []byte("index"), goroot(t, "src/net"))
		f.Must(err)
		digests = append(digests, info.Digest)
		f.Must(f.Host.Remove(info.Digest))
		time.Sleep(1100 * time.Millisecond) // squashfs has whole seconds
	}
	if digests[0] != digests[1] {
		t.Errorf("the digests differ: %q", digests)
	}
}

// goroot gives the files below a folder of the Go installation, which every test has.
func goroot(tb testing.TB, dir string) iter.Seq2[layer.File, error] {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		tb.Fatal(err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), dir)
	return func(yield func(layer.File, error) bool) {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			file := layer.File{
				Name: name, Mode: info.Mode(), ModTime: layertest.Time, Size: info.Size(),
				Open: func() (io.ReadCloser, error) { return os.Open(path) },
			}
			if !yield(file, err) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(layer.File{}, err)
		}
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	content := map[string]string{
		"big": strings.Repeat("0123456789abcdef", 100_000), "empty": "", "a\nb": "newline", `back\slash`: "x", "ünï/cödé": "x",
		strings.Repeat("d", 200) + "/" + strings.Repeat("f", 200): "long names", strings.Repeat("deep/", 40) + "f": "x", " ": "blank",
	}
	dir, err := f.Driver.Layer(t.Context(), f.Write(content))
	f.Must(err)
	for name, want := range content {
		if got, err := os.ReadFile(filepath.Join(dir, layer.Tree, name)); err != nil || string(got) != want {
			t.Errorf("%.40q has %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
}

func TestAWriteThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	good := layertest.File("good", "x")
	change := func(do func(*layer.File)) layer.File {
		f := layertest.File("bad", "content")
		do(&f)
		return f
	}
	boom := errors.New("boom")
	for name, files := range map[string]iter.Seq2[layer.File, error]{
		"content shorter than told":    layertest.Files(good, change(func(f *layer.File) { f.Size++ }), good),
		"content longer than told":     layertest.Files(good, change(func(f *layer.File) { f.Size-- })),
		"a file that cannot be opened": layertest.Files(change(func(f *layer.File) { f.Open = func() (io.ReadCloser, error) { return nil, boom } })),
		"a file that cannot be read": layertest.Files(change(func(f *layer.File) {
			f.Open = func() (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("con"), broken{boom})), nil
			}
		})),
		"an error of the files":         func(yield func(layer.File, error) bool) { _ = yield(good, nil) && yield(layer.File{}, boom) },
		"a name twice":                  layertest.Files(good, good),
		"a file that is a folder":       layertest.Files(good, layertest.File("good/x", "")),
		"a folder that is a file":       layertest.Files(layertest.File("good/x", ""), good),
		"a name that leads out":         layertest.Files(layertest.File("../x", "")),
		"an absolute name":              layertest.Files(layertest.File("/x", "")),
		"a name that is no text":        layertest.Files(layertest.File("\xff", "")),
		"no name":                       layertest.Files(layertest.File(".", "")),
		"a time that squashfs lacks":    layertest.Files(change(func(f *layer.File) { f.ModTime = time.Unix(1<<32, 0) })),
		"a time before that of Unix":    layertest.Files(change(func(f *layer.File) { f.ModTime = time.Unix(-1, 0) })),
		"much content, then an error":   func(yield func(layer.File, error) bool) { _ = yield(zeros(64<<20), nil) && yield(layer.File{}, boom) },
		"less content than a big size":  layertest.Files(change(func(f *layer.File) { f.Size = 1 << 30 })),
		"an endless file of small size": layertest.Files(change(func(f *layer.File) { f.Open = func() (io.ReadCloser, error) { return os.Open("/dev/zero") } })),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := layertest.New(t, newImage)
			info, err := f.Host.Write(t.Context(), nil, files)
			if err == nil {
				t.Fatalf("no error, and layer %+v", info)
			}
			if strings.HasPrefix(name, "content") && !strings.Contains(err.Error(), `"bad"`) {
				t.Errorf("the error does not name the file: %v", err)
			}
			wantsNothing(t, f.Host)
		})
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func zeros(size int64) layer.File {
	f := layertest.File("zeros", "")
	f.Size = size
	f.Open = func() (io.ReadCloser, error) {
		zero, err := os.Open("/dev/zero")
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(zero, size), zero}, err
	}
	return f
}

func wantsNothing(t *testing.T, h layer.Host) {
	t.Helper()
	if entries, err := os.ReadDir(filepath.Join(h.Dir, "layers")); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// goneAfter is a pipe whose reader ends once it has so many bytes.
type goneAfter int

func (left *goneAfter) Write(p []byte) (int, error) {
	if len(p) > int(*left) {
		return 0, syscall.EPIPE
	}
	*left -= goneAfter(len(p))
	return len(p), nil
}

// A host with much to do runs sqfstar to its end before the second block of the tar's end is written.
func TestAReaderMayLeaveAtTheEndOfATarAndNotBefore(t *testing.T) {
	t.Parallel()
	for read, want := range map[int]error{1999: syscall.EPIPE, 2000: nil, 2512: nil, 4000: nil} {
		left := goneAfter(read)
		err := layer.Pour(&left, func(w io.Writer) error {
			_, err := w.Write(make([]byte, 2000))
			return err
		})
		if !errors.Is(err, want) {
			t.Errorf("a reader of %d bytes: %v, want %v", read, err, want)
		}
	}
}

func TestAWriteEndsSoonAfterItsContext(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("the time is over")
	began := time.Now()
	endless := zeros(1 << 40)
	open := endless.Open
	endless.Open = func() (io.ReadCloser, error) {
		time.AfterFunc(100*time.Millisecond, func() { cancel(over) })
		return open()
	}
	if _, err := f.Host.Write(ctx, nil, layertest.Files(endless)); !errors.Is(err, over) {
		t.Errorf("got error %v, want %v", err, over)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	wantsNothing(t, f.Host)
}

// smallFiles are like the entries of Go's build cache that say which output an action has: 175 bytes each, in 256 folders.
func smallFiles(n int) iter.Seq2[layer.File, error] {
	return func(yield func(layer.File, error) bool) {
		content := bytes.Repeat([]byte("x"), 175)
		for i := range n {
			name := fmt.Sprintf("%02x/%064x-a", i%256, i)
			copy(content, name)
			f := layertest.File(name, string(content))
			if !yield(f, nil) {
				return
			}
		}
	}
}

func TestFourTimesTheSmallFilesDoNotTakeTenTimesAsLong(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	took := func(n int) time.Duration {
		began := time.Now()
		_, err := f.Host.Write(t.Context(), nil, smallFiles(n))
		f.Must(err)
		return time.Since(began)
	}
	few := max(took(10_000), 200*time.Millisecond) // below that, it is the start of the process
	if many := took(40_000); many > 10*few {
		t.Errorf("10 000 files took %v, 40 000 took %v", few, many)
	}
}

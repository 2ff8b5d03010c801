package goenv

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// cImage makes the files of an image's C side.
func cImage(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"usr/include/limit.h": "#define LIMIT 1", "usr/include/c++/12/vector": "template", "usr/include/x86_64-linux-gnu/sys/a.h": "a",
		"usr/lib/x86_64-linux-gnu/libfoo.so.1.2": "foo", "usr/lib/x86_64-linux-gnu/libfoo.a": "foo", "usr/lib/x86_64-linux-gnu/crt1.o": "crt",
		"usr/lib/x86_64-linux-gnu/pkgconfig/foo.pc": "foo", "usr/share/pkgconfig/bar.pc": "bar", "usr/lib/gcc/12/cc1": "cc1",
		"usr/lib/x86_64-linux-gnu/ldscripts/elf.x": "elf", "usr/bin/x86_64-linux-gnu-gcc-12": "gcc", "usr/bin/ld.bfd": "ld",
		"opt/sdk/1.0/include/README": "sdk", "usr/aarch64-linux-gnu/lib/libc.so.6": "libc", "usr/local/lib/libbar.so": "GROUP ( libbar.so.1 )",
		"lib/libold.so.1": "old",

		"usr/bin/python3": "python", "usr/share/doc/foo/example.h": "doc", "usr/lib/python3/foo.py": "foo", "etc/ld.so.cache": "cache",
		"usr/include/python/__pycache__/x.pyc": "pyc", "usr/local/go/src/runtime/asm.h": "go", "home/u/a.h": "home", "usr/lib/os-release": "os",
	} {
		put(t, root, name, content)
	}
	if err := os.Symlink("libfoo.so.1.2", root+"/usr/lib/x86_64-linux-gnu/libfoo.so"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", root+"/usr/include/loop"); err != nil {
		t.Fatal(err)
	}
	return root
}

func put(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func taken(t *testing.T, root string) string {
	t.Helper()
	c := machineC{root: root, dirs: cDirs, skip: append([]string{"/usr/local/go"}, noCDirs...), about: "gcc 12"}
	sum, err := c.fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestTheFingerprintTellsCSidesApart(t *testing.T) {
	t.Parallel()
	write := func(name, content string) func(t *testing.T, root string) {
		return func(t *testing.T, root string) { put(t, root, name, content) }
	}
	for name, change := range map[string]func(t *testing.T, root string){
		"a header changes and keeps its size": write("usr/include/limit.h", "#define LIMIT 2"),
		"a C++ header without an extension":   write("usr/include/c++/12/vector", "temp1ate"),
		"a header below":                      write("usr/include/x86_64-linux-gnu/sys/a.h", "b"),
		"a shared library":                    write("usr/lib/x86_64-linux-gnu/libfoo.so.1.2", "fox"),
		"a static library":                    write("usr/lib/x86_64-linux-gnu/libfoo.a", "fox"),
		"an object":                           write("usr/lib/x86_64-linux-gnu/crt1.o", "crx"),
		"a pkg-config file":                   write("usr/lib/x86_64-linux-gnu/pkgconfig/foo.pc", "fox"),
		"a shared pkg-config file":            write("usr/share/pkgconfig/bar.pc", "box"),
		"the compiler behind the compiler":    write("usr/lib/gcc/12/cc1", "cc2"),
		"the compiler":                        write("usr/bin/x86_64-linux-gnu-gcc-12", "gcx"),
		"the linker":                          write("usr/bin/ld.bfd", "lx"),
		"a linker's script":                   write("usr/lib/x86_64-linux-gnu/ldscripts/elf.x", "elx"),
		"what lies among headers of an SDK":   write("opt/sdk/1.0/include/README", "sdx"),
		"a library for another processor":     write("usr/aarch64-linux-gnu/lib/libc.so.6", "libx"),
		"a library that is a linker's script": write("usr/local/lib/libbar.so", "GROUP ( libbar.so.2 )"),
		"a library outside of /usr":           write("lib/libold.so.1", "new"),
		"a new header":                        write("usr/include/new.h", ""),
		"a header that goes": func(t *testing.T, root string) {
			if err := os.Remove(root + "/usr/include/limit.h"); err != nil {
				t.Fatal(err)
			}
		},
		"a header that moves": func(t *testing.T, root string) {
			if err := os.Rename(root+"/usr/include/limit.h", root+"/usr/include/limits.h"); err != nil {
				t.Fatal(err)
			}
		},
		"a link that points elsewhere": func(t *testing.T, root string) {
			link := root + "/usr/lib/x86_64-linux-gnu/libfoo.so"
			if err := errors.Join(os.Remove(link), os.Symlink("libfoo.so.1.3", link)); err != nil {
				t.Fatal(err)
			}
		},
		"a link that becomes what it pointed to": func(t *testing.T, root string) {
			link := root + "/usr/lib/x86_64-linux-gnu/libfoo.so"
			if err := os.Remove(link); err != nil {
				t.Fatal(err)
			}
			put(t, root, "usr/lib/x86_64-linux-gnu/libfoo.so", "libfoo.so.1.2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := cImage(t)
			before := taken(t, root)
			change(t, root)
			if taken(t, root) == before {
				t.Error("it is the same")
			}
		})
	}
}

func TestTheFingerprintSurvivesAnotherBuildOfTheSameImage(t *testing.T) {
	t.Parallel()
	root, again := cImage(t), cImage(t)
	want := taken(t, root)
	if got := taken(t, again); got != want {
		t.Fatalf("elsewhere: got %s, want %s", got, want)
	}
	for _, name := range []string{
		"usr/bin/python3", "usr/share/doc/foo/example.h", "usr/lib/python3/foo.py", "etc/ld.so.cache", "usr/include/python/__pycache__/x.pyc",
		"usr/local/go/src/runtime/asm.h", "home/u/a.h", "usr/lib/os-release", "usr/lib/new.py", "var/lib/new.so",
	} {
		put(t, again, name, "another one")
		if got := taken(t, again); got != want {
			t.Errorf("with another %s: got %s, want %s", name, got, want)
		}
	}
	header := again + "/usr/include/limit.h"
	when := time.Unix(1, 0)
	err := errors.Join(os.Chtimes(header, when, when), os.Chmod(header, 0o600), os.Chown(header, 1000, 1000),
		os.Mkdir(again+"/usr/include/empty", 0o700))
	if err != nil {
		t.Fatal(err)
	}
	if got := taken(t, again); got != want {
		t.Errorf("with other times, modes and owners: got %s, want %s", got, want)
	}
}

func TestWhatTheCompilerSaysIsPartOfTheFingerprint(t *testing.T) {
	t.Parallel()
	one, err := machineC{about: "gcc 12.2.0"}.fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if other, err := (machineC{about: "gcc 12.2.1"}).fingerprint(t.Context()); err != nil || one == other {
		t.Errorf("got %s for both, %v", other, err)
	}
}

func TestAFolderThatIsNamedTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	root := cImage(t)
	c := machineC{root: root, dirs: append([]string{"/usr/include/", "/", "/proc", "/no/such/folder", "/usr/include/limit.h"}, cDirs...), about: "gcc 12"}
	c.skip = append([]string{"/usr/local/go"}, noCDirs...)
	if got, err := c.fingerprint(t.Context()); err != nil || got != taken(t, root) {
		t.Errorf("got %s, %v, want %s", got, err, taken(t, root))
	}
}

// A sparse file costs an image nothing, and whoever reads it a day.
func TestAFileWithoutEndIsLeftWithTheContext(t *testing.T) {
	t.Parallel()
	root := cImage(t)
	if err := os.Truncate(root+"/usr/lib/x86_64-linux-gnu/libfoo.a", 8<<40); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("waited long enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, enough)
	defer cancel()
	start := time.Now()
	_, err := machineC{root: root, dirs: cDirs}.fingerprint(ctx)
	if took := time.Since(start); !errors.Is(err, enough) || took > 2*time.Second {
		t.Errorf("after %s: %v", took, err)
	}
}

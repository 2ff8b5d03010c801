package goenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// image is a machine that has the real go command on its PATH, and of commands nothing else but what a test adds.
func image(t *testing.T, environ ...string) (m machine, bin string) {
	t.Helper()
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	bin = t.TempDir()
	if err := os.Symlink(goCommand, filepath.Join(bin, "go")); err != nil {
		t.Fatal(err)
	}
	// Go's telemetry would write to the home by a process of its own, when the test has ended.
	home := t.TempDir()
	telemetry := filepath.Join(home, ".config", "go", "telemetry")
	if err := os.MkdirAll(telemetry, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(telemetry, "mode"), []byte("off"), 0o644); err != nil {
		t.Fatal(err)
	}
	return machine{environ: append([]string{"PATH=" + bin, "HOME=" + home, "GOENV=off"}, environ...)}, bin
}

func TestAGoThatTheEntrypointPutsOnThePathIsFoundWhereItIsInstalled(t *testing.T) {
	t.Parallel()
	m, bin := image(t)
	elsewhere := filepath.Join(t.TempDir(), "go")
	if err := os.Rename(filepath.Join(bin, "go"), elsewhere); err != nil {
		t.Fatal(err)
	}
	if got := probed(t, m); got.Go != "" {
		t.Errorf("got %s, where there is no Go", got.Go)
	}
	m.otherGo = elsewhere
	if got := probed(t, m); got.Go != runtime.Version() {
		t.Errorf("got %q, want %s", got.Go, runtime.Version())
	}
	script(t, filepath.Join(bin, "go"), `echo '{"GOVERSION": "go1.2.3"}'`)
	if got := probed(t, m); got.Go != "go1.2.3" {
		t.Errorf("got %q, want the one on the PATH", got.Go)
	}
}

// script adds a command to a machine.
func script(t *testing.T, path, text string) {
	t.Helper()
	// Written by another process: while this one has a script open for writing, a child of another test may hold it open too, and
	// it cannot be run (ETXTBSY, go.dev/issue/22315).
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `cat >"$1" && chmod 0755 "$1"`, "sh", path)
	cmd.Stdin = strings.NewReader("#!/bin/sh\n" + text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// fakeCompiler is a gcc whose headers are in a folder.
func fakeCompiler(t *testing.T, path, headers string) {
	t.Helper()
	script(t, path, `case "$*" in
*--version) echo "gcc (test) 12.2.0" ;;
*-E*) [ "$LC_ALL" = C ] && printf '%s\n' '#include <...> search starts here:' ' `+headers+`' 'End of search list.' >&2 ;;
*) exit 1 ;;
esac
`)
}

func probed(t *testing.T, m machine) Image {
	t.Helper()
	i, err := m.probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestTheGoOfAnImageIsFound(t *testing.T) {
	t.Parallel()
	m, _ := image(t)
	got := probed(t, m)
	if got.Go != runtime.Version() {
		t.Errorf("got %s, want %s", got.Go, runtime.Version())
	}
	if got.C != "" {
		t.Error("an image without a C compiler has a C side")
	}
	for name, want := range map[string]string{
		"GOOS": runtime.GOOS, "GOARCH": runtime.GOARCH, "GOHOSTOS": runtime.GOOS, "GOHOSTARCH": runtime.GOARCH, "CC": "gcc",
		"GOFIPS140": "off", "CGO_ENABLED": "",
	} {
		if got.Env[name] != want {
			t.Errorf("%s: got %q, want %q", name, got.Env[name], want)
		}
	}
}

func TestWhatAnImageSaysOfItselfArrivesOnTheHost(t *testing.T) {
	t.Parallel()
	m, bin := image(t, "GOEXPERIMENT=jsonv2")
	fakeCompiler(t, filepath.Join(bin, "gcc"), t.TempDir())
	want := probed(t, m)
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadImage(bytes.NewReader(data))
	if err != nil || !reflect.DeepEqual(got, want) || got.Env["GOEXPERIMENT"] != "jsonv2" || len(got.C) != 64 {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestAFolderIsNoCommand(t *testing.T) {
	t.Parallel()
	m, bin := image(t)
	other := t.TempDir()
	if err := os.Mkdir(filepath.Join(other, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.environ = append(m.environ, "PATH="+other+":"+bin)
	if got := probed(t, m); got.Go != runtime.Version() {
		t.Errorf("got %+v", got)
	}
}

func TestAnImageWithoutGoHasNone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	foreign := t.TempDir() // for another processor, or without its interpreter
	if err := os.WriteFile(filepath.Join(foreign, "go"), []byte("\x7fELF of another machine"), 0o755); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	script(t, filepath.Join(broken, "go"), "echo 'go: cannot find GOROOT directory' >&2; exit 2")
	orphan := t.TempDir()
	script(t, filepath.Join(orphan, "go"), "")
	if err := os.WriteFile(filepath.Join(orphan, "go"), []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"no PATH": "", "an empty folder": t.TempDir(), "a folder of that name": folder, "not for this machine": foreign, "broken": broken,
		"no interpreter": orphan, "a relative folder": "bin:.",
	} {
		if got := probed(t, machine{environ: []string{"PATH=" + path}}); got.Go != "" || got.C != "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// Whatever GOTOOLCHAIN asks for is not here, and must not be fetched to be asked.
func TestTheImagesOwnGoAnswersWhateverToolchainItAsksFor(t *testing.T) {
	t.Parallel()
	m, _ := image(t, "GOTOOLCHAIN=go1.99.0", "GOPROXY=off")
	got := probed(t, m)
	if got.Go != runtime.Version() || got.Env["GOTOOLCHAIN"] != "go1.99.0" {
		t.Errorf("got %+v", got)
	}
}

func TestCgoIsKnownToBeSetOrLeftToGo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		environ  string
		compiler bool
		want     string
	}{
		{"", true, ""},
		{"", false, ""},
		{"CGO_ENABLED=1", true, "1"},
		{"CGO_ENABLED=1", false, "1"},
		{"CGO_ENABLED=0", true, "0"},
		{"GOARCH=s390x", true, ""},
		{"GOOS=windows", false, ""},
	} {
		t.Run(fmt.Sprint(test.environ, test.compiler), func(t *testing.T) {
			t.Parallel()
			m, bin := image(t, test.environ)
			if test.compiler {
				fakeCompiler(t, filepath.Join(bin, "gcc"), t.TempDir())
			}
			if got := probed(t, m).Env["CGO_ENABLED"]; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTheHeadersThatTheCompilerNamesArePartOfTheCSide(t *testing.T) {
	t.Parallel()
	m, bin := image(t, `CC="my gcc" -m64`, "LC_ALL=de_DE.UTF-8")
	headers := filepath.Join(t.TempDir(), "sdk")
	if err := os.Mkdir(headers, 0o755); err != nil {
		t.Fatal(err)
	}
	fakeCompiler(t, filepath.Join(bin, "my gcc"), headers)
	c := func(value string) string {
		if err := os.WriteFile(filepath.Join(headers, "limit.h"), []byte("#define LIMIT "+value), 0o644); err != nil {
			t.Fatal(err)
		}
		return probed(t, m).C
	}
	one, two, again := c("1"), c("2"), c("1")
	if one == "" || one == two || one != again {
		t.Errorf("got %q, %q, and then %q", one, two, again)
	}
}

func TestACompilerThatDoesNotRunIsNone(t *testing.T) {
	t.Parallel()
	m, bin := image(t)
	script(t, filepath.Join(bin, "gcc"), "exit 127")
	if got := probed(t, m); got.C != "" || got.Go == "" {
		t.Errorf("got %+v", got)
	}
}

func TestAnImageThatHangsIsLeftWithTheContext(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	script(t, filepath.Join(bin, "go"), "/bin/sleep 7 & wait") // the child keeps the output open
	hung := errors.New("waited long enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, hung)
	defer cancel()
	start := time.Now()
	_, err := machine{environ: []string{"PATH=" + bin}}.probe(ctx)
	if took := time.Since(start); !errors.Is(err, hung) || took > 5*time.Second {
		t.Errorf("after %s: %v", took, err)
	}
}

// An error is tried again; an image without Go is remembered.
func TestAGoThatIsKilledIsNotAnImageWithoutGo(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	script(t, filepath.Join(bin, "go"), "kill -9 $$")
	if got, err := (machine{environ: []string{"PATH=" + bin}}).probe(t.Context()); err == nil {
		t.Errorf("got %+v", got)
	}
}

func TestAnImageCannotMakeItsHostReadAnything(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":              "",
		"no JSON":              "go1.26.8",
		"a list":               "[]",
		"padded":               `{"go":"go1.26.8"}` + strings.Repeat(" ", 1<<20),
		"endless":              `{"go":"go1.26.8","env":{"CC":"` + strings.Repeat("x", 1<<20) + `"}}`,
		"a long value":         `{"go":"go1.26.8","env":{"CC":"` + strings.Repeat("x", 1025) + `"}}`,
		"a line in a value":    `{"go":"go1.26.8","env":{"GOOS":"linux\nINFO all is well"}}`,
		"an escape in a value": `{"go":"go1.26.8","env":{"GOOS":"\u001b[2J"}}`,
		"another variable":     `{"go":"go1.26.8","env":{"LD_PRELOAD":"x"}}`,
		"a version that is no": `{"go":"../../x","env":{},"c":""}`,
		"a fingerprint":        `{"go":"go1.26.8","c":"../../../etc"}`,
		"capital letters":      `{"go":"go1.26.8","c":"` + strings.Repeat("A", 64) + `"}`,
	} {
		if got, err := ReadImage(strings.NewReader(text)); err == nil {
			t.Errorf("%s: got %+v", name, got)
		} else if len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\x1b") {
			t.Errorf("%s: the error is not fit for a log: %q", name, err)
		}
	}
	m, bin := image(t)
	if err := os.Remove(filepath.Join(bin, "go")); err != nil {
		t.Fatal(err)
	}
	script(t, filepath.Join(bin, "go"), `printf '%s' '{"GOVERSION":"go1.26.8","GOOS":"li\nnux"}'`)
	if got, err := m.probe(t.Context()); err == nil {
		t.Errorf("probe: got %+v", got)
	}
}

func TestGccNamesItsFolders(t *testing.T) {
	t.Parallel()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := machine{environ: []string{"PATH=" + os.Getenv("PATH"), "CPATH=/opt/sdk:" + t.TempDir()}}.compilerReads(t.Context(), []string{gcc})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(dirs, "/usr/include") || !slices.Contains(dirs, "/usr/lib/") {
		t.Errorf("got %q", dirs)
	}
}

func TestCommandsAreSplitAsGoDoes(t *testing.T) {
	t.Parallel()
	for command, want := range map[string][]string{
		"": nil, "  ": nil, "gcc": {"gcc"}, " gcc  -m32\t-g ": {"gcc", "-m32", "-g"}, `"/opt/my gcc/cc" '-D x'`: {"/opt/my gcc/cc", "-D x"},
		`a"b c`: {`a"b`, "c"}, `'open end`: {"open end"}, `""`: {""}, `"a"b`: {"a", "b"},
	} {
		if got := words(command); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
}

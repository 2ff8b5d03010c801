package goenv

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

const someC = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// golang is what a common image says of itself.
func golang(c string, env ...string) Image {
	i := Image{Go: "go1.26.8", C: c, Env: map[string]string{
		"GOOS": "linux", "GOARCH": "amd64", "GOHOSTOS": "linux", "GOHOSTARCH": "amd64", "GOAMD64": "v1", "CC": "gcc", "GOTOOLCHAIN": "auto",
		"GOFIPS140": "off",
	}}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		i.Env[name] = value
	}
	return i
}

func variables(entries string) map[string]string {
	vars := map[string]string{}
	for _, entry := range strings.Fields(entries) {
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	return vars
}

func TestThePlatformIsWhatTheJobCompilesFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		image Image
		vars  string
		want  string
	}{
		{golang(""), "", "linux-amd64-v1"},
		{golang(someC), "", "linux-amd64-v1-cgo-0123456789ab"},
		{golang(someC), "CGO_ENABLED=0", "linux-amd64-v1"},
		{golang(someC), "CGO_ENABLED=", "linux-amd64-v1-cgo-0123456789ab"},
		{golang(someC), "CGO_ENABLED=yes", "linux-amd64-v1-cgo-0123456789ab"},
		{golang(someC, "CGO_ENABLED=0"), "", "linux-amd64-v1"},
		{golang(someC, "CGO_ENABLED=0"), "CGO_ENABLED= GOOS= GOAMD64=", "linux-amd64-v1"},
		{golang(someC, "CGO_ENABLED=0"), "CGO_ENABLED=1", "linux-amd64-v1-cgo-0123456789ab"},
		{golang(""), "CGO_ENABLED=1", "linux-amd64-v1-cgo-unknown"},
		{golang(""), "CC=clang", "linux-amd64-v1-cgo-unknown"},

		{golang(someC), "GOOS=windows", "windows-amd64-v1"},
		{golang(someC), "GOARCH=arm64", "linux-arm64-v8.0"},
		{golang(someC), "GOARCH=arm64 CGO_ENABLED=1", "linux-arm64-v8.0-cgo-0123456789ab"},
		{golang(someC, "CGO_ENABLED=1"), "GOARCH=arm64", "linux-arm64-v8.0-cgo-0123456789ab"},
		{golang(someC, "GOARCH=arm64"), "", "linux-arm64-v8.0"},
		{golang(someC, "GOARCH=arm64"), "GOARCH=amd64", "linux-amd64-v1-cgo-0123456789ab"},
		{golang(someC), "GOOS=linux GOARCH=amd64", "linux-amd64-v1-cgo-0123456789ab"},

		{golang(""), "GOAMD64=v1", "linux-amd64-v1"},
		{golang(""), "GOAMD64=v3", "linux-amd64-v3"},
		{golang("", "GOAMD64=v3"), "", "linux-amd64-v3"},
		{golang("", "GOAMD64=v3"), "GOAMD64=v2", "linux-amd64-v2"},
		{golang(""), "GOAMD64=v3 GOARCH=arm64", "linux-arm64-v8.0"},
		{golang(""), "GOARCH=386", "linux-386-sse2"},
		{golang(""), "GOARCH=386 GO386=softfloat", "linux-386-softfloat"},
		{golang(""), "GOARCH=arm", "linux-arm-7-hardfloat"},
		{golang(""), "GOARCH=arm GOARM=7", "linux-arm-7-hardfloat"},
		{golang(""), "GOARCH=arm GOARM=7,hardfloat", "linux-arm-7-hardfloat"},
		{golang(""), "GOARCH=arm GOARM=6,softfloat", "linux-arm-6-softfloat"},
		{golang(""), "GOARCH=arm GOARM=5", "linux-arm-5-softfloat"},
		{golang(""), "GOARCH=arm64 GOARM64=v8.0,crypto,lse", "linux-arm64-v8.0-crypto-lse"},
		{golang(""), "GOARCH=arm64 GOARM64=v8.0,lse,crypto", "linux-arm64-v8.0-crypto-lse"},
		{golang(""), "GOARCH=arm64 GOARM64=v8.2", "linux-arm64-v8.2-lse"},
		{golang(""), "GOARCH=arm64 GOARM64=v8.2,lse", "linux-arm64-v8.2-lse"},
		{golang(""), "GOARCH=mipsle", "linux-mipsle-hardfloat"},
		{golang(""), "GOARCH=mips64 GOMIPS=softfloat", "linux-mips64-hardfloat"},
		{golang(""), "GOARCH=mips64 GOMIPS64=softfloat", "linux-mips64-softfloat"},
		{golang(""), "GOARCH=ppc64le GOPPC64=power10", "linux-ppc64le-power10"},
		{golang(""), "GOARCH=riscv64", "linux-riscv64-rva20u64"},
		{golang(""), "GOARCH=s390x", "linux-s390x"},
		{golang(""), "GOOS=js GOARCH=wasm", "js-wasm"},
		{golang(""), "GOOS=js GOARCH=wasm GOWASM=signext,satconv", "js-wasm-satconv-signext"},
		{golang("", "GOFIPS140=off"), "GOFIPS140=off", "linux-amd64-v1"},

		{golang(someC), "GOOS=darwin GOARCH=arm64", "darwin-arm64-v8.0"},
		{golang(someC), "GOOS=darwin GOARCH=amd64 GOAMD64=v2", "darwin-amd64-v2"},
		{golang(someC), "GOOS=android GOARCH=arm64 CGO_ENABLED=1", "android-arm64-v8.0-cgo-0123456789ab"},
		{golang(someC), "GOAMD64=v3", "linux-amd64-v3-cgo-0123456789ab"},
		{golang(someC), "GOFLAGS=-race", "linux-amd64-v1-cgo-0123456789ab"},
		{golang("", "GOARM=6"), "GOARCH=arm", "linux-arm-6-hardfloat"},
		{golang("", "GOARM=6"), "GOARCH=arm GOARM=7", "linux-arm-7-hardfloat"},
		{golang("", "GOOS=windows", "GOARCH=arm64"), "", "windows-arm64-v8.0"},
		{golang("", "GOOS=windows", "GOARCH=arm64"), "GOOS=linux", "linux-arm64-v8.0"},
		{golang("", "GOOS=windows", "GOARCH=arm64"), "GOOS= GOARCH=amd64", "windows-amd64-v1"},
		{golang(someC, "GOOS=windows", "GOARCH=arm64"), "GOOS=linux GOARCH=amd64", "linux-amd64-v1-cgo-0123456789ab"},
		{golang(someC, "GOHOSTARCH=arm64", "GOARCH=arm64"), "", "linux-arm64-v8.0-cgo-0123456789ab"},
		{golang(someC, "GOHOSTARCH=arm64", "GOARCH=arm64"), "GOARCH=amd64", "linux-amd64-v1"},
		{golang(""), "GOOS=linux GOARCH=loong64", "linux-loong64"},
		{golang(""), "GOOS=wasip1 GOARCH=wasm", "wasip1-wasm"},
	} {
		if got := test.image.Resolve(variables(test.vars), "").Platform; got != test.want {
			t.Errorf("%s in an image with CGO_ENABLED=%q: got %s, want %s", test.vars, test.image.Env["CGO_ENABLED"], got, test.want)
		}
	}
}

func TestThePlatformIsGuessedBeforeTheImageIsHere(t *testing.T) {
	t.Parallel()
	for vars, want := range map[string]string{
		"":                               "linux-amd64-v1", // with cgo if the image has a compiler
		"GOOS=linux GOARCH=amd64":        "linux-amd64-v1",
		"GOAMD64=v3":                     "linux-amd64-v3",
		"GOEXPERIMENT=jsonv2":            "linux-amd64-v1",
		"CGO_ENABLED=0":                  "linux-amd64-v1/",
		"CGO_ENABLED=1":                  "linux-amd64-v1-cgo-",
		"CC=clang":                       "linux-amd64-v1-cgo-",
		"GOARCH=arm64":                   "linux-arm64-v8.0/",
		"GOARCH=arm64 CGO_ENABLED=1":     "linux-arm64-v8.0-cgo-",
		"GOARCH=arm GOARM=6":             "linux-arm-6-hardfloat/",
		"GOOS=darwin GOARCH=arm64":       "darwin-arm64-v8.0/",
		"GOOS=windows CGO_ENABLED=":      "windows-amd64-v1/",
		"GOOS=js GOARCH=wasm":            "js-wasm/",
		"GOARCH=../../etc":               "linux-..-..-etc-*/",
		"GOARCH=../../etc CGO_ENABLED=1": "linux-..-..-etc-*-cgo-",
		"GOAMD64=../../etc":              "linux-amd64-..-..-etc-*",
	} {
		got := Likely(variables(vars), "amd64")
		matches, err := path.Match(want, got)
		if want != got && (err != nil || !matches) {
			t.Errorf("%s: guessed %s, want %s", vars, got, want)
		}
		for _, image := range []Image{golang(""), golang(someC)} {
			if strings.Contains(vars, "..") {
				continue // that is no platform
			}
			if platform := image.Resolve(variables(vars), "").Platform; !strings.HasPrefix(platform+"/", got) {
				t.Errorf("%s: guessed %s, but it is %s", vars, got, platform)
			}
		}
	}
	if got := Likely(nil, "arm64"); got != "linux-arm64-v8.0" {
		t.Errorf("an image for another processor: guessed %s", got)
	}
}

func TestWhatChangesCodeIsAPlatformOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, vars := range []string{
		"", "GOEXPERIMENT=jsonv2", "GOEXPERIMENT=greenteagc", "GOFIPS140=latest", "GOFIPS140=v1.0.0", "GOFIPS140=latest GOEXPERIMENT=jsonv2",
		"CC=clang", "CC=musl-gcc", "CC=clang GOEXPERIMENT=jsonv2", "CGO_ENABLED=0", "CGO_ENABLED=0 GOEXPERIMENT=jsonv2",
	} {
		got := golang(someC).Resolve(variables(vars), "").Platform
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q are both %s", vars, other, got)
		}
		seen[got] = vars
	}
	for vars, same := range map[string]string{"CC=gcc": "", "CC=clang CGO_ENABLED=0": "CGO_ENABLED=0"} {
		got := golang(someC).Resolve(variables(vars), "").Platform
		if other, ok := seen[got]; !ok || other != same {
			t.Errorf("%q: got %s, which differs from that of %q", vars, got, same)
		}
	}
	if a, b := golang(someC), golang(strings.Repeat("f", 64)); a.Resolve(variables("CC=clang"), "") == b.Resolve(variables("CC=clang"), "") {
		t.Error("with a compiler of the job's choice, two C sides are one platform")
	}
}

func TestTheToolchainIsTheOneThatGoWouldTake(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ local, setting, wants, want string }{
		{"go1.26.8", "auto", "", "go1.26.8"},
		{"go1.26.8", "auto", "default", "go1.26.8"},
		{"go1.26.8", "auto", "go1.26.8", "go1.26.8"},
		{"go1.26.8", "auto", "go1.25.0", "go1.26.8"},
		{"go1.26.8", "auto", "go1.26", "go1.26.8"},
		{"go1.26.8", "auto", "go1.26.9", "go1.26.9"},
		{"go1.26.8", "auto", "go1.26.10", "go1.26.10"},
		{"go1.26.8", "auto", "go1.27", "go1.27.0"},
		{"go1.26.8", "auto", "go1.27rc1", "go1.27rc1"},
		{"go1.27rc1", "auto", "go1.27", "go1.27rc1"},
		{"go1.26.8", "auto", "go1.27.0-bigcorp", "go1.27.0-bigcorp"},
		{"go1.26.8", "auto", "nonsense", "go1.26.8"},
		{"go1.26.8", "path", "go1.27.0", "go1.27.0"},
		{"go1.26.8", "local", "go1.27.0", "go1.26.8"},
		{"go1.26.8", "local+auto", "go1.27.0", "go1.27.0"},
		{"go1.26.8", "local+path", "go1.25.0", "go1.26.8"},
		{"go1.26.8", "go1.25.3", "go1.27.0", "go1.25.3"},
		{"go1.26.8", "go1.25.3+auto", "go1.26.0", "go1.26.0"},
		{"go1.26.8", "go1.25.3+auto", "go1.24.0", "go1.25.3"},
		{"go1.26.8", "go1.25.3+path", "", "go1.25.3"},
		{"go1.26.8", "go1.26.8", "go1.27.0", "go1.26.8"},
		{"go1.26.8", "", "go1.27.0", "go1.26.8"},
		{"go1.20.14", "auto", "go1.27.0", "go1.20.14"},
		{"go1.20.14", "go1.27.0", "", "go1.20.14"},
		{"go1.21.0", "auto", "go1.27.0", "go1.27.0"},
		{"go1.26.8 X:jsonv2", "auto", "go1.26.8", "go1.26.8-x-jsonv2-*"},
		{"go1.26.8 X:jsonv2", "auto", "go1.27.0", "go1.27.0"},
		{"go1.27-devel_0123abc Mon Jan 2", "auto", "go1.26.8", "go1.27-devel-0123abc-mon-jan-2-*"},
		{"devel go1.27-0123abc Mon Jan 2", "local", "", "devel-go1.27-0123abc-mon-jan-2-*"},
		{"devel go1.27-0123abc Mon Jan 2", "auto", "go1.28.0", "go1.28.0"},
	} {
		got := golang("", "GOTOOLCHAIN="+test.setting)
		got.Go = test.local
		target := got.Resolve(nil, test.wants)
		matches, err := path.Match(test.want, target.Toolchain)
		if err != nil || !matches || target.Problem != "" {
			t.Errorf("%s with GOTOOLCHAIN=%s for %q: got %+v, want %s", test.local, test.setting, test.wants, target, test.want)
		}
	}
	if got := golang("", "GOTOOLCHAIN=local").Resolve(variables("GOTOOLCHAIN=go1.25.0"), "").Toolchain; got != "go1.25.0" {
		t.Errorf("a job's own GOTOOLCHAIN: got %s", got)
	}
}

func TestAToolchainThatGoRefusesIsTold(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"bash", "go", "1.26.8", "go1.26.8+always", "auto+auto", "go1.26/../x", "local+", "+auto"} {
		got := golang("").Resolve(map[string]string{"GOTOOLCHAIN": setting}, "")
		if !strings.Contains(got.Problem, setting) || got.Toolchain != "go1.26.8" {
			t.Errorf("%s: got %+v", setting, got)
		}
	}
}

func TestAJobThatBringsItsOwnCompilerIsTold(t *testing.T) {
	t.Parallel()
	if got := golang("").Resolve(variables("CGO_ENABLED=1"), ""); !strings.Contains(got.Problem, "no C compiler") {
		t.Errorf("got %+v", got)
	}
	for name, image := range map[string]Image{"without cgo": golang(""), "with a compiler": golang(someC, "CGO_ENABLED=1")} {
		if got := image.Resolve(nil, ""); got.Problem != "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestWhateverAJobSetsIsASafeName(t *testing.T) {
	t.Parallel()
	safe := regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)
	seen := map[string]bool{}
	for _, value := range []string{
		"..", "../../etc", "a/b", "A", "a", "ä", "\x00", "x\ny", strings.Repeat("x", 1000), strings.Repeat("x", 1001), "-", ".", "a b", "a+b", ".hidden",
	} {
		for _, got := range []string{
			golang(someC).Resolve(map[string]string{"GOOS": value}, "").Platform,
			golang(someC).Resolve(map[string]string{"GOARCH": value}, "").Platform,
			golang(someC).Resolve(map[string]string{"GOAMD64": value}, "").Platform,
			golang(someC).Resolve(map[string]string{"GOTOOLCHAIN": "go1.26.0-" + strings.ReplaceAll(value, "/", "_")}, "").Toolchain,
			golang(someC).Resolve(nil, "go1.27.0-"+strings.ReplaceAll(value, "/", ":")).Toolchain,
		} {
			if !safe.MatchString(got) || seen[got] {
				t.Errorf("%.20q: got %q, which is not safe or not unique", value, got)
			}
			seen[got] = true
		}
	}
	if got := (Image{}).Resolve(nil, ""); !safe.MatchString(got.Platform) || !safe.MatchString(got.Toolchain) {
		t.Errorf("an image without Go: got %+v", got)
	}
	if got := (Image{Go: runtime.Version()}).Resolve(nil, ""); got.Toolchain != runtime.Version() {
		t.Errorf("got %+v", got)
	}
}

// ENV in the image's Dockerfile, or RUN go env -w; the job's own variables go before both.
func TestAnImageMaySayWhatItsJobsCompileFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ environ, written, vars, want string }{
		{"GOOS=darwin GOARCH=arm64", "", "", "darwin-arm64-v8.0"},
		{"GOOS=darwin GOARCH=arm64", "", "GOOS=linux", "linux-arm64-v8.0"},
		{"GOARM=6", "", "GOARCH=arm", "linux-arm-6-hardfloat"},
		{"GOAMD64=v3", "", "GOARCH=amd64", "linux-amd64-v3"},
		{"", "GOOS=windows GOARCH=386 GO386=softfloat", "", "windows-386-softfloat"},
		{"", "GOOS=windows GOARCH=386 GO386=softfloat", "GOARCH=amd64", "windows-amd64-v1"},
		{"", "GOARM=6", "GOARCH=arm", "linux-arm-6-hardfloat"},
		{"", "CGO_ENABLED=1", "GOARCH=arm64", "linux-arm64-v8.0-cgo-unknown"},
		{"GOARCH=riscv64", "GOARCH=s390x", "", "linux-riscv64-rva20u64"},
		{"GOENV=off GOARCH=mips", "GOMIPS=softfloat", "", "linux-mips-hardfloat"},
	} {
		t.Run(fmt.Sprint(test.environ, " ", test.written, " ", test.vars), func(t *testing.T) {
			t.Parallel()
			m, _ := image(t, "GOENV=")
			if test.written != "" {
				if _, err := m.run(t.Context(), nil, append([]string{m.lookPath("go"), "env", "-w"}, strings.Fields(test.written)...)...); err != nil {
					t.Fatal(err)
				}
			}
			m.environ = append(m.environ, strings.Fields(test.environ)...)
			if got := probed(t, m).Resolve(variables(test.vars), "").Platform; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// Go itself tells what its defaults are, and when it turns cgo on.
func TestTheRulesAreThoseOfTheRealGo(t *testing.T) {
	t.Parallel()
	m, bin := image(t)
	fakeCompiler(t, filepath.Join(bin, "gcc"), t.TempDir())
	found, goCommand := probed(t, m), m.lookPath("go")
	for arch, name := range variantNames {
		said, err := m.goEnv(t.Context(), goCommand, []string{"GOARCH=" + arch}, name)
		if err != nil {
			t.Fatal(err)
		}
		none := found.Resolve(map[string]string{"GOARCH": arch}, "").Platform
		if explicit := found.Resolve(map[string]string{"GOARCH": arch, name: said[name]}, "").Platform; explicit != none {
			t.Errorf("%s=%s, Go's default, is %s, and without it is %s", name, said[name], explicit, none)
		}
	}
	for _, vars := range []string{
		"", "CGO_ENABLED=0", "CGO_ENABLED=1", "CGO_ENABLED=yes", "GOARCH=s390x", "GOARCH=s390x CGO_ENABLED=1", "GOOS=windows", "CC=no-such-compiler",
		"GOOS=linux", "CGO_ENABLED= GOARCH=",
	} {
		said, err := m.goEnv(t.Context(), goCommand, strings.Fields(vars), cgoEnabled)
		if err != nil {
			t.Fatal(err)
		}
		if got := (settings{variables(vars), found}).cgo(); got != (said[cgoEnabled] == "1") {
			t.Errorf("%q: got %t, Go says %s", vars, got, said[cgoEnabled])
		}
	}
}

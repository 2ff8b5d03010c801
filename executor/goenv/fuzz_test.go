package goenv

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzReadImage reads what an image says of its Go, and what a job's variables say: what comes out can be an element of a path and of a
// store's key, whatever they say.
func FuzzReadImage(f *testing.F) {
	const good = `{"go":"go1.26.8","env":{"GOOS":"linux","GOARCH":"amd64","GOHOSTOS":"linux","GOHOSTARCH":"amd64","GOAMD64":"v1","CC":"gcc","GOTOOLCHAIN":"auto"},"c":"` +
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + `"}`
	f.Add([]byte(good), "GOARCH", "arm", "go1.27.0")
	f.Add([]byte(good), "GOTOOLCHAIN", "go1.26.8+auto", "go1.27")
	f.Add([]byte(good), "CC", "clang", "")
	f.Add([]byte(good), "GOARM64", "v9.0,crypto,../..", "go1.99-../../x")
	f.Add([]byte(`{"go":"devel go1.27-0123abc Mon\n","c":"x","env":{"PATH":"/"}}`), "GOOS", "../../x", "\n")
	f.Add([]byte(`{}`), "GOEXPERIMENT", "", "")
	f.Fuzz(func(t *testing.T, data []byte, name, value, wants string) {
		i, err := ReadImage(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		written, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadImage(strings.NewReader(string(written))); err != nil || !reflect.DeepEqual(again, i) {
			t.Errorf("%s\nis read as %+v, %v", written, again, err)
		}
		vars := map[string]string{name: value}
		target := i.Resolve(vars, wants)
		for _, element := range []string{target.Platform, target.Toolchain} {
			if !safeName.MatchString(element) || len(element) > longestName {
				t.Errorf("%q is no name", element)
			}
		}
		if strings.ContainsAny(target.Problem, "\n\x1b") {
			t.Errorf("%q is told", target.Problem)
		}
		Likely(vars, "amd64")
	})
}

// FuzzCompiler reads what a compiler of an image prints, and how it is called.
func FuzzCompiler(f *testing.F) {
	f.Add("#include <...> search starts here:\n /usr/include\n relative\nEnd of search list.\nlibraries: =/usr/lib:/lib:x\r\n", `gcc '-I a' "-O 2"`)
	f.Add("libraries: =", `"`)
	f.Add(" search starts here:\n", " 'x")
	f.Fuzz(func(t *testing.T, out, command string) {
		for _, dir := range searchDirs(out) {
			if !filepath.IsAbs(dir) || !strings.Contains(out, dir) {
				t.Errorf("%q is no folder that was printed", dir)
			}
		}
		length := 0
		for _, word := range words(command) {
			length += len(word)
			if !strings.Contains(command, word) {
				t.Errorf("%q is no word of %q", word, command)
			}
		}
		if length > len(command) {
			t.Errorf("%q has more in its words", command)
		}
	})
}

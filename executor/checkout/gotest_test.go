package checkout

import (
	"path/filepath"
	"regexp"
	"testing"
)

// The toolchain of the machine compiles and runs the tests of a project. Its build cache has the standard library already, and nothing of this
// project: it knows packages by their folders, and that of each run is another.
func TestGoTestIsCachedAfterAFreshCloneAndNotAfterAChangeOfEqualSize(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{
		"go.mod":          "module example.org/m\n\ngo 1.26\n",
		"testdata/in/one": "good",
		"testdata/in/two": "good",
		"m_test.go": `package m

import (
	"os"
	"testing"
)

func TestData(t *testing.T) {
	names, err := os.ReadDir("testdata/in")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if data, err := os.ReadFile("testdata/in/" + n.Name()); err != nil || string(data) != "good" {
			t.Fatalf("%s: %q, %v", n.Name(), data, err)
		}
	}
}
`,
	})
	dir := filepath.Join(t.TempDir(), "ci")
	goTest := func() string {
		p.clone(dir)
		run(t, dir)
		cmd := command(t, dir, "go", "test", ".")
		cmd.Env = append(cmd.Env, "GOTOOLCHAIN=local", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0", "GOWORK=off")
		out, _ := cmd.CombinedOutput() // what it says tells
		return regexp.MustCompile(`(?m)^(ok|FAIL)\s.*?(\(cached\))?$`).ReplaceAllString(string(out), "$1$2")
	}
	equal(t, "the first job", goTest(), "ok\n")
	equal(t, "another fresh clone", goTest(), "ok(cached)\n")
	p.commit(files{"testdata/in/two": "evil"})
	if out := goTest(); !regexp.MustCompile(`two: "evil"`).MatchString(out) {
		t.Errorf("after a change of equal size go test says:\n%s", out)
	}
}

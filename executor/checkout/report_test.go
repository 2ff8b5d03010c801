package checkout

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
)

func goodReport() Report {
	return Report{
		Graph: Graph{
			Hash: strings.Repeat("0a", 32), Modules: []string{"example.org/a@v1.0.0", "example.org/b@v1.0.0"}, Toolchain: "go1.26.8",
		},
		Sums:     map[string][]string{"example.org/a v1.0.0": {hashA, hashB}, "example.org/a v1.0.0/go.mod": {hashA}},
		Times:    Times{Mode: ModeTestdata, Why: "untracked files", Files: 1, Dirs: 2, Dirty: 3, Refreshed: true, Seconds: 0.5},
		Problems: []string{"größe/日本 is broken."},
	}
}

func printed(t *testing.T, r Report) string {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAReportArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	want := goodReport()
	got, err := ReadReport(strings.NewReader(printed(t, want) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAReportThatIsNotAsRunMakesItIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Report){
		"a short hash":            func(r *Report) { r.Graph.Hash = "0a" },
		"a hash that is a path":   func(r *Report) { r.Graph.Hash = "../" + r.Graph.Hash[3:] },
		"a hash in capitals":      func(r *Report) { r.Graph.Hash = strings.ToUpper(r.Graph.Hash) },
		"a hash and a line":       func(r *Report) { r.Graph.Hash += "\n" },
		"a module without path":   func(r *Report) { r.Graph.Modules = []string{"@v1.0.0"} },
		"a module out of bounds":  func(r *Report) { r.Graph.Modules = []string{"../../etc@v1.0.0"} },
		"a version out of bounds": func(r *Report) { r.Graph.Modules = []string{"example.org/a@v1.0.0/../../x"} },
		"no version":              func(r *Report) { r.Graph.Modules = []string{"example.org/a"} },
		"a short version":         func(r *Report) { r.Graph.Modules = []string{"example.org/a@v1"} },
		"modules in disorder":     func(r *Report) { r.Graph.Modules[0] = "example.org/c@v1.0.0" },
		"a module twice":          func(r *Report) { r.Graph.Modules[0] = r.Graph.Modules[1] },
		"another toolchain":       func(r *Report) { r.Graph.Toolchain = "gcc" },
		"a toolchain as a path":   func(r *Report) { r.Graph.Toolchain = "go1.26.8-/../../x" },
		"sums of nothing":         func(r *Report) { r.Sums["example.org/b v1.0.0"] = nil },
		"sums of no module":       func(r *Report) { r.Sums["example.org/b"] = []string{hashA} },
		"sums of a path":          func(r *Report) { r.Sums["/etc/passwd v1.0.0"] = []string{hashA} },
		"another kind of sum":     func(r *Report) { r.Sums["example.org/b v1.0.0"] = []string{"h2:" + hashA[3:]} },
		"a short sum":             func(r *Report) { r.Sums["example.org/b v1.0.0"] = []string{"h1:AAAA"} },
		"a sum in two lines":      func(r *Report) { r.Sums["example.org/b v1.0.0"] = []string{hashA[:9] + "\n" + hashA[9:]} },
		"a mode":                  func(r *Report) { r.Times.Mode = "some" },
		"a reason to colour":      func(r *Report) { r.Times.Why = "\x1b[31m" },
		"a long reason":           func(r *Report) { r.Times.Why = strings.Repeat("x", 1000) },
		"less than no file":       func(r *Report) { r.Times.Files = -1 },
		"negative time":           func(r *Report) { r.Times.Seconds = -1 },
		"a section of the log":    func(r *Report) { r.Problems = []string{"\x1b[0Ksection_start:1:x\r"} },
		"a long problem":          func(r *Report) { r.Problems = []string{strings.Repeat("x", 10_000)} },
		"an empty problem":        func(r *Report) { r.Problems = []string{""} },
		"many problems":           func(r *Report) { r.Problems = strings.Split(strings.Repeat("x", 1000), "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := goodReport()
			change(&r)
			if _, err := ReadReport(strings.NewReader(printed(t, r))); err == nil {
				t.Error("it is taken")
			}
		})
	}
}

func TestGarbageInPlaceOfAReportIsRefused(t *testing.T) {
	t.Parallel()
	good := printed(t, goodReport())
	for cut := range good {
		if _, err := ReadReport(strings.NewReader(good[:cut])); err == nil {
			t.Errorf("the first %d bytes are taken", cut)
		}
	}
	for _, text := range []string{
		"", "null", "[]", "1", `""`, "{}", "\x00", "PK\x03\x04", good + good, good + "x", "x" + good, `{"graph":[]}`, `{"sums":{"":1}}`,
		strings.Replace(good, `"hash"`, `"hush"`, 1), strings.Replace(good, `"files":1`, `"files":1e99`, 1),
		strings.Replace(good, `"files":1`, `"files":"1"`, 1), strings.Repeat("[", 100_000),
	} {
		if _, err := ReadReport(strings.NewReader(text)); err == nil {
			t.Errorf("taken: %.80q", text)
		}
	}
}

// endless never ends, as a job may well print.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return copy(p, strings.Repeat(" ", len(p))), nil
}

func TestAReportWithoutEndIsReadUpToItsBoundOnly(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]string{"blanks": "", "a string": `{"problems":["`, "after it": printed(t, goodReport())} {
		e := &endless{}
		_, err := ReadReport(io.MultiReader(strings.NewReader(start), e))
		if err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
			t.Errorf("%s: %v", name, err)
		}
		if e.read > 2*maxReport {
			t.Errorf("%s: %d bytes were read", name, e.read)
		}
	}
}

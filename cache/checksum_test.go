package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/dirhash"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// answers are what sum.golang.org said of a module, and where a job finds them below its mount.
const answers, answersIn = "../testdata/goproxy/sumdb/sum.golang.org", "modules/cache/download/sumdb/sum.golang.org"

// modules is a request for modules only.
func modules(job string) Request {
	r := request(job)
	r.Kinds = []string{"modules"}
	return r
}

// fetchMod has the job fetch the go.mod of a module that its go.sum knows.
func (j *testJob) fetchMod(name string) {
	j.Helper()
	file := filepath.Join(j.got.Merged, filepath.FromSlash("modules/cache/download/example.com/"+name+"/@v/v1.0.0.mod"))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		j.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("module example.com/"+name+"\n"), 0o666); err != nil {
		j.Fatal(err)
	}
}

func sumOfMod(t *testing.T, name string) kind.Sums {
	t.Helper()
	sum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("module example.com/" + name + "\n")), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return kind.Sums{"example.com/" + name + " v1.0.0/go.mod": {sum}}
}

// hasAnswers says how many of the database's answers a job finds as they were; any other fails the test.
func (j *testJob) hasAnswers() (found int) {
	j.Helper()
	dir := filepath.Join(j.got.Merged, answersIn)
	for _, name := range filesBelow(j.T, dir) {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			j.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(answers, name))
		if err != nil || !bytes.Equal(got, want) {
			j.Errorf("%s is not what the database said: %v", name, err)
		}
		found++
	}
	return found
}

// read notes that the job opened all answers that it has, or nothing.
func (j *testJob) read(all bool) {
	j.Helper()
	ids := map[string]bool{}
	for _, name := range filesBelow(j.T, filepath.Join(j.got.Merged, answersIn)) {
		if all {
			ids[kind.Modules().ItemOf(strings.TrimPrefix(answersIn, "modules/")+"/"+name)] = true
		}
	}
	data, err := json.Marshal(usage{"modules": ids})
	if err == nil {
		err = os.WriteFile(filepath.Join(WorkOf(j.dir).Dir, fmt.Sprintf(watchEnded, 1)), data, 0o600)
	}
	if err != nil {
		j.Fatal(err)
	}
}

// filesBelow are the names of all files of a folder, if there is one.
func filesBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

// The answers outlive compactions as long as some job reads them, and no longer.
func TestAnswersOfTheChecksumDatabaseGoFromJobToJob(t *testing.T) {
	t.Parallel()
	const all = 8 // a record and the tiles that prove it
	for name, reads := range map[string]bool{"read": true, "unread": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			twins := []*testJob{begin(t, c, modules("first")), begin(t, c, modules("twin"))}
			saved := 0
			for _, j := range twins {
				if err := os.CopyFS(filepath.Join(j.got.Merged, answersIn), os.DirFS(answers)); err != nil {
					t.Fatal(err)
				}
				saved += j.end().Items
			}
			if saved != all {
				t.Errorf("two jobs with the same answers saved %d", saved)
			}
			for n := range 2 * mergeAt {
				r := modules(fmt.Sprint(n))
				r.Sums = sumOfMod(t, r.Job)
				j := begin(t, c, r)
				if found := j.hasAnswers(); reads && found != all {
					t.Fatalf("job %d finds %d answers", n, found)
				}
				j.fetchMod(r.Job)
				j.read(reads)
				j.end()
				must(t, c.Tend(t.Context(), false))
			}
			entries, _, err := c.journal(t.Context(), modules("").pool("protected", "modules"))
			if err != nil || !slices.ContainsFunc(entries, func(e Entry) bool { return e.Job == "compaction" }) {
				t.Fatalf("nothing was compacted: %v", err)
			}
			j := begin(t, sameStore(t, c), modules("elsewhere"))
			if found := j.hasAnswers(); reads != (found == all) || !reads && found != 0 {
				t.Errorf("in the end there are %d answers", found)
			}
		})
	}
}

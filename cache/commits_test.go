package cache

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// repository is a project of packages of which number n imports 2n+1 and 2n+2, so that a change has all above it compiled anew.
type repository []int // how often each package was changed

// words name the packages as they are now: what Go calls their actions.
func (r repository) words() []string {
	words := make([]string, len(r))
	for n := len(r) - 1; n >= 0; n-- {
		words[n] = sum(fmt.Sprint(n, r[n]))[:8]
		for _, imported := range []int{2*n + 1, 2*n + 2} {
			if imported < len(r) {
				words[n] = sum(words[n] + words[imported])[:8]
			}
		}
	}
	return words
}

// output of a compilation, which does not compress.
func output(word string) string {
	random := rand.NewChaCha8(sha256.Sum256([]byte(word)))
	data := make([]byte, 10_000+len(word)*int(random.Uint64()%5000))
	_, _ = random.Read(data)
	return "!<arch>\n" + string(data)
}

// build compiles what the job's caches do not hold, and tells how many packages that were.
func (j *testJob) build(r repository) (compiled int) {
	j.Helper()
	words := r.words()
	for _, word := range words {
		if action, _ := j.paths(word, ""); !exists(action) {
			j.put(word, output(word))
			compiled++
		}
	}
	j.opened(words...)
	return compiled
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// held is what the layers of a request's own pool take, and how many they are.
func (c *Cache) pooled(t *testing.T, r Request) (bytes int64, layers int) {
	t.Helper()
	refs, _ := living(journalOf(t, c, r), "", maxEntries)
	for _, l := range refs {
		bytes += l.Size
	}
	return bytes, len(refs)
}

// However many commits pass, each compiles only what it changes, and the pool takes at most 1.3 times what one full build saves. make
// bench-commits shows the same of a real project.
func TestALineageStaysSmallHoweverManyCommitsPass(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	hosts := []*Cache{farHost(t, remote), farHost(t, remote)}
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test's
	project := make(repository, 60)
	for commit := range 12 {
		c := hosts[commit%len(hosts)]
		before := map[string]bool{}
		for _, word := range project.words() {
			before[word] = commit > 0
		}
		for range random.IntN(3) + 1 {
			project[random.IntN(len(project))]++
		}
		changed := 0
		for _, word := range project.words() {
			if !before[word] {
				changed++
			}
		}
		j := begin(t, c, request(fmt.Sprint("commit", commit)))
		if compiled := j.build(project); compiled != changed {
			t.Errorf("commit %d: compiled %d packages, want the %d that it changes", commit, compiled, changed)
		}
		saved := j.end()
		c.sends(t)
		must(t, c.Tend(t.Context(), true))

		alone := request(fmt.Sprint("alone", commit))
		alone.Project = fmt.Sprint(100 + commit)
		cold := begin(t, c, alone)
		cold.build(project)
		full := cold.end().Bytes
		bytes, layers := c.pooled(t, request(""))
		t.Logf("commit %d: %d packages changed, %d bytes saved; %d layers take %.2f of a full build", commit, changed, saved.Bytes, layers, float64(bytes)/float64(full))
		if float64(bytes) > 1.3*float64(full) || layers > mergeAt {
			t.Errorf("commit %d: %d layers take %d bytes, a full build %d", commit, layers, bytes, full)
		}
	}
}

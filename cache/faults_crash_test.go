//go:build faults

package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// elsewhere are the points that no host reaches without jobs in containers: executor/e2e crashes there.
var elsewhere = []string{"prepare", "run", "cleanup", "cleanup, reap", "reap", "serve", "serve, prune", "prepare, run"}

// nth is a point that is reached for the nth time.
type nth struct {
	crash.Point
	n int
}

// traced lives through the story once, and gives each time at which each point is reached.
func traced(t *testing.T, seed string) (all []nth) {
	t.Helper()
	dir := t.TempDir()
	copyFolder(t, seed, dir)
	trace := filepath.Join(t.TempDir(), "trace")
	if out, err := story(t, dir, crash.Trace(trace)); err != nil {
		t.Fatalf("the story does not end well: %v\n%s", err, out)
	}
	tidied(t, storyHost(t.Context(), dir, "host"))
	data, err := os.ReadFile(trace)
	must(t, err)
	times := map[crash.Point]int{}
	for line := range strings.Lines(string(data)) {
		p := crash.Point(strings.TrimSpace(line))
		times[p]++
		all = append(all, nth{p, times[p]})
	}
	for _, step := range crash.Points() {
		if times[step.Point] == 0 && !slices.Contains(elsewhere, step.Of) {
			t.Errorf("%s is never reached", step.Point)
		}
	}
	return all
}

// story runs the process that may crash.
func story(t *testing.T, dir, variable string) (out string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFaultAHostThatCrashesAtAnyPointLosesAndLeavesNothing$")
	cmd.Env = append(os.Environ(), storyFolder+"="+dir, variable)
	data, err := cmd.CombinedOutput()
	return string(data), err
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestFaultAHostThatCrashesAtAnyPointLosesAndLeavesNothing(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(storyFolder); dir != "" {
		liveThrough(t, dir)
		return
	}
	before := t.TempDir()
	seed(t, before)
	tidied(t, storyHost(t.Context(), before, "host"))
	cases := faulttest.Pick(t, traced(t, before))
	var done atomic.Int64
	for _, at := range cases {
		t.Run(fmt.Sprintf("%s/%d", at.Point, at.n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyFolder(t, before, dir)
			order := filepath.Join(t.TempDir(), "order")
			variable, err := crash.Order{Point: at.Point, Nth: at.n}.Give(order)
			must(t, err)
			out, _ := story(t, dir, variable)
			if !crash.CarriedOut(order) {
				t.Fatalf("%s is not reached %d times", at.Point, at.n)
			}
			a := &aftermath{T: t, dir: dir, said: out, host: storyHost(t.Context(), dir, "host")}
			t.Cleanup(func() { tidied(t, a.host) })
			a.lives(faulttest.Rand(t))
			if n := done.Add(1); n%20 == 0 {
				faulttest.Progress(t, "%d of %d crashes", n, len(cases))
			}
		})
	}
}

// aftermath is a host that has crashed.
type aftermath struct {
	*testing.T
	dir   string
	said  string // by the story
	host  *Cache
	fresh int // hosts that were added
	jobs  int
}

// words are those of which the story said so.
func (a *aftermath) words(what string) (words []string) {
	for line := range strings.Lines(a.said) {
		if rest, ok := strings.CutPrefix(line, "story: "+what+" ["); ok {
			words = append(words, strings.Fields(strings.TrimSuffix(rest, "]\n"))...)
		}
	}
	return words
}

// lives goes on in an order that was drawn: whatever comes first finds what the crash has left.
func (a *aftermath) lives(r *rand.Rand) {
	a.Helper()
	next := []struct {
		name string
		do   func()
	}{
		{"a job", func() { a.job(a.host, append(a.words("saved"), seeds...)) }},
		{"another host", func() { a.job(a.another(), seeds) }},
		{"serve", func() { a.serve() }},
		{"prune", func() { a.prune() }},
	}
	r.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
	for _, step := range next {
		step.do()
		if a.Failed() {
			a.Fatalf("that was %s of %v, and the story said\n%s", step.name, next, a.said)
		}
	}
	all := slices.Concat(seeds, a.words("made"), a.words("saved"))
	a.serve()
	a.job(a.host, all)
	a.serve()
	a.job(a.another(), all)
	a.ledger()
	a.nothingLeft()
}

func (a *aftermath) another() *Cache {
	a.fresh++
	c := storyHost(a.Context(), a.dir, fmt.Sprint("fresh-", a.fresh))
	a.Cleanup(func() { tidied(a.T, c) })
	return c
}

// reap is what each prepare, serve and prune begin with: the crashed process's jobs are dead.
func (a *aftermath) reap() {
	a.Helper()
	jobs, err := filepath.Glob(filepath.Join(a.host.Dir, "jobs", "*", "*"))
	must(a.T, err)
	for _, job := range jobs {
		must(a.T, a.host.Abandon(a.Context(), job))
		must(a.T, os.RemoveAll(job))
	}
}

// job restores and saves; it has to find those words, and nothing that is torn.
func (a *aftermath) job(c *Cache, words []string) {
	a.Helper()
	a.reap()
	for project, words := range map[string][]string{
		"7":            slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "x" || w == "y" }),
		damagedProject: slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w != "x" && w != "y" }),
	} {
		a.jobs++
		j := begin(a.T, c, of(project, fmt.Sprint("after-", a.jobs)))
		slices.Sort(words)
		words = slices.Compact(words)
		if found, want := j.has(words...), strings.Join(words, ""); found != want {
			a.Errorf("a job of project %s finds %q, want %q; %+v", project, found, want, j.got)
		}
		sound(j)
		j.compile(fmt.Sprint("later", a.jobs))
		saved, err := c.Save(a.Context(), j.dir, true)
		if err != nil || saved.Items < 1 {
			a.Errorf("a job saves %d items: %v, %v", saved.Items, saved.Problems, err)
		}
		must(a.T, os.RemoveAll(j.dir))
	}
	_, err := c.Send(a.Context())
	must(a.T, err)
}

// sound fails the test for an entry that does not lead to the output that it should, and for a layer that is not what its name says.
func sound(j *testJob) {
	j.Helper()
	must(j.T, filepath.WalkDir(filepath.Join(j.got.Merged, j.in), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "-a") {
			return err
		}
		line, err := os.ReadFile(path)
		must(j.T, err)
		fields := strings.Fields(string(line))
		if len(fields) != 5 {
			j.Errorf("%s is torn: %q", path, line)
			return nil
		}
		_, out := j.paths("", "")
		output := filepath.Join(filepath.Dir(filepath.Dir(out)), fields[2][:2], fields[2]+"-d")
		if data, err := os.ReadFile(output); err != nil || sum(string(data)) != fields[2] {
			j.Errorf("the output of %s is torn: %v", path, err)
		}
		return nil
	}))
	files, err := j.c.host.Files()
	must(j.T, err)
	for _, f := range files {
		verified(j.T, j.c.host.File(f.Digest), f.Digest)
	}
}

func verified(t *testing.T, path, digest string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if got := sha256.Sum256(data); err != nil || hex.EncodeToString(got[:]) != digest {
		t.Errorf("the layer %s is torn, %v", path, err)
	}
}

// serve does what the command does when it starts.
func (a *aftermath) serve() {
	a.Helper()
	a.reap()
	_, err := a.host.Send(a.Context())
	must(a.T, err)
	must(a.T, a.host.Salvage(a.Context(), func(_ Saved, err error) {
		if err != nil {
			a.Errorf("salvage: %v", err)
		}
	}))
	must(a.T, a.host.Housekeep(a.Context(), false))
	_, err = a.host.Send(a.Context())
	must(a.T, err)
	must(a.T, a.host.Compact(a.Context(), true))
}

// prune does what the command does for the host, then for the store.
func (a *aftermath) prune() {
	a.Helper()
	a.serve()
	must(a.T, a.host.Housekeep(a.Context(), true))
	pruned(a.T, a.host, PruneOptions{Project: oldProject, OlderThan: time.Nanosecond})
	pruned(a.T, a.host, PruneOptions{})
}

// ledger has to be whole, with all rows that were added, unless they were being trimmed.
func (a *aftermath) ledger() {
	a.Helper()
	ledger, err := stats.Open(a.Context(), a.host.Dir)
	must(a.T, err)
	defer ledger.Close()
	must(a.T, ledger.Add(a.Context(), stats.Job{Instance: "gitlab.example.com", Job: "after", Outcome: "success"}))
	found := map[string]int{}
	must(a.T, ledger.Follow(a.Context(), "test", func(j stats.Job) error {
		found[j.Job]++
		return nil
	}))
	for _, row := range append(a.words("row"), "after") {
		if trimmed := strings.Contains(a.said, "story: trims") && row != "after"; found[row] != 1 && !trimmed {
			a.Errorf("job %s is %d times in the ledger", row, found[row])
		}
	}
}

// nothingLeft looks for what nobody needs, a day and a bit later.
func (a *aftermath) nothingLeft() {
	a.Helper()
	a.later()
	a.prune()
	a.later() // what the first prune has noted goes with the second
	a.prune()
	for _, pattern := range []string{
		"layers/.new*", "layers/.dead*", "layers/*.sqfs", "mnt/[^.]*", "mnt/.new*", "mnt/.dead*", "jobs/*/*", "jobs/*/.[dn]*", "salvage/[^.]*", "grown/*",
		"spool/files/[^.]*", "spool/small/[^.]*", "spool/*/.staging/*", "../store/.staging/*", "spool/rate.json.*",
	} {
		left, err := filepath.Glob(filepath.Join(a.host.Dir, pattern))
		if err != nil || len(left) > 0 {
			a.Errorf("left behind: %v %v", left, err)
		}
	}
	tidied(a.T, a.host)
	a.gone("mounts", "cat /proc/self/mountinfo")
	a.gone("loop devices", unusedLoops)
	a.storeIsTidy()
}

// unusedLoops lists the files of loop devices that nobody has mounted. Mounts of ours are copied with each mount namespace that somebody on the machine
// makes meanwhile, and there they stay as long as it does.
const unusedLoops = `for d in /sys/block/loop*/loop; do n=${d%/loop}; grep -qs "/dev/${n##*/} " /proc/[0-9]*/mountinfo || cat $d/backing_file 2>/dev/null; done; true`

// gone says that a listing has nothing of the host, soon: the kernel may give back a loop device later, when another process holds on to its mounts.
func (a *aftermath) gone(what, listing string) {
	a.Helper()
	var left []string
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, err := exec.CommandContext(a.Context(), "sh", "-c", listing).Output()
		must(a.T, err)
		left = slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool { return !strings.Contains(line, a.host.Dir+"/") })
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			a.Errorf("%s are left: %q", what, left)
			return
		}
	}
}

// storeIsTidy says that the store holds what its entries name, and nothing else but the marks of what they replaced.
func (a *aftermath) storeIsTidy() {
	a.Helper()
	objects, err := a.host.Store.List(a.Context(), keyVersion+"/", 0)
	must(a.T, err)
	named := map[string]bool{}
	direct := *a.host
	direct.store = a.host.Store
	for _, o := range objects {
		if !strings.HasSuffix(o.Key, ".json") || strings.Contains(o.Key, "/dead/") {
			continue
		}
		e, err := direct.entry(a.Context(), o.Key)
		if err != nil {
			a.Errorf("%v", err)
			continue
		}
		if e.Layer != nil {
			named[e.Layer.Digest] = true
		}
		for digest := range e.Replaces {
			named[digest] = true
		}
	}
	for _, o := range objects {
		digest := strings.TrimSuffix(filepath.Base(o.Key), ".sqfs")
		switch {
		case strings.Contains(o.Key, "/dead/"):
			a.Errorf("a note is left: %s", o.Key)
		case strings.HasSuffix(o.Key, ".sqfs") && !named[digest]:
			a.Errorf("nothing names %s", o.Key)
		case strings.HasSuffix(o.Key, ".sqfs"):
			verified(a.T, filepath.Join(a.dir, "store", o.Key), digest)
		}
	}
}

// later makes all that was left half made, and all notes, older than anybody waits.
func (a *aftermath) later() {
	a.Helper()
	const by = 2 * doomedFor
	must(a.T, filepath.WalkDir(a.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d.Name() == "mnt" {
				return fs.SkipDir
			}
			return err
		}
		if filepath.Base(filepath.Dir(path)) == "dead" {
			_, digest, _ := strings.Cut(filepath.Base(path), "-")
			old := fmt.Sprint(noteTime(path).Add(-by).Unix())
			return os.Rename(path, filepath.Join(filepath.Dir(path), old+"-"+digest))
		}
		if strings.HasSuffix(path, ".sqfs") {
			return nil
		}
		then := time.Now().Add(-by)
		return os.Chtimes(path, then, then)
	}))
	// A Put is what sweeps a folder store, once in each process.
	a.host = storyHost(a.Context(), a.dir, "host")
	a.job(a.host, seeds)
}

// tidied unmounts all that a host has mounted.
func tidied(t *testing.T, c *Cache) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	works, _ := filepath.Glob(filepath.Join(c.Dir, "jobs", "*", "*"))
	salvage, _ := filepath.Glob(filepath.Join(c.Dir, salvageFolder, "[^.]*"))
	for _, dir := range append(works, salvage...) {
		must(t, c.driver.Unmount(ctx, WorkOf(dir)))
	}
	held, err := c.driver.Held(ctx)
	must(t, err)
	for _, digest := range held {
		must(t, c.driver.Release(ctx, digest))
	}
}

package layer_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer/layertest"
)

// watched is a mounted work folder and what was opened in it.
type watched struct {
	layer.Work
	seen map[string]int
	stop func() error
}

func watch(t *testing.T, f *layertest.Fixture, name string, layers ...string) *watched {
	t.Helper()
	w := &watched{Work: f.Mount(name, layers...), seen: map[string]int{}}
	stop, err := layer.NewImage(f.Host).Watch(w.Work, "/go-caches", func(path string) { w.seen[path]++ })
	f.Must(err)
	w.stop = stop
	return w
}

// container runs a script that sees the folder as a container does: in a mount namespace that goes away with it, at a path of its
// own.
func container(t *testing.T, w layer.Work, script string) {
	t.Helper()
	const enter = `mount -t tmpfs none /mnt && cd /mnt && mkdir old go-caches && mount --bind "$0" go-caches
		for d in bin lib lib64 usr dev proc; do test -e /$d && mkdir $d && mount --rbind /$d $d; done
		pivot_root . old && umount -l /old && exec sh -ec "$1"`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation=private", "sh", "-c", enter, w.Merged(), script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestWhatAContainerOpensIsSeenByNameEvenAfterItHasGone(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	digest := f.Write(map[string]string{"build/00/a": "a", "build/00/b": "b", "build/00/c": "c", "modules/go-caches/d": "d"})
	w := watch(t, f, "job", digest)
	container(t, w.Work, `cd /go-caches; cat build/00/a modules/go-caches/d; echo x > new
		ls build/00 > /dev/null; stat build/00/b > /dev/null; rm build/00/c`)
	out, err := exec.CommandContext(t.Context(), "cat", w.Merged()+"/build/00/b").CombinedOutput() // on the host
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f.Must(w.stop())
	for name, want := range map[string]bool{
		"build/00/a": true, "build/00/b": true, "modules/go-caches/d": true, "new": true, "build/00": false, "build/00/c": false, "": false,
	} {
		if w.seen[name] > 0 != want {
			t.Errorf("%q seen: %v, want %v; all: %v", name, !want, want, w.seen)
		}
	}
	if len(w.seen) != 4 {
		t.Errorf("seen: %v", w.seen)
	}
}

func TestOf20000OpensThatNobodyReadsBeforeTheStopNoneIsLost(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	files := map[string]string{}
	for i := range 20_000 {
		files[fmt.Sprintf("%02x/%d", i%256, i)] = ""
	}
	w := f.Mount("job", f.Write(files))
	seen, busy := map[string]bool{}, make(chan struct{})
	stop, err := layer.NewImage(f.Host).Watch(w, "/go-caches", func(path string) {
		<-busy
		seen[path] = true
	})
	f.Must(err)
	container(t, w, `cd /go-caches; find . -type f -print0 | xargs -0 -P 4 cat; rm ff/255`)
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	time.Sleep(100 * time.Millisecond) // the wait for more is over by now, and all but the first are still in the kernel
	close(busy)
	f.Must(<-stopped)
	if len(seen) != len(files) {
		t.Errorf("%d of %d files were seen", len(seen), len(files))
	}
	for name := range seen {
		if _, ok := files[name]; !ok {
			t.Fatalf("%q was never there", name)
		}
	}
}

func TestTwoJobsOverOneLayerSeeOnlyTheirOwnOpens(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	digest := f.Write(map[string]string{"a": "a", "b": "b"})
	one, two := watch(t, f, "one", digest), watch(t, f, "two", digest)
	container(t, one.Work, "cat /go-caches/a")
	container(t, two.Work, "cat /go-caches/b")
	f.Must(one.stop())
	f.Must(two.stop())
	if len(one.seen) != 1 || one.seen["a"] != 1 || len(two.seen) != 1 || two.seen["b"] != 1 {
		t.Errorf("seen: %v and %v", one.seen, two.seen)
	}
}

func TestAfterAWatchNothingIsLeftOfIt(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	digest := f.Write(map[string]string{"a": "a"})
	w := watch(t, f, "job", digest)
	container(t, w.Work, "cat /go-caches/a")
	f.Must(w.stop())
	container(t, w.Work, "cat /go-caches/a")
	if w.seen["a"] != 1 {
		t.Errorf("seen: %v", w.seen)
	}
	for _, fd := range fds(t) {
		if strings.Contains(fd, w.Dir) {
			t.Errorf("%s is open", fd)
		}
	}
	f.Must(f.Driver.Unmount(t.Context(), w.Work))
	if left := layertest.Mounts(t, w.Dir); len(left) > 0 {
		t.Errorf("mounted: %q", left)
	}
}

func fds(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open = append(open, target)
		}
	}
	return open
}

func TestAFolderThatIsNotMountedIsNotWatched(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	w := f.Mount("job")
	f.Must(f.Driver.Unmount(t.Context(), w))
	if _, err := layer.NewImage(f.Host).Watch(w, "/go-caches", func(string) {}); err == nil || !strings.Contains(err.Error(), "not mounted") {
		t.Errorf("got error %v", err)
	}
}

func TestPathsOfOpensLoseWhatIsAboveTheFolder(t *testing.T) {
	t.Parallel()
	inside := []string{"/go-caches", "/state/jobs/1/cache/merged"}
	for path, want := range map[string]string{
		"/go-caches/build/00/a":                  "build/00/a",
		"/state/jobs/1/cache/merged/build/00/a":  "build/00/a",
		"/build/00/a":                            "build/00/a", // the container has gone
		"/go-caches-too/a":                       "go-caches-too/a",
		"/go-caches/build/00/b (deleted)":        "build/00/b",
		"/modules/go-caches/a":                   "modules/go-caches/a",
		"/state/jobs/1/cache/merged/go-caches/a": "go-caches/a",
	} {
		if got := layer.Relative(path, inside); got != want {
			t.Errorf("%q becomes %q, want %q", path, got, want)
		}
	}
	if got := layer.Relative("/caches/a", []string{"/caches/"}); got != "a" {
		t.Errorf("with a slash at the end: %q", got)
	}
}

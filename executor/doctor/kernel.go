package doctor

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// lookAtKernel is about what only the driver image needs.
func (h *host) lookAtKernel(context.Context) []Finding {
	if h.noCaches() || h.driver() == settings.DriverCopy {
		return []Finding{ok("nothing is mounted (cache.driver, cache.kinds)")}
	}
	var found []Finding
	for _, lack := range layer.Lacks(layer.Kernel()) {
		found = append(found, mountless(h.driver(), lack.Remedy, "%s", lack.What))
	}
	if len(found) > 0 {
		return found
	}
	way := "one by one (lowerdir+)"
	if !layer.TakesManyLayers() {
		way = "by short names, as is the way before Linux 6.7"
	}
	return []Finding{ok("has squashfs, overlay and loop devices; takes layers %s", way)}
}

// tryMounts writes a layer, mounts it, watches a file in it being opened, and takes all away again.
func (h *host) tryMounts(ctx context.Context) []Finding {
	if h.noCaches() {
		return []Finding{ok("none is needed without caches (cache.kinds)")}
	}
	dir, err := os.MkdirTemp(h.settings.StateDir, trialFolder)
	if err != nil {
		return failed(err, "see that root can write to state_dir")
	}
	host := layer.Host{Dir: dir}
	if h.driver() == settings.DriverCopy {
		err := tryDriver(ctx, host, layer.NewCopy(host))
		return judgeTrial(settings.DriverCopy, errors.Join(err, clearAway(dir)))
	}
	image := layer.NewImage(host)
	err = errors.Join(tryDriver(ctx, host, image), clearAway(dir))
	return judgeTrial(h.driver(), err)
}

var errUnseen = errors.New("a file was opened in it, and the kernel did not tell")

// tryDriver is a job's way through a driver.
func tryDriver(ctx context.Context, host layer.Host, driver layer.Driver) (err error) {
	clean := context.WithoutCancel(ctx)
	info, err := host.Write(ctx, nil, trialFiles)
	if err != nil {
		return err
	}
	work := layer.Work{Dir: filepath.Join(host.Dir, "work")}
	defer func() {
		err = errors.Join(err, driver.Unmount(clean, work), driver.Release(clean, info.Digest))
	}()
	if err := driver.Mount(ctx, work, []string{info.Digest}); err != nil {
		return err
	}
	file := filepath.Join(work.Merged(), trialFile)
	watcher, watches := driver.(layer.Watcher)
	if !watches {
		_, err := os.ReadFile(file)
		return err
	}
	var seen atomic.Bool
	stop, err := watcher.Watch(work, trialTarget, func(path string) { seen.Store(seen.Load() || path == trialFile) })
	if err != nil {
		return err
	}
	_, read := os.ReadFile(file)
	if err := errors.Join(read, stop()); err != nil {
		return err
	}
	if !seen.Load() {
		return &layer.Lack{What: "opens cannot be watched", Remedy: watchRemedy, Err: errUnseen}
	}
	return nil
}

const (
	trialFile   = "file"
	trialText   = "gitlab-go-executor doctor\n"
	watchRemedy = "that needs fanotify in the kernel"
)

var trialFiles iter.Seq2[layer.File, error] = func(yield func(layer.File, error) bool) {
	yield(layer.File{Name: trialFile, Mode: 0o644, ModTime: time.Unix(1, 0), Size: int64(len(trialText)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(trialText)), nil
	}}, nil)
}

// judgeTrial judges what a layer and its mount failed for.
func judgeTrial(driver string, err error) []Finding {
	if err == nil {
		return []Finding{ok("a layer was written, mounted and read (cache.driver = %q)", driver)}
	}
	lacks := layer.Lacks(err)
	switch {
	case len(lacks) == 1 && strings.HasPrefix(lacks[0].What, "opens cannot"):
		return []Finding{warning(lacks[0].Remedy+"; until then hits are not known (stats.count_hits)", "a layer was mounted, and %v", err)}
	case errors.Is(err, unix.ENOSPC):
		return failed(err, "make space in state_dir")
	}
	remedy := "see that the kernel has squashfs with lz4 (CONFIG_SQUASHFS_LZ4), overlay and free loop devices (losetup --find), and what dmesg says"
	if len(lacks) > 0 {
		remedy = lacks[0].Remedy
	}
	if driver == settings.DriverCopy {
		return failed(err, remedy)
	}
	return []Finding{mountless(driver, remedy, "a layer cannot be mounted below state_dir: %v", err)}
}

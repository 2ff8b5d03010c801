// Command bench measures, on one machine and with the caches of one large public Go module.
//
// As make bench-peers: how long it takes until a job's build can start and until its caches are saved, with ours on a warm host, with ours on a
// host that has never seen the project, with GitLab Runner's own cache (its cache-extractor and cache-archiver), and with tar and zstd. All use
// the same MinIO on the loopback interface. Before each restore the page cache is dropped, but for what MinIO serves; the build that follows
// is measured too.
//
// As make bench-commits: what many commits in a row cost, each of which changes a few packages and now and then a dependency, and what
// the caches grow to.
//
// Both are called as root by make, which builds what they need. Nothing is left but the modules that Go downloads.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

func main() {
	module := flag.String("module", "github.com/caddyserver/caddy/v2@v2.11.9", "the module to build")
	bump := flag.String("bump", "github.com/yuin/goldmark", "the module of its go.mod to change the version of")
	commits := flag.Int("commits", 0, "measure so many commits in a row, and not the peers")
	asJSON := flag.Bool("json", false, "print the figures as JSON")
	step := flag.String("step", "", "one step in a process of its own: "+stepRestore+" or "+stepSave)
	flag.Parse()
	ctx := context.Background()
	var err error
	switch {
	case *step != "":
		err = runStep(ctx, *step)
	case *commits > 0:
		err = inWorkspace(ctx, *module, func(w *workspace) error { return benchCommits(ctx, w, *commits, *bump, *asJSON) })
	default:
		err = inWorkspace(ctx, *module, func(w *workspace) error { return benchPeers(ctx, w, *bump, *asJSON) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func inWorkspace(ctx context.Context, module string, measure func(*workspace) error) error {
	w, err := newWorkspace(ctx, module)
	if err != nil {
		return err
	}
	defer w.remove(context.WithoutCancel(ctx))
	stop, err := w.startMinIO(ctx)
	if err != nil {
		return err
	}
	defer stop()
	return measure(w)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func since(began time.Time) float64 { return time.Since(began).Seconds() }

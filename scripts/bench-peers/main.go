// Command bench-peers measures, on one machine and with the caches of one large public Go module, how long it takes until a job's build
// can start and until its caches are saved: with ours on a warm host, with ours on a host that has never seen the project, with
// GitLab Runner's own cache (its cache-extractor and cache-archiver), and with tar and zstd. All use the same MinIO on the loopback
// interface. Before each restore the page cache is dropped, but for what MinIO serves; the build that follows is measured too.
//
// It is called by make bench-peers, as root, which builds what it needs. Nothing is left but the modules that Go downloads.
package main

import (
	"context"
	"encoding/json"
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
	asJSON := flag.Bool("json", false, "print the figures as JSON")
	step := flag.String("step", "", "one step in a process of its own: "+stepRestore+" or "+stepSave)
	flag.Parse()
	ctx := context.Background()
	var err error
	if *step != "" {
		err = runStep(ctx, *step)
	} else {
		err = bench(ctx, *module, *bump, *asJSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

// Row is what is measured of one way to keep caches; seconds, bytes.
type Row struct {
	Name string `json:"name"`
	// Ready is the time from the first byte asked for until the build can start; Fetched is what was moved for it.
	Ready   float64 `json:"ready_seconds"`
	Fetched int64   `json:"fetched_bytes"`
	// Build is the time of the build after that.
	Build float64 `json:"build_seconds"`
	// Unchanged, Package and Module are the saves after a build with nothing changed, with one package changed, and with one module in
	// another version.
	Unchanged Save  `json:"unchanged"`
	Package   Save  `json:"package"`
	Module    Save  `json:"module"`
	Memory    int64 `json:"peak_memory_bytes"` // of the processes that restore and save
}

// Save is one save.
type Save struct {
	Seconds float64 `json:"seconds"`
	Sent    int64   `json:"sent_bytes"`
}

// way is one way to keep caches. Its methods leave what they restore at workspace.caches.
type way interface {
	name() string
	// restore makes the caches ready and tells how many bytes were moved.
	restore(ctx context.Context, job string) (measured, error)
	// save saves them, and removes them from their place.
	save(ctx context.Context, job string) (measured, error)
}

// measured is what one process, or several in a row, took.
type measured struct {
	Seconds float64 `json:"seconds"`
	Moved   int64   `json:"moved"`
	Memory  int64   `json:"memory"`
}

func bench(ctx context.Context, module, bump string, asJSON bool) error {
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
	say("cold build of %s", module)
	ours := newOurs(w, "state")
	if _, err := ours.restore(ctx, "cold"); err != nil {
		return err
	}
	cold, err := w.build(ctx)
	if err != nil {
		return err
	}
	if err := run(ctx, w.dir, "cp", "-a", w.caches+"/.", w.plain); err != nil {
		return err
	}
	first, err := ours.save(ctx, "cold")
	if err != nil {
		return err
	}
	say("cold build %.1f s, save of everything %.1f s, %d bytes", cold, first.Seconds, first.Moved)

	var rows []Row
	for _, one := range []way{
		ours, &fresh{ours: ours},
		&gitlab{archived{w: w}, "zip"}, &gitlab{archived{w: w}, "tarzstd"}, &tarball{archived{w: w}},
	} {
		row, err := measure(ctx, w, one, bump)
		if err != nil {
			return fmt.Errorf("%s: %w", one.name(), err)
		}
		rows = append(rows, row)
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"module": module, "cold_build_seconds": cold, "first_save": first, "rows": rows})
	}
	table(os.Stdout, rows)
	return nil
}

// measure takes one way through a restore, a build and the three saves.
func measure(ctx context.Context, w *workspace, one way, bump string) (Row, error) {
	row := Row{Name: one.name()}
	say("%s", row.Name)
	note := func(m measured) Save {
		row.Memory = max(row.Memory, m.Memory)
		return Save{m.Seconds, m.Moved}
	}
	changes := []struct {
		name string
		to   *Save
		make func() error
	}{
		{"unchanged", &row.Unchanged, func() error { return nil }},
		{"package", &row.Package, func() error { return w.changePackage() }},
		{"module", &row.Module, func() error { return w.changeModule(ctx, bump) }},
	}
	for i, change := range changes {
		if err := w.reset(ctx); err != nil {
			return row, err
		}
		if err := w.dropPageCache(ctx); err != nil {
			return row, err
		}
		job := fmt.Sprintf("%s-%s", strings.NewReplacer(" ", "-", ",", "").Replace(row.Name), change.name)
		ready, err := one.restore(ctx, job)
		if err != nil {
			return row, err
		}
		note(ready)
		if i == 0 {
			row.Ready, row.Fetched = ready.Seconds, ready.Moved
		}
		if err := change.make(); err != nil {
			return row, err
		}
		seconds, err := w.build(ctx)
		if err != nil {
			return row, err
		}
		if i == 0 {
			row.Build = seconds
		}
		saved, err := one.save(ctx, job)
		if err != nil {
			return row, err
		}
		*change.to = note(saved)
	}
	return row, nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench-peers: "+format+"\n", args...) }

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// dropPageCache has what is read next come from disk, as on a host that has done other things meanwhile. What the store holds is in memory
// again afterwards: the disk of another machine is not what is measured.
func (w *workspace) dropPageCache(ctx context.Context) error {
	if err := run(ctx, w.dir, "sync"); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0o600); err != nil {
		return err
	}
	return run(ctx, w.dir, "sh", "-c", "find minio -type f -exec cat {} + >/dev/null")
}

func since(began time.Time) float64 { return time.Since(began).Seconds() }

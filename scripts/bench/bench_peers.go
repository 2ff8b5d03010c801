package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Row is what is measured of one way to keep caches; seconds, bytes.
type Row struct {
	Name string `json:"name"`
	// Ready is the time from the first byte asked for until the build can start; Fetched is what was moved for it.
	Ready   float64 `json:"ready_seconds"`
	Fetched int64   `json:"fetched_bytes"`
	// Build is the time of the build after that.
	Build float64 `json:"build_seconds"`
	// The saves after a build with nothing changed, with a package changed that hardly anything imports, with the one in the module's root, which most
	// of a library imports, and with one module in another version.
	Unchanged Save  `json:"unchanged"`
	Leaf      Save  `json:"leaf_package"`
	Root      Save  `json:"root_package"`
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

func benchPeers(ctx context.Context, w *workspace, bump string, asJSON bool) error {
	say("cold build of %s", w.module)
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

	ways := []way{
		ours, &fresh{ours: ours},
		&gitlab{archived{w: w}, "zip"}, &gitlab{archived{w: w}, "tarzstd"}, &tarball{archived{w: w}},
	}
	rows := make([]Row, len(ways))
	for _, one := range changes(w, bump) { // all of them restore the same content each time
		for i, way := range ways {
			rows[i].Name = way.name()
			say("%s: %s", one.name, way.name())
			if err := rows[i].measure(ctx, w, way, one, i); err != nil {
				return fmt.Errorf("%s: %w", way.name(), err)
			}
		}
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"module": w.module, "cold_build_seconds": cold, "first_save": first, "rows": rows})
	}
	table(os.Stdout, rows)
	return nil
}

// measure takes one way through a restore, a build with a change, and a save.
func (row *Row) measure(ctx context.Context, w *workspace, way way, change change, nth int) error {
	if err := w.reset(ctx); err != nil {
		return err
	}
	if err := w.dropPageCache(ctx); err != nil {
		return err
	}
	job := fmt.Sprintf("%s-%s", strings.NewReplacer(" ", "-", ",", "").Replace(row.Name), change.name)
	ready, err := way.restore(ctx, job)
	if err != nil {
		return err
	}
	if err := change.make(ctx, nth); err != nil {
		return err
	}
	seconds, err := w.build(ctx)
	if err != nil {
		return err
	}
	saved, err := way.save(ctx, job)
	if err != nil {
		return err
	}
	row.Memory = max(row.Memory, ready.Memory, saved.Memory)
	*change.of(row) = Save{saved.Seconds, saved.Moved}
	if change.of(row) == &row.Unchanged {
		row.Ready, row.Fetched, row.Build = ready.Seconds, ready.Moved, seconds
	}
	return nil
}

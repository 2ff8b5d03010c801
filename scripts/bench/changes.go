package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// change is what a commit does. Each call of make changes something anew, so that nobody has it; nth keeps versions of modules apart.
type change struct {
	name string
	of   func(*Row) *Save
	make func(ctx context.Context, nth int) error
}

func changes(w *workspace, bump string) []change {
	return []change{
		{"unchanged", func(r *Row) *Save { return &r.Unchanged }, func(context.Context, int) error { return nil }},
		{"leaf-package", func(r *Row) *Save { return &r.Leaf }, func(ctx context.Context, _ int) error {
			packages, err := w.packages(ctx)
			if err != nil {
				return err
			}
			return w.changePackage(packages[0])
		}},
		{"root-package", func(r *Row) *Save { return &r.Root }, func(context.Context, int) error { return w.changePackage(w.source) }},
		{"module", func(r *Row) *Save { return &r.Module }, func(ctx context.Context, nth int) error { return w.changeModule(ctx, bump, nth) }},
	}
}

// packages are the folders of the module's packages, those that the fewest others import first, and without commands.
func (w *workspace) packages(ctx context.Context) ([]string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-f", "{{.Name}} {{.ImportPath}} {{.Dir}} {{join .Deps \" \"}}", "./...")
	list.Dir = w.source
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list ./...: %w", err)
	}
	importers, dirs := map[string]int{}, map[string]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if fields[0] != "main" {
			dirs[fields[1]] = fields[2]
		}
		for _, dep := range fields[3:] {
			importers[dep]++
		}
	}
	var all []string
	for path := range dirs {
		all = append(all, path)
	}
	slices.SortFunc(all, func(a, b string) int {
		if importers[a] != importers[b] {
			return importers[a] - importers[b]
		}
		return strings.Compare(a, b)
	})
	for i, path := range all {
		all[i] = dirs[path]
	}
	return all, nil
}

// changePackage makes a package new, differently each time.
func (w *workspace) changePackage(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	if err != nil || len(files) == 0 {
		return fmt.Errorf("there is no package in %s: %w", dir, err)
	}
	file, err := os.OpenFile(files[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	w.changed++
	_, err = fmt.Fprintf(file, "\nvar bench%d = 1\n", w.changed)
	return errors.Join(err, file.Close())
}

// changeModule takes a version of a module that is so many older than the one required.
func (w *workspace) changeModule(ctx context.Context, module string, older int) error {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-versions", "-f", `{{.Version}}{{range .Versions}} {{.}}{{end}}`, module)
	list.Dir = w.source
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list -m -versions %s: %w", module, err)
	}
	versions := strings.Fields(string(out))
	at := slices.Index(versions[1:], versions[0]) - 1 - older
	if at < 0 {
		return fmt.Errorf("%s has no %d versions before %s", module, older+1, versions[0])
	}
	return run(ctx, w.source, "go", "mod", "edit", "-require="+module+"@"+versions[1:][at])
}

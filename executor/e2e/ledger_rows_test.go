package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// askLedger runs stats, which has to succeed.
func (h *host) askLedger(args ...string) string {
	h.t.Helper()
	out, errs, err := h.statsCommand(args...)
	if err != nil {
		h.t.Fatalf("stats %v: %v\n%s%s", args, err, out, errs)
	}
	return out
}

func (h *host) statsCommand(args ...string) (out, errs string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, executorBin, append([]string{"--config", filepath.Join(h.dir, "settings.toml"), "stats"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// ledgerRow is a job in the ledger, by column; what is null is not there.
type ledgerRow map[string]any

// rows are those of the ledger, by the job's number.
func (h *host) rows() map[string]ledgerRow {
	h.t.Helper()
	rows := map[string]ledgerRow{}
	for line := range strings.Lines(h.askLedger("--jobs", "--json")) {
		var r ledgerRow
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			h.t.Fatalf("%v: %s", err, line)
		}
		number := r.word("job")
		if rows[number] != nil {
			h.t.Errorf("job %s is in the ledger twice", number)
		}
		maps.DeleteFunc(r, func(_ string, value any) bool { return value == nil })
		rows[number] = r
	}
	return rows
}

func (r ledgerRow) word(column string) string { word, _ := r[column].(string); return word }

// number is -1 for what is unknown.
func (r ledgerRow) number(column string) int {
	if n, ok := r[column].(float64); ok {
		return int(n)
	}
	return -1
}

func (r ledgerRow) seconds(columns ...string) (sum float64) {
	for _, column := range columns {
		n, _ := r[column].(float64)
		sum += n
	}
	return sum
}

// figures are what the operator log should say of the job.
func (r ledgerRow) figures() figures {
	return figures{
		Reason: r.word("cache_reason"), Platform: r.word("platform"), Toolchain: r.word("toolchain"), SaveReason: r.word("save_reason"),
		Wanted: r.number("modules_wanted"), HitHost: r.number("modules_hit_host"), HitStore: r.number("modules_hit_store"), Missed: r.number("modules_missed"),
		Available: r.number("build_available"), Hit: r.number("build_hit"), New: r.number("build_new"),
		Tests: r.number("tests_ok"), Cached: r.number("tests_cached"), Saved: r.number("saved_bytes"),
		RestoreSeconds: r.seconds("lookup_seconds", "download_seconds", "mount_seconds"), SaveSeconds: r.seconds("harvest_seconds", "write_seconds", "upload_seconds"),
	}
}

var summary = regexp.MustCompile(`Go caches: (\d+) of (\d+) modules hit; (\d+) packages hit, (\d+) compiled; (\d+) of (\d+) tests cached; `)

// agrees checks that ledger, operator log and job log say the same of a job.
func (g *goHost) agrees(j job, r result) ledgerRow {
	g.t.Helper()
	row := g.rows()[fmtID(j)]
	if inLog := g.figures(j); row.figures() != inLog {
		g.t.Errorf("job %s: the ledger says\n%+v\nthe operator log\n%+v", fmtID(j), row.figures(), inLog)
	}
	found := summary.FindStringSubmatch(r.Log)
	if found == nil {
		g.t.Fatalf("no summary in\n%s", r.Log)
	}
	want := []int{row.number("modules_hit_host") + row.number("modules_hit_store"), row.number("modules_wanted"), row.number("build_hit"), row.number("build_new"), row.number("tests_cached"), row.number("tests_ok")}
	for i, n := range want {
		if strconv.Itoa(n) != found[i+1] {
			g.t.Errorf("job %s: the ledger says %v, the job log %q", fmtID(j), want, found[0])
			break
		}
	}
	return row
}

// compiledFor finds out, without the executor, which packages have to be compiled anew when a commit bumps a module: its own, all that depend on
// them, and programs, into which Go writes the commit. It names them in the words of the ledger.
func (g *goHost) compiledFor(module string) []string {
	g.t.Helper()
	dir := g.t.TempDir()
	for name, content := range g.files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			g.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(g.t.Context(), "go", "list", "-deps", "-test", "-json=ImportPath,Name,Dir,Module,Deps", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY="+g.proxy.URL, "GONOSUMDB=*", "GOFLAGS=-mod=readonly -modcacherw", "GOMODCACHE="+g.t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		g.t.Fatalf("go list: %v", err)
	}
	type listed struct {
		ImportPath, Name, Dir string
		Module                *struct{ Path string }
		Deps                  []string
	}
	var all []listed
	changed := map[string]bool{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			g.t.Fatal(err)
		}
		all = append(all, p)
		changed[p.ImportPath] = p.Module != nil && p.Module.Path == module
	}
	var names []string
	for _, p := range all {
		path, _, _ := strings.Cut(p.ImportPath, " [") // compiled for a test
		affected := changed[p.ImportPath] || slices.ContainsFunc(p.Deps, func(path string) bool { return changed[path] })
		switch {
		case p.Name == "main" && strings.HasSuffix(path, ".test"):
			path = "main of a test"
		case p.Name == "main":
			path, affected = strings.Replace(p.Dir, dir, "/builds/group/project", 1), true
		}
		if affected {
			names = append(names, path)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

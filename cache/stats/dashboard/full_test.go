package dashboard

import (
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/statstest"
)

var removeFull = func() error { return nil }

const fullMonths = 33

// full is a ledger of a hundred thousand jobs, what max_size allows unless it is set: the scripted month, and as many before it as make that
// number. Their details are left out, which would take minutes to write.
var full = sync.OnceValues(func() (dir string, err error) {
	from, err := month()
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "dashboard"); err != nil {
		return "", err
	}
	removeFull = func() error { return os.RemoveAll(dir) }
	data, err := os.ReadFile(filepath.Join(from, "ledger.db"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ledger.db"), data, 0o600)
	}
	if err != nil {
		return "", err
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.db"))
	if err != nil {
		return "", err
	}
	defer db.Close()
	values := make([]string, len(stats.Columns))
	for i, column := range stats.Columns {
		values[i] = column
		switch column {
		case "job":
			values[i] = "job || '00' || n"
		case "began", "ended":
			values[i] = column + " - n * 31 * 24 * 3600 * 1000"
		case "detail":
			values[i] = "'{}'"
		}
	}
	_, err = db.Exec(`WITH RECURSIVE months (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM months WHERE n < ` + strconv.Itoa(fullMonths-1) + `)
		INSERT INTO jobs (` + strings.Join(stats.Columns, ", ") + ") SELECT " + strings.Join(values, ", ") + " FROM jobs, months")
	return dir, err
})

// processor is the time that this process has had of the processors, which depends less on what else the machine does than the time by the clock.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func TestAFullLedgerIsShownInNoTime(t *testing.T) { // not beside other tests, whose time would be counted
	dir, err := full()
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, opener(dir), allFacts())
	for path, most := range map[string]time.Duration{"/?range=all": 2 * time.Second, "/?range=30d": 300 * time.Millisecond, "/?range=all&project=shop%2Fweb": 2 * time.Second} {
		before, began := processor(t), time.Now()
		page := get(t, s, path)
		took := processor(t) - before
		t.Logf("%s: %v, %v by the clock, %d bytes", path, took, time.Since(began), len(page.body))
		if took > most {
			t.Errorf("%s took %v", path, took)
		}
		if got, want := list(page.Node, "dd", "value"), count(fullMonths*len(statstest.Month(1))); len(got) == 0 || path == "/?range=all" && got[0] != want {
			t.Errorf("%s has %v, want %s jobs", path, got, want)
		}
	}
}

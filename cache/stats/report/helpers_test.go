package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// day is when the jobs of the tests ended.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)

// warm is a job all of whose figures are known and different.
func warm(number int) stats.Job {
	return stats.Job{
		Instance: "gitlab.example.com", Project: "7", ProjectPath: "group/app", Job: fmt.Sprint(number), Name: "test", Pipeline: "1", RefType: "branch", Ref: "main",
		Tier: "protected", Host: "runner-1", Image: "golang:1.26", Platform: "linux-amd64-v1", Toolchain: "go1.26.8", Graph: strings.Repeat("a", 64),
		Began: stats.Time{Time: day}, Ended: stats.Time{Time: day.Add(time.Duration(number) * time.Second)}, Seconds: 10, Outcome: "success",
		CacheReason: "exact", Layers: new(2), LayerBytes: new(int64(84e6)),
		ModulesWanted: new(10), ModulesHitHost: new(6), ModulesHitStore: new(3), ModulesMissed: new(1),
		BuildAvailable: new(50), BuildHit: new(30), BuildNew: new(2), TestsOK: new(5), TestsCached: new(4),
		PrefetchSeconds: new(0.7), LookupSeconds: new(0.01), DownloadSeconds: new(0.5), MountSeconds: new(0.02), ScriptSeconds: new(4.0), HarvestSeconds: new(0.2), WriteSeconds: new(0.05), UploadSeconds: new(0.03),
		DownloadedBytes: new(int64(40e6)), SavedBytes: new(int64(2e6)), UploadedBytes: new(int64(1e6)),
		Detail: stats.Detail{Modules: []string{"example.com/alpha@v1.1.0", "example.com/beta@v1.0.0"}},
	}
}

// cold is a job that began with nothing.
func cold(number int) stats.Job {
	j := warm(number)
	j.CacheReason, j.Layers, j.LayerBytes, j.DownloadedBytes, j.ScriptSeconds = "first_run", new(0), new(int64(0)), new(int64(0)), new(100.0)
	j.ModulesHitHost, j.ModulesHitStore, j.ModulesMissed, j.BuildAvailable, j.BuildHit, j.BuildNew, j.TestsCached = new(0), new(0), new(10), new(0), new(0), new(32), new(0)
	return j
}

// bare is a job that ended before it could have caches.
func bare(number int) stats.Job {
	return stats.Job{
		Instance: "gitlab.example.com", Project: "8", Job: fmt.Sprint(number), Name: "lint", Outcome: "job_invalid", Reason: "image_not_allowed", FailedStage: "prepare",
		Began: stats.Time{Time: day}, Ended: stats.Time{Time: day.Add(time.Minute)}, Seconds: 0.5,
	}
}

func newLedger(t *testing.T, jobs ...stats.Job) *stats.Ledger {
	t.Helper()
	l, err := stats.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for _, j := range jobs {
		if err := l.Add(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func table(t *testing.T, l *stats.Ledger, by string) string {
	t.Helper()
	totals, err := Count(t.Context(), l, stats.Filter{}, by)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := totals.Table(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// same compares texts line by line.
func same(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// fits checks that no line is wider than the page, or bears anything that a terminal would obey.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if columns(line) > pageWidth || printable(line) != line || strings.HasSuffix(line, " ") {
			t.Errorf("%d columns: %q", columns(line), line)
		}
	}
}

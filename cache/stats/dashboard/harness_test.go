package dashboard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/statstest"
)

// now is when the pages of the tests are looked at: when the scripted month has ended.
var now = statstest.Ended.Local()

// warm is a job that found everything and job that ended so long ago.
func warm(number int, ago time.Duration) stats.Job {
	ended := now.Add(-ago)
	return stats.Job{
		Instance: "gitlab.example.com", Project: "7", ProjectPath: "group/app", Job: fmt.Sprint(number), Name: "test", Pipeline: "1", RefType: "branch", Ref: "main",
		Tier: "protected", Host: "runner-1", Image: "golang:1.26", Platform: "linux-amd64-v1", Toolchain: "go1.26.8", Graph: "3f9a1c0de5b77a10",
		Began: stats.Time{Time: ended.Add(-20 * time.Second)}, Ended: stats.Time{Time: ended}, Seconds: 20, Outcome: "success",
		CacheReason: "exact", BaseJob: "1", BaseTier: "protected", BaseGraph: "3f9a1c0de5b77a10", Layers: new(2), LayerBytes: new(int64(84e6)),
		ModulesWanted: new(64), ModulesHitHost: new(60), ModulesHitStore: new(3), ModulesMissed: new(1),
		BuildAvailable: new(1300), BuildHit: new(1200), BuildNew: new(10), TestsOK: new(12), TestsCached: new(9),
		LookupSeconds: new(0.01), DownloadSeconds: new(0.25), MountSeconds: new(0.02), ScriptSeconds: new(12.0), HarvestSeconds: new(0.2), WriteSeconds: new(0.05), UploadSeconds: new(0.0),
		DownloadedBytes: new(int64(3e6)), SavedBytes: new(int64(2e6)), UploadedBytes: new(int64(0)),
		Detail: stats.Detail{
			Bases:    []stats.Base{{Kind: "modules", Tier: "protected", Entries: 3, Job: "1", Graph: "3f9a1c0de5b77a10", Saved: ended.Add(-time.Hour), Exact: true}},
			Compiled: []string{"example.com/app/server"},
		},
	}
}

// cold is the same job when it began with nothing.
func cold(number int, ago time.Duration) stats.Job {
	j := warm(number, ago)
	j.CacheReason, j.BaseJob, j.BaseTier, j.BaseGraph, j.Layers, j.LayerBytes = "first_run", "", "", "", new(0), new(int64(0))
	j.ModulesHitHost, j.ModulesHitStore, j.ModulesMissed, j.BuildAvailable, j.BuildHit, j.BuildNew, j.TestsCached = new(0), new(0), new(64), new(0), new(0), new(1210), new(0)
	j.Seconds, j.ScriptSeconds, j.HarvestSeconds, j.WriteSeconds = 140, new(128.0), new(2.1), new(0.9)
	j.Detail.Bases[0] = stats.Base{Kind: "modules", Tier: "protected"}
	j.Detail.Compiled = nil
	return j
}

var removeMonth = func() error { return nil }

// month is a ledger of the scripted month, for all tests to read.
var month = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "dashboard"); err != nil {
		return "", err
	}
	removeMonth = func() error { return os.RemoveAll(dir) }
	l, err := stats.Open(context.Background(), dir)
	if err != nil {
		return dir, err
	}
	for _, j := range statstest.Month(1) {
		if err := l.Add(context.Background(), j); err != nil {
			return dir, errors.Join(err, l.Close())
		}
	}
	return dir, l.Close()
})

func openMonth(t *testing.T) Open {
	t.Helper()
	dir, err := month()
	if err != nil {
		t.Fatal(err)
	}
	return opener(dir)
}

// hostile is a job of which every word was chosen to do harm.
func hostile(number int, word string) stats.Job {
	j := warm(number, time.Hour)
	for _, field := range []*string{&j.ProjectPath, &j.Name, &j.RefType, &j.Ref, &j.Tier, &j.Image, &j.Platform, &j.Toolchain, &j.Graph, &j.BaseJob, &j.BaseTier, &j.BaseGraph, &j.CacheReason, &j.Reason} {
		*field = word
	}
	j.Detail = stats.Detail{
		Bases:   []stats.Base{{Kind: word, Tier: word, Entries: 1, Job: word, Graph: word, Problem: word}},
		Changed: []stats.Change{{Path: word, Had: word, Want: word}}, Compiled: []string{word}, Refused: map[string]int{word: 1}, Problems: []string{word},
	}
	return j
}

// harm is what words of a job may try.
var harm = map[string]string{
	"a script":      `"><script>alert(document.domain)</script><img src=x onerror=alert(1)>`,
	"quotes":        `'" onmouseover="alert(1)" x='` + "`${alert(1)}`{{.Style}}</style></title></svg>",
	"a link":        `javascript:alert(1)//https://evil.example/?x=&y=%00`,
	"bidi marks":    "\u202Egpj.exe\u2066\u200Fמבחן\u200Bעולם\u061C",
	"5000 letters":  strings.Repeat("x", 5000),
	"5000 arabic":   strings.Repeat("ﷺ", 5000),
	"newlines":      "one\r\n\n\n\ttwo\x00\x1b[31mred\x1b[0m\u2028three",
	"tall marks":    "Z" + strings.Repeat("\u0353\u0301\u0489", 200),
	"broken":        "\xff\xfe\xc3(",
	"dots":          "../../../etc",
	"long sentence": strings.Repeat("a very long name that wraps ", 100),
}

// hostileJobs are one for each of them, in the order of their names.
func hostileJobs() (jobs []stats.Job) {
	for i, name := range slices.Sorted(maps.Keys(harm)) {
		jobs = append(jobs, hostile(i, harm[name]))
	}
	return jobs
}

// numberOf is the number of one of these jobs.
func numberOf(name string) string {
	return strconv.Itoa(slices.Index(slices.Sorted(maps.Keys(harm)), name))
}

// allFacts are those of a host of which all is known.
func allFacts() Facts {
	return Facts{
		Host: "runner-1", Version: "v0.9.0", Taken: now,
		HostTier: Use{new(int64(212)), new(int64(12.7e9)), new(int64(20 << 30))}, Store: Use{new(int64(1840)), new(int64(48.2e9)), new(int64(0))},
		Ledger: Use{new(int64(1234)), new(int64(4.2e6)), new(int64(256 << 20))}, DiskFree: new(int64(181e9)), DiskSize: new(int64(500e9)),
		StoreName: "s3://ci-caches/go at minio.example.com", StoreHealth: Health{Up: new(true), Answered: now.Add(-time.Minute)},
		Spool: Spool{new(int64(3)), new(int64(18e6)), now.Add(-3 * time.Minute)}, OrphanJobs: new(int64(0)), OrphanContainers: new(int64(0)),
	}
}

// troubled are those of a host in trouble.
func troubled() Facts {
	f := allFacts()
	f.HostTier.Bytes, f.DiskFree, f.OrphanJobs, f.OrphanContainers = new(int64(20<<30)), new(int64(9e9)), new(int64(3)), new(int64(1))
	f.StoreHealth = Health{
		Up: new(false), Answered: now.Add(-2 * time.Hour), Since: now.Add(-2 * time.Hour), Reason: "store_unreachable",
		Problem: `Get "https://minio.example.com/ci-caches/?location=": dial tcp 192.0.2.7:443: i/o timeout`,
	}
	f.Spool = Spool{new(int64(1250)), new(int64(7.3e9)), now.Add(-2 * time.Hour)}
	return f
}

// newLedger makes a ledger with jobs in it.
func newLedger(t *testing.T, jobs ...stats.Job) Open {
	t.Helper()
	dir := t.TempDir()
	l, err := stats.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, j := range jobs {
		if err := l.Add(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	return opener(dir)
}

func opener(dir string) Open {
	return func(ctx context.Context) (*stats.Ledger, error) { return stats.OpenToRead(ctx, dir) }
}

// broken is a ledger that is none.
func broken(t *testing.T) Open {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ledger.db"), []byte("this is no database, whatever its name says"), 0o600); err != nil {
		t.Fatal(err)
	}
	return opener(dir)
}

func serve(t *testing.T, open Open, facts Facts) *httptest.Server {
	t.Helper()
	s := httptest.NewServer((&handler{open, func() Facts { return facts }, func() time.Time { return now }, pageLimit, make(chan struct{}, pagesAtOnce)}).routes())
	t.Cleanup(s.Close)
	return s
}

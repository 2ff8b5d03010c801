package stats

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// day is when the jobs of the tests ended.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)

// row is a job that has a bit of everything.
func row(number int) Job {
	return Job{
		Instance: "gitlab.example.com", Project: "7", ProjectPath: "group/app", Job: fmt.Sprint(number), Name: "test", Pipeline: "1", RefType: "branch", Ref: "main",
		Tier: "protected", Host: "runner-1", Image: "golang:1.26", Platform: "linux-amd64-v1", Toolchain: "go1.26.8", Graph: "g",
		Began: Time{day}, Ended: Time{day.Add(time.Duration(number) * time.Second)}, Seconds: 10, Outcome: "success",
		CacheReason: "exact", Layers: new(2), LayerBytes: new(int64(100)),
		ModulesWanted: new(10), ModulesHitHost: new(6), ModulesHitStore: new(3), ModulesMissed: new(1),
		BuildAvailable: new(50), BuildHit: new(30), BuildNew: new(2), TestsOK: new(5), TestsCached: new(3),
		LookupSeconds: new(0.25), DownloadSeconds: new(0.75), MountSeconds: new(0.25), ScriptSeconds: new(4.0), HarvestSeconds: new(0.5), WriteSeconds: new(0.25), UploadSeconds: new(0.25),
		DownloadedBytes: new(int64(40)), SavedBytes: new(int64(20)), UploadedBytes: new(int64(10)),
		Detail: Detail{Modules: []string{"example.com/m@v1.0.0"}, Compiled: []string{"example.com/m"}},
	}
}

// cold is a job that began with nothing.
func cold(number int, seconds float64) Job {
	j := row(number)
	j.CacheReason, j.Layers, j.ScriptSeconds = "first_run", new(0), new(seconds)
	return j
}

func newLedger(t *testing.T) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *Ledger) add(t *testing.T, jobs ...Job) {
	t.Helper()
	for _, j := range jobs {
		if err := l.Add(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *Ledger) all(t *testing.T, f Filter) (jobs []Job) {
	t.Helper()
	for j, err := range l.Jobs(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func TestAJobIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	full, bare := row(1), Job{Instance: "gitlab.example.com", Job: "2", Began: Time{day}, Ended: Time{day.Add(time.Hour)}, Outcome: "job_invalid"}
	l.add(t, full, bare)
	got := l.all(t, Filter{})
	for i := range got {
		got[i].Began.Time, got[i].Ended.Time = got[i].Began.Local(), got[i].Ended.Local()
	}
	if want := []Job{full, bare}; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestEachFieldOfAJobHasAColumn(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	rows, err := l.db.QueryContext(t.Context(), "SELECT name FROM pragma_table_info('jobs')")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	if want := append(slices.Clone(Columns), "number"); rows.Err() != nil || !slices.Equal(got, want) {
		t.Errorf("the table has %v\nthe fields are %v (%v)", got, want, rows.Err())
	}
}

func TestALaterAttemptTakesThePlaceOfAnEarlierOneAndEachIsAddedOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	first := row(1)
	first.Outcome = "system_failed"
	first.Began = Time{day.Add(-time.Minute)}
	other := row(1)
	other.Instance = "other.example.com"
	again := row(1)
	again.Outcome = "lost" // somebody who had crashed goes on, and knows less
	l.add(t, first, row(1), other, again)
	got := l.all(t, Filter{})
	if len(got) != 2 || got[0].Outcome != "success" || got[1].Instance != "other.example.com" {
		t.Errorf("got %+v", got)
	}
}

func TestWhatIsSavedOfAKilledJobIsAddedToItsRow(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	number := func(n int) *int { return &n }
	bytes := func(n int64) *int64 { return &n }
	killed := Job{Instance: "gitlab.example.com", Job: "1", Began: Time{day}, Ended: Time{day.Add(time.Hour)}, Outcome: "lost", ModulesMissed: number(7)}
	other := killed
	other.Instance = "another.example.com"
	l.add(t, killed, other)
	follow := func() (n int) {
		if err := l.Follow(t.Context(), "test", func(Job) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	follow()
	saved := Job{Instance: killed.Instance, Job: "1", SavedBytes: bytes(100), ModulesWanted: number(3), ModulesMissed: number(2), BuildNew: number(5)}
	for _, at := range []time.Duration{-time.Minute, 2 * time.Hour, time.Minute} { // another attempt's, twice, and its own
		if err := l.AddSaved(t.Context(), day.Add(at), saved); err != nil {
			t.Fatal(err)
		}
	}
	saved.Job = "2"
	if err := l.AddSaved(t.Context(), day.Add(time.Minute), saved); err != nil {
		t.Fatal(err)
	}
	killed.SavedBytes, killed.ModulesWanted, killed.BuildNew = bytes(100), number(3), number(5)
	got := l.all(t, Filter{})
	for i := range got {
		got[i].Began.Time, got[i].Ended.Time = got[i].Began.Local(), got[i].Ended.Local()
	}
	if want := []Job{killed, other}; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if n := follow(); n != 0 {
		t.Errorf("%d jobs would be counted again", n)
	}
}

func TestWhatTheCachesSavedIsAgainstTheNewestColdRunOfTheSameJob(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	others := []Job{cold(11, 900), cold(12, 900), cold(13, 900), cold(14, 900), cold(15, 900)}
	others[0].Name = "lint"
	others[1].Project = "8"
	others[2].Platform = "linux-arm64"
	others[3].Outcome = "script_failed"
	others[4].Instance = "other.example.com"
	l.add(t, cold(1, 50), cold(2, 100))
	l.add(t, others...)
	failed, alone := row(22), row(23)
	failed.Outcome = "script_failed"
	alone.Name = "never cold"
	l.add(t, row(21), failed, alone)
	got := l.all(t, Filter{})
	warm, failed, alone := got[len(got)-3], got[len(got)-2], got[len(got)-1]
	if warm.ColdJob != "2" || warm.SecondsSaved == nil || *warm.SecondsSaved != 100+1-4-1 { // both saved for a second
		t.Errorf("compared with job %q, saved %v; want job 2 and 96", warm.ColdJob, warm.SecondsSaved)
	}
	for _, j := range []Job{failed, alone, got[0]} {
		if j.SecondsSaved != nil || j.ColdJob != "" {
			t.Errorf("job %s: compared with %q, saved %v; want unknown", j.Job, j.ColdJob, *j.SecondsSaved)
		}
	}
}

func TestSeveralProcessesWriteAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const writers, each = 8, 20
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() { // each with a ledger of its own, the first of which makes it
			l, err := Open(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			for i := range each {
				if err := l.Add(t.Context(), row(1000*w+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	l, err := OpenToRead(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n := len(l.all(t, Filter{})); n != writers*each {
		t.Errorf("%d jobs, want %d", n, writers*each)
	}
	if info, err := os.Stat(filepath.Join(dir, "ledger.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the ledger is readable by others: %v %v", info.Mode(), err)
	}
}

// Without its lock another process takes itself for the last one that uses the ledger, and removes the log that this one still writes to.
func TestAnotherLedgerOfTheSameProcessLeavesTheLocksAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	first.add(t, row(1))
	for _, open := range []func(context.Context, string) (*Ledger, error){Open, OpenToRead} {
		second, err := open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		second.add(t, row(2))
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
		if locks, found := locksOn(t, first.path); !found {
			t.Errorf("no lock on the ledger is left:\n%s", locks)
		}
	}
}

// locksOn says whether a file has a lock. The kernel goes through all locks anew for each read, so that a line may be missing when others lock and
// unlock meanwhile.
func locksOn(t *testing.T, path string) (all string, found bool) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	for range 100 {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(locks), inode) {
			return "", true
		}
		all = inode + "is not in\n" + string(locks)
	}
	return all, false
}

func TestTheOldestJobsGoWhenTheLedgerIsFull(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	const most = 400 << 10
	big := make([]string, 200)
	for i := range big {
		big[i] = fmt.Sprintf("example.com/some/module/%d@v1.2.3", i)
	}
	for i := range 100 {
		j := row(i)
		j.Detail.Modules = big
		l.add(t, j)
	}
	before, err := l.Size()
	if err != nil || before <= most {
		t.Fatalf("the ledger takes %d bytes (%v)", before, err)
	}
	if err := l.Trim(t.Context(), most); err != nil {
		t.Fatal(err)
	}
	size, err := l.Size()
	left := l.all(t, Filter{})
	if err != nil || size > most || len(left) < 10 || left[len(left)-1].Job != "99" || left[0].Job == "0" {
		t.Errorf("%d jobs are left, %d bytes (%v)", len(left), size, err)
	}
	if err := l.Trim(t.Context(), 1); err != nil { // which no ledger can be
		t.Fatal(err)
	}
}

func TestAReaderWhoHoldsUpATrimCostsNoFurtherJobs(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for i := range 200 {
		j := row(i)
		j.Detail.Modules = slices.Repeat([]string{"example.com/module@v1.2.3"}, 200)
		l.add(t, j)
	}
	const most = 1 << 20                                                   // of some 1.2 MB, and as much again that is not written back
	rows, err := l.db.QueryContext(t.Context(), "SELECT number FROM jobs") // by another program
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	for range 5 {
		if err := l.Trim(t.Context(), most); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	if left := len(l.all(t, Filter{})); left < 150 || left == 200 {
		t.Errorf("%d of 200 jobs are left", left)
	}
	if err := l.Trim(t.Context(), most); err != nil {
		t.Fatal(err)
	}
	if size, err := l.Size(); err != nil || size > most {
		t.Errorf("without the reader it takes %d bytes (%v)", size, err)
	}
}

// Somebody may page through a list for hours.
func TestASlowReaderNeitherMissesAJobNorEmptiesTheLedger(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	const jobs = 2*jobsAtOnce + 50
	for i := range jobs {
		j := row(i)
		j.Ended.Time = day.Add(time.Duration(i/7) * time.Second) // several at the same time, also where a step ends
		l.add(t, j)
	}
	const most = 130 << 10 // of which those that go have been read
	var seen []string
	for j, err := range l.Jobs(t.Context(), Filter{Project: "7"}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, j.Job); len(seen) == jobsAtOnce/2 {
			if err := l.Trim(t.Context(), most); err != nil {
				t.Fatal(err)
			}
		}
	}
	size, err := l.Size()
	if left := len(l.all(t, Filter{})); err != nil || size > most || left < jobs/2 || left == jobs {
		t.Errorf("%d of %d jobs are left, %d bytes (%v)", left, jobs, size, err)
	}
	slices.Sort(seen)
	if n := len(slices.Compact(slices.Clone(seen))); n != jobs || len(seen) != jobs {
		t.Errorf("%d jobs came, of which %d are different, want %d", len(seen), n, jobs)
	}
}

// laterRelease has a later release change a ledger, and opens it again.
func laterRelease(t *testing.T, dir string, l *Ledger, changes ...string) *Ledger {
	t.Helper()
	for _, change := range append(changes, fmt.Sprintf("PRAGMA user_version = %d", len(migrations)+1)) {
		if _, err := l.db.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestALedgerOfANewerReleaseIsUsedAndOneThatIsNoneIsNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l = laterRelease(t, dir, l, "ALTER TABLE jobs ADD COLUMN more TEXT")
	defer l.Close()
	l.add(t, row(1))
	if version, err := schemaVersion(t.Context(), l.db); err != nil || version != len(migrations)+1 {
		t.Errorf("its version is %d now (%v)", version, err)
	}

	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "ledger.db"), []byte("this is no database, whatever its name says"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Open(t.Context(), bad); err == nil {
		_ = l.Close()
		t.Error("no error")
	}
}

func TestALedgerThatIsNotThereIsNotMadeByWhoReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := OpenToRead(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("there is %v now", entries)
	}
}

func TestAnInterruptedMigrationLeavesWhatWas(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "x.db")+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := migrate(ctx, db); err == nil {
		t.Fatal("no error")
	}
	if _, err := migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
}

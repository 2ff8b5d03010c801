package report

import (
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/statstest"
)

// recount adds up exported jobs in another way than the ledger does.
func recount(jobs []stats.Job) (t stats.Total) {
	number := func(n *int) int64 {
		if n == nil {
			return 0
		}
		return int64(*n)
	}
	for _, j := range jobs {
		t.Jobs++
		if j.Outcome != "success" {
			t.Failed++
		}
		if j.Layers != nil {
			t.Cached++
			if *j.Layers == 0 {
				t.Cold++
			}
		}
		if j.ModulesWanted != nil {
			t.ModulesWanted += number(j.ModulesWanted)
			t.ModulesHitHost += number(j.ModulesHitHost)
			t.ModulesHitStore += number(j.ModulesHitStore)
			t.ModulesMissed += number(j.ModulesMissed)
		}
		if j.BuildHit != nil {
			t.BuildHit += number(j.BuildHit)
			t.BuildNew += number(j.BuildNew)
		}
		t.TestsOK += number(j.TestsOK)
		t.TestsCached += number(j.TestsCached)
		if j.LookupSeconds != nil {
			t.Restored++
		}
		if j.HarvestSeconds != nil {
			t.Saved++
		}
		if j.SecondsSaved != nil {
			t.Compared++
		}
		for into, bytes := range map[*int64]*int64{&t.DownloadedBytes: j.DownloadedBytes, &t.SavedBytes: j.SavedBytes, &t.UploadedBytes: j.UploadedBytes} {
			if bytes != nil {
				*into += *bytes
			}
		}
	}
	return t
}

func TestAMonthIsToldAsItsJobsTell(t *testing.T) {
	t.Parallel()
	l := statstest.Ledger(t, statstest.Month(5))
	jobs, _ := exported(t, l)
	want := recount(jobs)
	for _, by := range stats.Groups() {
		totals, err := Count(t.Context(), l, stats.Filter{}, by)
		if err != nil {
			t.Fatal(err)
		}
		got := totals.All
		got.Seconds, got.ScriptSeconds, got.RestoreSeconds, got.SaveSeconds, got.SecondsSaved = 0, 0, 0, 0, 0 // whose sums depend on the order
		if got != want || want.Jobs < 2500 || want.ModulesHitHost+want.ModulesHitStore+want.ModulesMissed != want.ModulesWanted {
			t.Errorf("by %s the month comes to\n%+v\nits jobs to\n%+v", by, got, want)
		}
		fits(t, table(t, l, by))
	}

	explained := 0
	for i, j := range jobs {
		if i%10 != 0 && (j.CacheReason != "nearest" || j.ProjectPath != "shop/api") {
			continue
		}
		e, text := explain(t, l, j)
		if e.Against == AgainstGraph && len(e.Changed) == 1 && e.Changed[0].Path == statstest.Bumped && strings.Contains(text, statstest.Bumped+" "+e.Changed[0].Had+" -> "+e.Changed[0].Want+"\n") {
			explained++
		}
	}
	if explained == 0 {
		t.Errorf("no job is explained by %s alone", statstest.Bumped)
	}
}

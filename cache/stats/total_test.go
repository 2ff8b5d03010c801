package stats

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTotalsAreTheSumsOfWhatIsKnown(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	first := cold(1, 100)
	unwatched, off := row(3), Job{Instance: "i", Job: "4", Project: "8", Outcome: "script_failed", Began: Time{day}, Ended: Time{day.Add(24 * time.Hour)}, Seconds: 5, CacheReason: "off"}
	unwatched.ModulesWanted, unwatched.ModulesHitHost, unwatched.ModulesHitStore, unwatched.BuildHit = nil, nil, nil, nil
	killed := row(5)
	killed.Outcome, killed.ModulesWanted, killed.ModulesHitHost, killed.ModulesHitStore, killed.ModulesMissed = "lost", nil, nil, nil, nil
	killed.BuildAvailable, killed.BuildHit, killed.BuildNew, killed.TestsOK, killed.TestsCached = nil, nil, nil, nil, nil
	killed.HarvestSeconds, killed.WriteSeconds, killed.UploadSeconds, killed.SavedBytes, killed.UploadedBytes = nil, nil, nil, nil, nil
	l.add(t, first, row(2), unwatched, off, killed)
	all, err := l.Totals(t.Context(), Filter{}, "")
	if err != nil {
		t.Fatal(err)
	}
	want := Total{
		Jobs: 5, Failed: 2, Cached: 4, Cold: 1,
		ModulesWanted: 20, ModulesHitHost: 12, ModulesHitStore: 6, ModulesMissed: 2, BuildHit: 60, BuildNew: 4, TestsOK: 15, TestsCached: 9,
		Seconds: 45, ScriptSeconds: 112, RestoreSeconds: 5, SaveSeconds: 3, SecondsSaved: 2 * 96, Compared: 2,
		DownloadedBytes: 160, SavedBytes: 60, UploadedBytes: 30, Restored: 4, Saved: 3,
	}
	if len(all) != 1 || !reflect.DeepEqual(all[0], want) {
		t.Errorf("got  %+v\nwant %+v", all, want)
	}
	if rate := all[0].ModuleHits(); rate == nil || math.Abs(*rate-0.9) > 1e-9 {
		t.Errorf("module hits %v", rate)
	}
	if rate := all[0].BuildHits(); rate == nil || math.Abs(*rate-60.0/64) > 1e-9 {
		t.Errorf("build hits %v", rate)
	}
	if rate := all[0].CachedTests(); rate == nil || *rate != 0.6 {
		t.Errorf("cached tests %v", rate)
	}
	if rate := (Total{}).ModuleHits(); rate != nil {
		t.Errorf("of nothing %v are hits", *rate)
	}
}

func TestTotalsByGroupAddUpToTheTotal(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for i := range 40 {
		j := row(i)
		j.Ended.Time = day.Add(time.Duration(i) * 3 * time.Hour)
		j.Name, j.Ref, j.Host = []string{"test", "lint"}[i%2], []string{"main", "next", "v1"}[i%3], []string{"a", "b"}[i%2]
		l.add(t, j)
	}
	whole, err := l.Totals(t.Context(), Filter{}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range Groups() {
		totals, err := l.Totals(t.Context(), Filter{}, by)
		if err != nil {
			t.Fatal(err)
		}
		var sum Total
		for _, total := range totals {
			sum.Add(total)
		}
		if sum != whole[0] || sum.Jobs != 40 {
			t.Errorf("by %s: %d groups are\n%+v\nin all, want\n%+v", by, len(totals), sum, whole[0])
		}
	}
	days, err := l.Totals(t.Context(), Filter{}, "day")
	if err != nil || len(days) != 6 || days[0].Group != "2026-03-01" || days[0].Jobs != 4 || days[1].Jobs != 8 {
		t.Errorf("days: %+v (%v)", days, err)
	}
	if _, err := l.Totals(t.Context(), Filter{}, "phase of the moon"); err == nil || !strings.Contains(err.Error(), "cache_reason") {
		t.Errorf("got %v", err)
	}
}

func TestFiltersChooseJobs(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	second, third := row(2), row(3)
	second.Project, second.ProjectPath = "8", "group/lib"
	third.Instance = "other.example.com"
	l.add(t, row(1), second, third)
	for name, c := range map[string]struct {
		f    Filter
		want string
	}{
		"all":             {Filter{}, "1 2 3"},
		"a number":        {Filter{Project: "8"}, "2"},
		"a path":          {Filter{Project: "group/app"}, "1 3"},
		"an instance":     {Filter{Instance: "other.example.com"}, "3"},
		"since":           {Filter{Since: day.Add(2 * time.Second)}, "2 3"},
		"until":           {Filter{Until: day.Add(2 * time.Second)}, "1"},
		"of both kinds":   {Filter{Project: "group/app", Instance: "gitlab.example.com"}, "1"},
		"a job":           {Filter{Job: "2"}, "2"},
		"nobody's":        {Filter{Project: "9"}, ""},
		"a hostile value": {Filter{Project: "' OR 1=1 --"}, ""},
	} {
		var got []string
		for _, j := range l.all(t, c.f) {
			got = append(got, j.Job)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", name, got, c.want)
		}
	}
}

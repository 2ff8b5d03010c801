package statstest

import (
	"reflect"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

func TestTheSameSeedGivesTheSameMonth(t *testing.T) {
	t.Parallel()
	if !reflect.DeepEqual(Month(7), Month(7)) {
		t.Error("two months of one seed differ")
	}
	if reflect.DeepEqual(Month(7), Month(8)) {
		t.Error("months of two seeds are the same")
	}
}

func TestWhatIsScriptedHappens(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		jobs := Month(seed)
		if len(jobs) < 2500 || len(jobs) > 4000 {
			t.Errorf("seed %d: %d jobs", seed, len(jobs))
		}
		seen := map[string]int{}
		for i, j := range jobs {
			for _, word := range []string{j.Outcome, j.Reason, j.CacheReason, j.Host, j.Instance + "/" + j.ProjectPath, j.Toolchain, j.Platform} {
				seen[word]++
			}
			if i > 0 && j.Ended.Before(jobs[i-1].Ended.Time) {
				t.Fatalf("seed %d: job %s ended before the one in front of it", seed, j.Job)
			}
			if problem := contradiction(j); problem != "" {
				t.Errorf("seed %d: job %s: %s: %+v", seed, j.Job, problem, j)
			}
		}
		for _, word := range []string{
			"success", "script_failed", "job_invalid", "system_failed", "canceled", "timed_out", "lost", "docker_gone", "out_of_memory",
			"exact", "nearest", "first_run", "new_toolchain", "new_platform", "no_go", "off", "bypassed", "store_unreachable",
			"runner-1", "runner-2", "runner-3", "git.example.org+8443/labs/prototype", "go1.26.7", "go1.26.8", "linux-arm64-v8.0",
		} {
			if seen[word] == 0 {
				t.Errorf("seed %d: %s never happens", seed, word)
			}
		}
	}
}

// contradiction says what a row cannot say.
func contradiction(j stats.Job) string {
	switch {
	case j.ModulesWanted != nil && *j.ModulesWanted != *j.ModulesHitHost+*j.ModulesHitStore+*j.ModulesMissed:
		return "the modules do not add up"
	case j.ModulesWanted != nil && min(*j.ModulesHitHost, *j.ModulesHitStore, *j.ModulesMissed, *j.BuildHit, *j.BuildNew) < 0:
		return "less than nothing was hit or missed"
	case j.BuildHit != nil && *j.BuildHit > *j.BuildAvailable:
		return "more packages are hit than there are"
	case j.TestsOK != nil && (*j.TestsCached > *j.TestsOK || *j.TestsCached < 0):
		return "more tests are cached than there are"
	case (j.Layers == nil) != (j.LookupSeconds == nil):
		return "it has caches and has none"
	case j.Layers != nil && (*j.Layers == 0) != (j.BaseJob == ""):
		return "it has a base and has none"
	case j.CacheReason == "exact" && len(j.Detail.Changed) > 0, j.CacheReason == "nearest" && len(j.Detail.Changed) == 0:
		return "the base is not what its reason says"
	case (j.Outcome == "success") != (j.Reason == ""):
		return "outcome and reason do not go together"
	}
	return ""
}

func TestABumpedModuleIsWhatHasChanged(t *testing.T) {
	t.Parallel()
	for _, j := range Month(1) {
		if j.ProjectPath != "shop/api" || j.CacheReason != "nearest" || week(j.Began.Time) != 1 {
			continue
		}
		if c := j.Detail.Changed; len(c) != 1 || c[0] != (stats.Change{Path: Bumped, Had: "v1.0.0", Want: "v1.1.0"}) || len(j.Detail.Compiled) == 0 {
			t.Errorf("job %s: %+v changed, %d packages compiled", j.Job, c, len(j.Detail.Compiled))
		}
		return
	}
	t.Error("nobody was near")
}

func TestTheLedgerTakesAMonthAndFindsWhatItSaved(t *testing.T) {
	t.Parallel()
	jobs := Month(1)
	totals, err := Ledger(t, jobs).Totals(t.Context(), stats.Filter{}, "")
	if err != nil {
		t.Fatal(err)
	}
	if all := totals[0]; all.Jobs != len(jobs) || all.Compared < len(jobs)/4 || all.SecondsSaved <= 0 || all.Cold == 0 {
		t.Errorf("of %d jobs: %+v", len(jobs), all)
	}
}

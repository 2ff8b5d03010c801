package stats

import (
	"fmt"
	"strconv"
	"strings"
)

// OpenMetrics writes a job's figures for GitLab's artifacts:reports:metrics, which shows merge requests how they differ from the target branch. What
// is not known is left out.
func (j *Job) OpenMetrics() string {
	var text strings.Builder
	add := func(name, help string, value *float64) {
		if value != nil {
			fmt.Fprintf(&text, "# TYPE %[1]s gauge\n# HELP %[1]s %[2]s\n%[1]s %[3]s\n", "go_cache_"+name, help, strconv.FormatFloat(*value, 'f', -1, 64))
		}
	}
	add("modules_wanted", "Modules that the job used.", count(j.ModulesWanted))
	add("modules_missed", "Modules that the job had to fetch.", count(j.ModulesMissed))
	add("packages_hit", "Compiled packages that the job took from its cache.", count(j.BuildHit))
	add("packages_compiled", "Packages that the job compiled.", count(j.BuildNew))
	add("tests_ok", "Packages whose tests passed.", count(j.TestsOK))
	add("tests_cached", "Packages whose test result came from the cache.", count(j.TestsCached))
	restore := j.Restore()
	add("restore_seconds", "Time until the caches were mounted.", &restore)
	add("script_seconds", "Time of the scripts.", j.ScriptSeconds)
	text.WriteString("# EOF\n")
	return text.String()
}

func count(n *int) *float64 {
	if n == nil {
		return nil
	}
	f := float64(*n)
	return &f
}

package ci

import (
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// supported are the keywords of a job that Parse understands.
var supported = []string{"image", "services", "variables", "before_script", "script", "after_script"}

// shared are those of them that a file may also give for all jobs, at top level or under default.
var shared = []string{"image", "services", "before_script", "after_script"}

// ignored are the keywords of a job that say when it runs or what becomes of its results: one try of one job needs
// none of them.
var ignored = []string{
	"stage", "tags", "rules", "only", "except", "when", "start_in", "manual_confirmation", "needs", "dependencies",
	"artifacts", "cache", "coverage", "retry", "timeout", "interruptible", "environment", "resource_group",
	"allow_failure", "release", "pages", "publish", "dast_configuration",
}

// byHand ends the explanation of what cannot be read.
const byHand = "describe the job by hand instead, with --image IMAGE and --script LINE"

// refused are the keywords of a job that change what it does and need GitLab, with what to do instead.
var refused = map[string]string{
	"extends":  "takes parts of the job from elsewhere, which is not done here: write the job out, with YAML anchors if need be, or " + byHand,
	"parallel": "makes several jobs of one, which only GitLab can do: " + byHand + ", and --variable KEY=VALUE for what tells the jobs apart",
	"trigger":  "starts another pipeline, so there is no script to run: choose another job with --job",
	"run":      "is run by GitLab's step runner, which is not here: " + byHand,
	"secrets":  "are fetched by GitLab Runner with GitLab's help: " + byHand + ", and --variable KEY=VALUE for what the script needs of them",
	"id_tokens": "are issued by GitLab: " + byHand +
		", and --variable KEY=VALUE for what the script needs of them",
	"identity": "is vouched for by GitLab: " + byHand + ", and --variable KEY=VALUE for what the script needs of it",
	"hooks":    "are run around Runner's own scripts, which is not done here: " + byHand,
	"inherit":  "limits what the job takes over from default and the global variables, which is not done here: " + byHand,
	"inputs":   "are filled in by GitLab: " + byHand,
}

// refusedGlobally are the top-level keywords because of which no job of the file can be told from the file alone.
var refusedGlobally = map[string]string{
	"include": "brings in other files, which may define or change the job, and which only GitLab can fetch: " + byHand,
	"spec":    "declares inputs, which only GitLab fills in: " + byHand,
}

// refusedTag is what to say of !reference, which is a YAML tag and no keyword.
const refusedTag = "takes a part of another job, which is not done here: write it out, with a YAML anchor (&name, *name) if need be"

// topLevel are the other words that may stand at the top of the file; everything else there is a job.
var topLevel = append([]string{"default", "variables", "stages", "workflow", "cache"}, shared...)

// inDefault are the keywords under default that do not matter here.
var inDefault = []string{"artifacts", "cache", "interruptible", "retry", "tags", "timeout"}

// words are the names of a table of keywords.
func words(table map[string]string) []string {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// unknown says that a word is not one of those known, and which was probably meant.
func unknown(word string, known ...string) string {
	if near := nearest(word, known); near != "" {
		return "is not a keyword here; did you mean " + near + "?"
	}
	slices.Sort(known)
	return "is not a keyword here; known are " + strings.Join(known, ", ")
}

// nearest is the known word with the fewest edits from the one given; none if that would be another word altogether.
func nearest(word string, known []string) string {
	best, found := 1+max(2, len(word)/3), "" // two letters that changed places are two edits
	for _, k := range known {
		if d := levenshtein.Distance(strings.ToLower(word), k, nil); d < best {
			best, found = d, k
		}
	}
	return found
}

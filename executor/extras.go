package executor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// Extra caches are those that the settings name for tools beside Go, such as linters.

// offered are the kinds of the settings, without the extra ones that the job sees to itself.
func (j *job) offered() []string {
	kinds := slices.Clone(j.settings.Cache.Kinds)
	for _, extra := range j.settings.Cache.Extra {
		if !j.bringsOwn(extra) {
			kinds = append(kinds, extra.Name)
		}
	}
	return kinds
}

// bringsOwn says whether the job tells a tool itself where its cache is.
func (j *job) bringsOwn(extra settings.Extra) bool { return j.env.Variables[extra.Variable] != "" }

// maxSizes are the limits of what a job may add.
func (j *job) maxSizes() map[string]int64 {
	sizes := map[string]int64{}
	for _, extra := range j.settings.Cache.Extra {
		if extra.MaxSize > 0 {
			sizes[extra.Name] = int64(extra.MaxSize)
		}
	}
	return sizes
}

// variableOf is what tells a kind's tool where its cache is. A kind that the settings have lost since the job began has none.
func (j *job) variableOf(kind string) string {
	for _, extra := range j.settings.Cache.Extra {
		if extra.Name == kind {
			return extra.Variable
		}
	}
	return cacheVariables[kind]
}

// extraDetails says of each extra cache what it begins with.
func (j *job) extraDetails(got cache.Restored) (details []string) {
	for _, extra := range got.Extras {
		details = append(details, fmt.Sprintf("%s: %d entries (%s)", extra.Name, extra.Entries, extra.Reason))
	}
	for _, extra := range j.settings.Cache.Extra {
		if j.bringsOwn(extra) {
			details = append(details, fmt.Sprintf("%s: left alone, since the job sets %s itself (%s)", extra.Name, extra.Variable, cache.Bypassed))
		}
	}
	return details
}

// extraCounts says of each extra cache what is known of it: what was hit and made, and on demand what was there.
func extraCounts(extras map[string]stats.Extra, available bool) (parts []string) {
	for _, name := range slices.Sorted(maps.Keys(extras)) {
		extra := extras[name]
		var known []string
		if extra.Available != nil && available {
			known = append(known, fmt.Sprintf("%d available", *extra.Available))
		}
		if extra.Hit != nil {
			known = append(known, fmt.Sprintf("%d hit", *extra.Hit))
		}
		if extra.New != nil {
			known = append(known, fmt.Sprintf("%d new", *extra.New))
		}
		parts = append(parts, name+": "+strings.Join(known, ", "))
	}
	return parts
}

// noteExtras says in a row what was hit and made of each extra cache.
func noteExtras(row *stats.Job, counts map[string]cache.BuildCount) {
	row.Detail.Extras = nil
	for name, c := range counts {
		if row.Detail.Extras == nil {
			row.Detail.Extras = map[string]stats.Extra{}
		}
		row.Detail.Extras[name] = stats.Extra(c)
	}
}

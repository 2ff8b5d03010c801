package stats

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Total is what a group of jobs comes to. Jobs of which a figure is not known are left out of it and of what it is compared with: a rate is
// hits over wants of the same jobs.
type Total struct {
	Group string `json:"group"` // empty for the total of all

	Jobs   int `json:"jobs"`
	Failed int `json:"failed"` // ended other than with success
	Cached int `json:"cached"` // had caches, empty ones included
	Cold   int `json:"cold"`   // of these, began with no layers

	ModulesWanted   int64 `json:"modules_wanted"`
	ModulesHitHost  int64 `json:"modules_hit_host"`
	ModulesHitStore int64 `json:"modules_hit_store"`
	ModulesMissed   int64 `json:"modules_missed"`
	BuildHit        int64 `json:"build_hit"`
	BuildNew        int64 `json:"build_new"`
	TestsOK         int64 `json:"tests_ok"`
	TestsCached     int64 `json:"tests_cached"`

	Seconds        float64 `json:"seconds"`
	ScriptSeconds  float64 `json:"script_seconds"`
	RestoreSeconds float64 `json:"restore_seconds"` // lookup, download and mount
	SaveSeconds    float64 `json:"save_seconds"`    // harvest, write and upload
	SecondsSaved   float64 `json:"seconds_saved"`
	Compared       int     `json:"compared"` // jobs of which seconds_saved is known

	DownloadedBytes int64 `json:"downloaded_bytes"`
	SavedBytes      int64 `json:"saved_bytes"`
	UploadedBytes   int64 `json:"uploaded_bytes"`

	Restored int `json:"restored"` // jobs of which restore_seconds is known
	Saved    int `json:"saved"`    // jobs of which save_seconds is known
}

// sums are the expressions of Total's figures, in the order of its fields.
var sums = []string{
	"count(*)", "sum(outcome <> 'success')", "sum(layers IS NOT NULL)", "sum(layers IS 0)",
	"sum(modules_wanted)", "sum(iif(modules_wanted IS NULL, 0, modules_hit_host))", "sum(iif(modules_wanted IS NULL, 0, modules_hit_store))",
	"sum(iif(modules_wanted IS NULL, 0, modules_missed))",
	"sum(build_hit)", "sum(iif(build_hit IS NULL, 0, build_new))",
	"sum(tests_ok)", "sum(tests_cached)",
	"sum(seconds)", "sum(script_seconds)",
	"sum(coalesce(lookup_seconds, 0) + coalesce(download_seconds, 0) + coalesce(mount_seconds, 0))",
	"sum(coalesce(harvest_seconds, 0) + coalesce(write_seconds, 0) + coalesce(upload_seconds, 0))",
	"sum(seconds_saved)", "count(seconds_saved)",
	"sum(downloaded_bytes)", "sum(saved_bytes)", "sum(uploaded_bytes)",
	"count(coalesce(lookup_seconds, download_seconds, mount_seconds))", "count(coalesce(harvest_seconds, write_seconds, upload_seconds))",
}

func (t *Total) fields() []any {
	return []any{
		&t.Jobs, &t.Failed, &t.Cached, &t.Cold,
		&t.ModulesWanted, &t.ModulesHitHost, &t.ModulesHitStore, &t.ModulesMissed, &t.BuildHit, &t.BuildNew, &t.TestsOK, &t.TestsCached,
		&t.Seconds, &t.ScriptSeconds, &t.RestoreSeconds, &t.SaveSeconds, &t.SecondsSaved, &t.Compared,
		&t.DownloadedBytes, &t.SavedBytes, &t.UploadedBytes, &t.Restored, &t.Saved,
	}
}

// groups are what jobs can be grouped by. Days are those of the host's time zone.
var groups = map[string]string{
	"project":      "iif(project_path = '', project, project_path)",
	"job":          "iif(project_path = '', project, project_path) || ' ' || name",
	"ref":          "iif(project_path = '', project, project_path) || ' ' || ref",
	"platform":     "platform",
	"host":         "host",
	"day":          "date(ended / 1000, 'unixepoch', 'localtime')",
	"hour":         "strftime('%Y-%m-%d %H:00', ended / 1000, 'unixepoch', 'localtime')",
	"outcome":      "outcome",
	"cache_reason": "cache_reason",
}

// Groups are the words that Totals knows, sorted.
func Groups() []string {
	var words []string
	for word := range groups {
		words = append(words, word)
	}
	slices.Sort(words)
	return words
}

// Totals adds up jobs by group, in the order of the groups' names; by "" all together, which is one total even if there are no jobs.
func (l *Ledger) Totals(ctx context.Context, f Filter, by string) ([]Total, error) {
	group, known := groups[by]
	if by != "" && !known {
		return nil, fmt.Errorf("jobs cannot be grouped by %q: known are %s", by, strings.Join(Groups(), ", "))
	}
	figures := make([]string, len(sums))
	for i, sum := range sums {
		figures[i] = "coalesce(" + sum + ", 0)"
	}
	where, args := f.where()
	query := "SELECT '', " + strings.Join(figures, ", ") + " FROM jobs" + where
	if by != "" {
		query = "SELECT " + group + ", " + strings.Join(figures, ", ") + " FROM jobs" + where + " GROUP BY 1 ORDER BY 1"
	}
	rows, err := l.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, l.failed(err)
	}
	defer rows.Close()
	var totals []Total
	for rows.Next() {
		var t Total
		if err := rows.Scan(append([]any{&t.Group}, t.fields()...)...); err != nil {
			return nil, l.failed(err)
		}
		totals = append(totals, t)
	}
	if err := rows.Err(); err != nil {
		return nil, l.failed(err)
	}
	return totals, nil
}

// Rate is a part of a whole, nil if there is no whole.
func Rate(part, whole int64) *float64 {
	if whole == 0 {
		return nil
	}
	rate := float64(part) / float64(whole)
	return &rate
}

// ModuleHits is the part of the wanted modules that were hit.
func (t Total) ModuleHits() *float64 {
	return Rate(t.ModulesHitHost+t.ModulesHitStore, t.ModulesWanted)
}

// BuildHits is the part of the packages that did not have to be compiled.
func (t Total) BuildHits() *float64 { return Rate(t.BuildHit, t.BuildHit+t.BuildNew) }

// CachedTests is the part of the tests that go test took from its cache.
func (t Total) CachedTests() *float64 { return Rate(t.TestsCached, t.TestsOK) }

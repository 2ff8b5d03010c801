// Package stats is the ledger of jobs, one row each, in a SQLite database of the host: who, what, from which caches, what it cost and how
// it ended. All that counts, the command stats, metrics, traces and the dashboard, reads from it, so that they agree.
package stats

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Job is a row of the ledger. The stages of a job fill it in, its last one adds it. What nobody knows is null, never 0. The names of the JSON
// keys are those of the columns, everywhere.
type Job struct {
	// Who.
	Instance    string `json:"instance"` // the GitLab it comes from
	Project     string `json:"project"`  // its number
	ProjectPath string `json:"project_path"`
	Job         string `json:"job"` // its number
	Name        string `json:"name"`
	Pipeline    string `json:"pipeline"`
	RefType     string `json:"ref_type"`
	Ref         string `json:"ref"`
	Tier        string `json:"tier"` // trust tier
	Host        string `json:"host"` // that it ran on

	// What.
	Image     string `json:"image"`
	Platform  string `json:"platform"`
	Toolchain string `json:"toolchain"`
	Graph     string `json:"graph"`

	// When, and how it ended, in the words of package outcome.
	Began       Time    `json:"began"`
	Ended       Time    `json:"ended"`
	Seconds     float64 `json:"seconds"` // between the two
	Outcome     string  `json:"outcome"`
	Reason      string  `json:"reason"`
	FailedStage string  `json:"failed_stage"`

	// The caches, in the words of package cache.
	CacheReason string `json:"cache_reason"` // empty if the job ended before they were decided about
	SaveReason  string `json:"save_reason"`  // why not all was saved
	BaseJob     string `json:"base_job"`     // whose entry made the base the nearest or exact one
	BaseTier    string `json:"base_tier"`    // in which that entry is
	BaseGraph   string `json:"base_graph"`   // that it was saved for
	Layers      *int   `json:"layers"`       // that were mounted
	LayerBytes  *int64 `json:"layer_bytes"`

	// Hits.
	ModulesWanted   *int `json:"modules_wanted"`    // hit or missed
	ModulesHitHost  *int `json:"modules_hit_host"`  // opened; the layer was on the host
	ModulesHitStore *int `json:"modules_hit_store"` // opened; the layer came from the store for this job
	ModulesMissed   *int `json:"modules_missed"`    // fetched by the job
	BuildAvailable  *int `json:"build_available"`   // compiled packages in the base
	BuildHit        *int `json:"build_hit"`         // of these, opened
	BuildNew        *int `json:"build_new"`         // compiled by the job
	TestsOK         *int `json:"tests_ok"`          // packages that go test reported ok
	TestsCached     *int `json:"tests_cached"`      // of these, from its cache

	// Phases, in seconds, in their order.
	PrefetchSeconds *float64 `json:"prefetch_seconds"` // while images were pulled
	LookupSeconds   *float64 `json:"lookup_seconds"`   // reading the journals
	DownloadSeconds *float64 `json:"download_seconds"` // of layers that prefetch had not brought
	MountSeconds    *float64 `json:"mount_seconds"`
	ScriptSeconds   *float64 `json:"script_seconds"`  // the author's scripts but after_script, containers' start included
	HarvestSeconds  *float64 `json:"harvest_seconds"` // finding out what is new, and proving it
	WriteSeconds    *float64 `json:"write_seconds"`   // into a layer and the journal
	UploadSeconds   *float64 `json:"upload_seconds"`  // 0 where serve does it

	// Bytes of layers.
	DownloadedBytes *int64 `json:"downloaded_bytes"`
	SavedBytes      *int64 `json:"saved_bytes"`
	UploadedBytes   *int64 `json:"uploaded_bytes"`

	// What the caches saved, see Ledger.Add.
	ColdJob      string   `json:"cold_job"`
	SecondsSaved *float64 `json:"seconds_saved"`

	Detail Detail `json:"detail"`
}

// Restore is what the job waited for its caches, in seconds.
func (j *Job) Restore() float64 { return sum(j.LookupSeconds, j.DownloadSeconds, j.MountSeconds) }

// Save is what the job waited for what it added to its caches, in seconds.
func (j *Job) Save() float64 { return sum(j.HarvestSeconds, j.WriteSeconds, j.UploadSeconds) }

// sum adds up what is known.
func sum(seconds ...*float64) (all float64) {
	for _, s := range seconds {
		if s != nil {
			all += *s
		}
	}
	return all
}

// Detail is what explains a job; nothing is counted by it.
type Detail struct {
	Bases    []Base           `json:"bases,omitempty"`
	Modules  []string         `json:"modules,omitempty"`  // of the graph, path@version
	Changed  []Change         `json:"changed,omitempty"`  // modules that the base did not hold
	Compiled []string         `json:"compiled,omitempty"` // packages; only if the base held some
	Refused  map[string]int   `json:"refused,omitempty"`  // why files were not saved → how many
	Extras   map[string]Extra `json:"extras,omitempty"`   // extra caches by their names
	Problems []string         `json:"problems,omitempty"`
	// Starts says when phases began: prefetch, restore, script, save.
	Starts map[string]time.Time `json:"starts,omitempty"`
}

// Start notes when a phase began, the first time.
func (d *Detail) Start(phase string, at time.Time) {
	if d.Starts == nil {
		d.Starts = map[string]time.Time{}
	}
	if _, ok := d.Starts[phase]; !ok {
		d.Starts[phase] = at
	}
}

// Extra counts the entries of an extra cache.
type Extra struct {
	Available *int `json:"available"` // in the base
	Hit       *int `json:"hit"`       // of these, opened
	New       *int `json:"new"`       // made by the job
}

// Base is one journal that was looked at for a base.
type Base struct {
	Kind    string    `json:"kind"`
	Tier    string    `json:"tier"`
	Entries int       `json:"entries"` // 0: nothing was ever saved there
	Job     string    `json:"job"`     // of the entry for this very graph, else of the newest
	Graph   string    `json:"graph"`   // that this entry is for
	Saved   time.Time `json:"saved"`   // when
	Exact   bool      `json:"exact"`
	Problem string    `json:"problem,omitempty"` // why it could not be read, or not in full
}

// Change is a module version that the base did not hold.
type Change struct {
	Path string `json:"path"`
	Had  string `json:"had,omitempty"` // the version that it held instead
	Want string `json:"want"`
}

// Value implements driver.Valuer.
func (d Detail) Value() (driver.Value, error) {
	data, err := json.Marshal(d)
	return string(data), err
}

// Scan implements sql.Scanner.
func (d *Detail) Scan(from any) error {
	text, ok := from.(string)
	if !ok {
		return fmt.Errorf("detail is %T", from)
	}
	return json.Unmarshal([]byte(text), d)
}

// Time is a time in the ledger: milliseconds since 1970.
type Time struct{ time.Time }

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) { return t.UnixMilli(), nil }

// Scan implements sql.Scanner.
func (t *Time) Scan(from any) error {
	ms, ok := from.(int64)
	if !ok {
		return fmt.Errorf("a time is %T", from)
	}
	t.Time = time.UnixMilli(ms)
	return nil
}

// Columns are the names of all columns in their order.
var Columns = columns()

func columns() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Job]()) {
		names = append(names, f.Tag.Get("json"))
	}
	return names
}

var (
	columnList   = strings.Join(Columns, ", ")
	placeholders = strings.TrimSuffix(strings.Repeat("?, ", len(Columns)), ", ")
)

// Fields are pointers to the values of all columns in their order.
func (j *Job) Fields() []any {
	v := reflect.ValueOf(j).Elem()
	fields := make([]any, v.NumField())
	for i := range fields {
		fields[i] = v.Field(i).Addr().Interface()
	}
	return fields
}

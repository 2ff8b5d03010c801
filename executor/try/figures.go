package try

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Caches is what is told of a run's caches. What nobody knows is null, never 0.
type Caches struct {
	// Reason is from the closed set of package cache; null if the run did not come so far.
	Reason *string `json:"cache_reason"`
	// RestoreSeconds is the time until the caches were mounted; ToScriptSeconds that from the end of get_sources to the script's
	// first line; SaveSeconds that of the harvest, with the end of the container.
	RestoreSeconds  *float64 `json:"restore_seconds"`
	ToScriptSeconds *float64 `json:"to_script_seconds"`
	SaveSeconds     *float64 `json:"save_seconds"`
	SavedBytes      *int64   `json:"saved_bytes"`
	Modules         struct {
		Wanted   *int `json:"wanted"`
		HitHost  *int `json:"hit_host"`
		HitStore *int `json:"hit_store"`
		Missed   *int `json:"missed"`
	} `json:"modules"`
	Build struct {
		Available *int `json:"available"`
		Hit       *int `json:"hit"`
		New       *int `json:"new"`
	} `json:"build"`
	Tests struct {
		OK     *int `json:"ok"`
		Cached *int `json:"cached"`
	} `json:"tests"`
}

// logLine is what is read of a line of the operator log.
type logLine struct {
	Message   string   `json:"msg"`
	Level     string   `json:"level"`
	Error     string   `json:"error"`
	Job       string   `json:"job"`
	Reason    *string  `json:"cache_reason"`
	Restore   *float64 `json:"restore_seconds"`
	Save      *float64 `json:"save_seconds"`
	Bytes     *int64   `json:"saved_bytes"`
	Wanted    *int     `json:"modules_wanted"`
	HitHost   *int     `json:"modules_hit_host"`
	HitStore  *int     `json:"modules_hit_store"`
	Missed    *int     `json:"modules_missed"`
	Available *int     `json:"build_available"`
	Hit       *int     `json:"build_hit"`
	New       *int     `json:"build_new"`
	OK        *int     `json:"tests_ok"`
	Cached    *int     `json:"tests_cached"`
}

// operatorLog is where the stages tell what only operators are told.
func operatorLog(folder string) string { return filepath.Join(folder, "operator.log") }

// readLog gives the lines of the operator log about one job.
func readLog(folder string, job int64) ([]logLine, error) {
	data, err := os.ReadFile(operatorLog(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var lines []logLine
	for text := range bytes.Lines(data) {
		var line logLine
		if err := json.Unmarshal(text, &line); err != nil {
			return nil, fmt.Errorf("the operator log of the run: %w", err)
		}
		if line.Job == strconv.FormatInt(job, 10) {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// caches takes the figures of a job from its lines of the operator log.
func caches(lines []logLine) Caches {
	var c Caches
	for _, l := range lines {
		if l.Message != "caches" {
			continue
		}
		c.Reason, c.RestoreSeconds, c.SaveSeconds, c.SavedBytes = l.Reason, l.Restore, l.Save, l.Bytes
		c.Modules.Wanted, c.Modules.HitHost, c.Modules.HitStore, c.Modules.Missed = l.Wanted, l.HitHost, l.HitStore, l.Missed
		c.Build.Available, c.Build.Hit, c.Build.New = l.Available, l.Hit, l.New
		c.Tests.OK, c.Tests.Cached = l.OK, l.Cached
	}
	return c
}

// firstLine notes when a script's first command is shown, which is right before it runs.
type firstLine struct {
	log  limitedTail
	seen time.Time
}

// limitedTail is the end of what was written, as long as a mark is.
type limitedTail []byte

// look is called with all that a stage prints.
func (f *firstLine) look(p []byte) {
	if !f.seen.IsZero() {
		return
	}
	const mark = green + "$ "
	f.log = append(f.log, p...)
	if bytes.Contains(f.log, []byte(mark)) {
		f.seen = time.Now()
	}
	f.log = f.log[max(len(f.log)-len(mark), 0):]
}

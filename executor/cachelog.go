package executor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// What the job log and the operator log say of the caches.

// warnCaches tells both logs of a trouble with caches, which never fails a job.
func (j *job) warnCaches(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	j.log.Warn(text)
	j.say("\x1b[0;33mWARNING: Go caches: %s\x1b[0;m", text)
}

// section is a part of the job log that GitLab can fold: its first line stays visible. Like Runner's own sections it is only marked
// where GitLab asks for it.
func (j *job) section(name, header string, details ...string) {
	if len(details) == 0 {
		j.say("%s", header)
		return
	}
	if !j.payload.Features.TraceSections {
		j.say("%s", strings.Join(append([]string{header}, details...), "\n  "))
		return
	}
	now := time.Now().Unix()
	j.say("section_start:%d:%s[collapsed=true]\r\x1b[0K%s\n%s\nsection_end:%d:%s\r\x1b[0K", now, name, header, "  "+strings.Join(details, "\n  "), now, name)
}

// noCaches says in a sentence why a job has none.
var noCaches = map[cache.Reason]string{
	cache.Off:      "off, as the job or the settings ask for",
	cache.Bypassed: "none, since the job sets GOCACHE or GOMODCACHE itself",
	cache.NoGo:     "none, since the image has no go",
}

func (j *job) sayNoCaches(reason cache.Reason, err error) {
	text, expected := noCaches[reason]
	switch {
	case err != nil:
		j.warnCaches("none for this job (%s): %v", reason, err)
	case reason == cache.NoGo: // a job that has nothing to do with Go needs no word about it
	case expected:
		j.say("Go caches: %s (%s)", text, reason)
	default:
		j.say("Go caches: none for this job (%s)", reason)
	}
}

// base names in a few words what the caches begin with.
var base = map[cache.Reason]string{
	cache.Exact:        "exact base",
	cache.Nearest:      "nearest base",
	cache.FirstRun:     "empty (first run of this project)",
	cache.NewToolchain: "first run with this toolchain",
	cache.NewPlatform:  "first run for this platform",
	cache.Refreshed:    "empty (refresh)",
}

func (j *job) sayRestored(r cache.Request, got cache.Restored) {
	header := "Go caches: " + restoredLine(got)
	for _, problem := range got.Problems {
		j.log.WithError(problem).Warn("restore")
	}
	j.section("go_caches_restore", header, append(restoredDetails(r, got), j.extraDetails(got)...)...)
}

func restoredLine(got cache.Restored) string {
	begin := base[got.Reason]
	if begin == "" {
		begin = "empty (" + string(got.Reason) + ")"
	}
	if base[got.Reason] == "" && got.Layers > 0 {
		begin = "what could be had (" + string(got.Reason) + ")"
	}
	if got.Layers == 0 {
		return fmt.Sprintf("%s, ready in %.2f s", begin, got.Seconds)
	}
	from := "this host"
	if got.Fetched > 0 {
		from = fmt.Sprintf("this host, %d of them from the store", got.Fetched)
	}
	modules := ""
	if got.Wanted > 0 {
		modules = fmt.Sprintf("%d of %d modules, ", got.There, got.Wanted)
	}
	extras := ""
	for _, extra := range got.Extras {
		extras += fmt.Sprintf(", %d entries of %s", extra.Entries, extra.Name)
	}
	return fmt.Sprintf("%s, %s%d compiled packages%s; %d layers (%s) from %s, ready in %.2f s",
		begin, modules, got.Packages, extras, got.Layers, humanize.Bytes(uint64(got.Bytes)), from, got.Seconds)
}

func restoredDetails(r cache.Request, got cache.Restored) []string {
	graph := "none"
	if r.Graph != "" {
		graph = r.Graph[:12]
	}
	details := []string{fmt.Sprintf("platform %s, toolchain %s, graph %s, tier %s (%s)", r.Platform, r.Toolchain, graph, r.Tier, got.Reason)}
	for _, problem := range got.Problems {
		details = append(details, "WARNING: "+problem.Error())
	}
	return details
}

func (j *job) saySaved(row stats.Job, saved cache.Saved, err error) {
	if err != nil {
		j.warnCaches("not everything was saved (%s): %v", cache.ReasonOf(err), err)
	}
	var details []string
	for _, problem := range saved.Problems {
		j.log.WithError(problem).Warn("save")
		details = append(details, "WARNING: "+problem.Error())
	}
	if len(saved.Refused) > 0 {
		details = append(details, fmt.Sprintf("not taken: %s", counts(saved.Refused)))
	}
	j.section("go_caches_save", "Go caches: "+savedLine(row, saved), details...)
}

func savedLine(row stats.Job, s cache.Saved) string {
	var parts []string
	if missed := s.Modules.Missed; missed != nil {
		if s.Modules.Wanted == nil {
			parts = append(parts, fmt.Sprintf("%d modules fetched", *missed))
		} else {
			parts = append(parts, fmt.Sprintf("%d of %d modules hit", *s.Modules.Wanted-*missed, *s.Modules.Wanted))
		}
	}
	if made := s.Build.New; made != nil {
		if s.Build.Hit == nil {
			parts = append(parts, fmt.Sprintf("%d packages compiled", *made))
		} else {
			parts = append(parts, fmt.Sprintf("%d packages hit, %d compiled", *s.Build.Hit, *made))
		}
	}
	parts = append(parts, extraCounts(row.Detail.Extras, false)...)
	if row.TestsOK != nil {
		parts = append(parts, fmt.Sprintf("%d of %d tests cached", *row.TestsCached, *row.TestsOK))
	}
	if s.Items == 0 {
		parts = append(parts, fmt.Sprintf("nothing new saved (%.2f s)", s.Seconds))
	} else {
		parts = append(parts, fmt.Sprintf("%d new entries saved (%s, %.2f s)", s.Items, humanize.Bytes(uint64(s.Bytes)), s.Seconds))
	}
	return strings.Join(parts, "; ")
}

func counts(of map[string]int) string {
	var parts []string
	for _, word := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%d %s", of[word], word))
	}
	return strings.Join(parts, ", ")
}

// logCaches writes the figures of a job's caches as one line of the operator log, without those that nobody knows.
func (j *job) logCaches(row stats.Job, err error) {
	line := j.log
	if err != nil {
		line = line.WithError(err)
	}
	fields := logrus.Fields{"cache_reason": row.CacheReason, "restore_seconds": row.Restore(), "save_seconds": row.Save()}
	if row.SaveReason != "" {
		fields["save_reason"] = row.SaveReason
	}
	if row.SavedBytes != nil {
		fields["saved_bytes"] = *row.SavedBytes
	}
	if row.Platform != "" {
		fields["platform"], fields["toolchain"] = row.Platform, row.Toolchain
	}
	for name, n := range map[string]*int{
		"modules_wanted": row.ModulesWanted, "modules_hit_host": row.ModulesHitHost, "modules_hit_store": row.ModulesHitStore,
		"modules_missed": row.ModulesMissed, "build_available": row.BuildAvailable, "build_hit": row.BuildHit, "build_new": row.BuildNew,
		"tests_ok": row.TestsOK, "tests_cached": row.TestsCached,
	} {
		if n != nil {
			fields[name] = *n
		}
	}
	if extras := extraCounts(row.Detail.Extras, true); len(extras) > 0 {
		fields["extra"] = strings.Join(extras, "; ")
	}
	line.WithFields(fields).Info("caches")
}

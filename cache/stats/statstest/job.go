package statstest

import (
	"fmt"
	"strconv"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// run makes the row of a job.
func (m *month) run(p *project, began time.Time) stats.Job {
	j := stats.Job{
		Instance: p.instance, Project: p.number, ProjectPath: p.path, Job: strconv.Itoa(5000 + len(m.jobs)), Name: p.names[m.rand.IntN(len(p.names))],
		Pipeline: strconv.Itoa(900 + len(m.jobs)/3), RefType: "branch", Ref: "main", Tier: "protected",
		Host: m.host(began), Image: p.image, Began: stats.Time{Time: began.Truncate(time.Millisecond)},
	}
	if m.chance(60) && began.Hour() > 2 {
		n := m.between(1, 9)
		j.RefType, j.Ref, j.Tier = "merge_request", fmt.Sprintf("refs/merge-requests/%d/head", n), fmt.Sprintf("ref-%016x", n)
	}
	if j.Name == "build-arm64" && began.Before(NewPlatform) {
		j.Name = "build"
	}
	m.verdict(&j)
	seconds := m.about(4) // of prepare and get_sources
	switch {
	case j.FailedStage == "prepare":
	case p.modules == 0:
		j.CacheReason = "no_go"
		j.ScriptSeconds = new(m.about(p.seconds))
	case m.chance(2):
		j.CacheReason = []string{"off", "bypassed"}[m.rand.IntN(2)]
		j.ScriptSeconds = new(m.about(p.seconds))
	default:
		m.withCaches(p, &j)
	}
	if j.ScriptSeconds != nil {
		seconds += *j.ScriptSeconds
	}
	seconds += j.Restore() + j.Save()
	j.Ended = stats.Time{Time: j.Began.Add(time.Duration(seconds * float64(time.Second))).Truncate(time.Millisecond)}
	j.Seconds = j.Ended.Sub(j.Began.Time).Seconds()
	return j
}

func (m *month) host(at time.Time) string {
	if at.Before(NewHost) {
		return fmt.Sprintf("runner-%d", m.between(1, 2))
	}
	return fmt.Sprintf("runner-%d", m.between(1, 3))
}

// within says whether a time is in the hour that begins then.
func within(at, began time.Time) bool { return !at.Before(began) && at.Before(began.Add(time.Hour)) }

// verdict decides how the job ends.
func (m *month) verdict(j *stats.Job) {
	end := func(outcome, reason, stage string) { j.Outcome, j.Reason, j.FailedStage = outcome, reason, stage }
	n := m.rand.IntN(1000)
	switch {
	case j.Host == "runner-2" && within(j.Began.Time, DockerGone):
		end("system_failed", "docker_gone", "prepare")
	case j.Host == "runner-1" && within(j.Began.Time, Crash.Add(-time.Hour)):
		end("lost", "runner_gone", "")
	case n < 70:
		end("script_failed", "exit_code", "build_script")
	case n < 73:
		end("script_failed", "out_of_memory", "build_script")
	case n < 80:
		end("job_invalid", "image_not_found", "prepare")
	case n < 100:
		end("canceled", "signal", "")
	case n < 103:
		end("timed_out", "job_timeout", "build_script")
	default:
		end("success", "", "")
	}
}

// withCaches is a job that has caches: from what it began, what it hit and what it saved.
func (m *month) withCaches(p *project, j *stats.Job) {
	at := j.Began.Time
	j.Platform, j.Toolchain, j.Graph = "linux-amd64-v1", "go1.26.7", p.graph(week(at))
	if j.Name == "build-arm64" {
		j.Platform = "linux-arm64-v8.0"
	}
	if !at.Before(NewToolchain) {
		j.Toolchain = "go1.26.8"
	}
	for i := range p.modules {
		path, version := p.module(i, week(at))
		j.Detail.Modules = append(j.Detail.Modules, path+"@"+version)
	}
	down := !at.Before(OutageBegan) && at.Before(OutageEnded)
	base, changed := m.restore(p, j, down)
	complete := j.Outcome == "success" || j.Outcome == "script_failed"
	m.work(p, j, base, len(changed), complete)
	if complete { // Runner skips the stage in which the others would be counted
		m.save(j, base, down)
	}
}

// lineage names where a job of a tier reads and writes.
func lineage(j *stats.Job, tier string) string {
	return j.Instance + "/" + j.Project + "/" + tier + "/" + j.Platform + "/" + j.Toolchain
}

// place is where on a host the layers of a lineage are.
func place(j *stats.Job) string { return j.Host + " " + lineage(j, j.Tier) }

// restore chooses the base as the executor does: the entry for the very graph, the job's own tier first, else the newest one.
func (m *month) restore(p *project, j *stats.Job, down bool) (base *entry, changed []stats.Change) {
	tiers := []string{j.Tier, "protected"}
	if j.Tier == "protected" {
		tiers = tiers[:1]
	}
	for _, tier := range tiers {
		of := m.bases[lineage(j, tier)]
		said := stats.Base{Kind: "build", Tier: tier, Entries: len(of)}
		if e := nearest(of, j.Graph); e != nil {
			said.Job, said.Graph, said.Saved, said.Exact = e.job, e.graph, e.at, e.graph == j.Graph
			if base == nil || said.Exact && base.graph != j.Graph {
				base = e
			}
		}
		j.Detail.Bases = append(j.Detail.Bases, said)
	}
	j.LookupSeconds, j.DownloadSeconds, j.MountSeconds = new(m.about(0.06)), new(0.0), new(m.about(0.03))
	j.Layers, j.LayerBytes, j.DownloadedBytes = new(0), new(int64(0)), new(int64(0))
	j.PrefetchSeconds = new(m.about(0.02))
	switch {
	case down:
		j.CacheReason, j.LookupSeconds = "store_unreachable", new(m.about(2))
		j.Detail.Problems = []string{"the store does not answer"}
		if m.brought[place(j)] == 0 {
			base = nil // nothing of it is on the host
		}
	case base == nil:
		j.CacheReason = m.coldReason(j)
	case base.graph == j.Graph:
		j.CacheReason = "exact"
	default:
		j.CacheReason = "nearest"
	}
	if base == nil {
		return nil, nil
	}
	changed = p.changed(base.week, week(j.Began.Time))
	j.BaseJob, j.BaseTier, j.BaseGraph, j.Detail.Changed = base.job, base.tier, base.graph, changed
	j.Layers, j.LayerBytes = new(m.between(2, 12)), new(int64(p.packages)*1_500_000)
	return base, changed
}

// nearest is the newest entry for a graph, else the newest one.
func nearest(of []entry, graph string) *entry {
	for i := range of {
		if e := &of[len(of)-1-i]; e.graph == graph {
			return e
		}
	}
	if len(of) == 0 {
		return nil
	}
	return &of[len(of)-1]
}

// coldReason is why there is no base: nobody has saved for the toolchain, for the platform, or at all.
func (m *month) coldReason(j *stats.Job) string {
	older, native := *j, *j
	older.Toolchain, native.Platform = "go1.26.7", "linux-amd64-v1"
	switch {
	case len(m.bases[lineage(&older, "protected")]) > 0:
		return "new_toolchain"
	case len(m.bases[lineage(&native, "protected")]) > 0:
		return "new_platform"
	}
	return "first_run"
}

// work is the script, and what it finds in its caches.
func (m *month) work(p *project, j *stats.Job, base *entry, changed int, complete bool) {
	used := p.packages * m.between(85, 100) / 100
	made := used
	if base != nil {
		made = min(used, changed*m.between(30, 60)+m.between(0, 12))
	}
	part := float64(made) / float64(p.packages)
	j.ScriptSeconds = new(m.about(p.seconds * (0.15 + 0.85*part)))
	if m.chance(1) { // something else keeps the host busy
		*j.ScriptSeconds *= 8
	}
	if !complete {
		return
	}
	missed := changed
	if base == nil {
		missed = p.modules
	}
	fromStore := 0
	if base != nil && m.brought[place(j)] == 0 {
		fromStore = (p.modules - missed) * m.between(40, 100) / 100
		j.DownloadSeconds, j.DownloadedBytes = new(m.about(float64(p.packages)/100)), new(int64(m.about(float64(p.packages)*900_000)))
	}
	m.brought[place(j)]++
	j.ModulesMissed, j.BuildNew = new(missed), new(made)
	j.BuildAvailable = new(0)
	if base != nil {
		j.BuildAvailable = new(p.packages * 2)
	}
	if j.Host != "runner-3" { // whose settings say count_hits = false
		j.ModulesWanted, j.ModulesHitHost, j.ModulesHitStore = new(p.modules), new(p.modules-missed-fromStore), new(fromStore)
		j.BuildHit = new(used - made)
	}
	if j.Name == "test" {
		ok := p.tests
		if j.Outcome == "script_failed" {
			ok -= m.between(1, 5)
		}
		cached := 0
		if base != nil {
			cached = max(0, ok-1-made*p.tests/p.packages)
		}
		j.TestsOK, j.TestsCached = new(ok), new(cached)
	}
	if base != nil {
		for i := range made {
			j.Detail.Compiled = append(j.Detail.Compiled, fmt.Sprintf("example.com/%s/internal/p%03d", p.path, i))
		}
	}
}

// save adds what the job has made to its tier, once anything is new.
func (m *month) save(j *stats.Job, base *entry, down bool) {
	saved := int64(*j.BuildNew)*400_000 + int64(*j.ModulesMissed)*1_200_000
	j.HarvestSeconds, j.WriteSeconds, j.UploadSeconds = new(m.about(0.1+float64(*j.BuildNew)/200)), new(m.about(0.05+float64(*j.BuildNew)/300)), new(0.0)
	j.SavedBytes, j.UploadedBytes = &saved, new(int64(0))
	if j.Host == "runner-3" && !down { // where no serve runs
		j.UploadSeconds, j.UploadedBytes = new(m.about(float64(saved)/80e6)), &saved
	}
	if saved == 0 && base != nil && base.graph == j.Graph {
		return
	}
	at := lineage(j, j.Tier)
	m.bases[at] = append(m.bases[at], entry{job: j.Job, tier: j.Tier, graph: j.Graph, week: week(j.Began.Time), at: j.Began.Time})
}

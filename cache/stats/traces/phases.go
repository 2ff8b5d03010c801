package traces

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// phase is a span below that of a job, with parts one after the other.
type phase struct {
	name       string
	began      time.Time
	took       time.Duration
	attributes []attribute.KeyValue
	parts      []part
}

type part struct {
	name string
	took time.Duration
}

// phases are those of which it is known when they began.
func phases(j *stats.Job) []phase {
	all := []phase{
		{name: "prefetch", parts: nil, took: seconds(j.PrefetchSeconds)},
		{name: "restore", parts: []part{{"lookup", seconds(j.LookupSeconds)}, {"download", seconds(j.DownloadSeconds)}, {"mount", seconds(j.MountSeconds)}}},
		{name: "script", took: seconds(j.ScriptSeconds)},
		{name: "save", parts: []part{{"harvest", seconds(j.HarvestSeconds)}, {"write", seconds(j.WriteSeconds)}, {"upload", seconds(j.UploadSeconds)}}},
	}
	for name, bytes := range map[string]*int64{"restore": j.DownloadedBytes, "save": j.SavedBytes} {
		for i := range all {
			if all[i].name == name && bytes != nil {
				all[i].attributes = append(all[i].attributes, attribute.Int64("cache.bytes", *bytes))
			}
		}
	}
	var known []phase
	for _, p := range all {
		began, ok := j.Detail.Starts[p.name]
		if !ok {
			continue
		}
		p.began = began
		for _, part := range p.parts {
			p.took += part.took
		}
		known = append(known, p)
	}
	return known
}

func seconds(s *float64) time.Duration {
	if s == nil {
		return 0
	}
	return time.Duration(*s * float64(time.Second))
}

// mostMisses bounds the events of a trace.
const mostMisses = 100

// miss is a thing that a job had to make or fetch.
type miss struct {
	at         time.Time
	attributes []attribute.KeyValue
}

// misses are the modules and packages that the base lacked. A job that began with nothing missed everything, which is one event.
func misses(j *stats.Job) []miss {
	var all []miss
	add := func(at string, attributes ...attribute.KeyValue) {
		if len(all) < mostMisses {
			when, ok := j.Detail.Starts[at]
			if !ok {
				when = j.Began.Time
			}
			all = append(all, miss{when, append(attributes, attribute.String("cache.reason", j.CacheReason))})
		}
	}
	if j.CacheReason != "" && (j.Layers == nil || *j.Layers == 0) {
		add("restore", attribute.String("cache.miss", "everything"))
		return all
	}
	for _, c := range j.Detail.Changed {
		add("restore", attribute.String("cache.kind", "modules"), attribute.String("cache.miss", c.Path+"@"+c.Want), attribute.String("cache.had", c.Had))
	}
	for _, p := range j.Detail.Compiled {
		add("save", attribute.String("cache.kind", "build"), attribute.String("cache.miss", p))
	}
	return all
}

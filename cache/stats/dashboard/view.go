package dashboard

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// span is a time until now that a reader can choose.
type span struct {
	word string // in the address
	name string
	time.Duration
	unit string // by which figures over time are grouped
}

// spans are in the order in which they are shown. The last one is all there is.
var spans = []span{
	{"24h", "24 hours", 24 * time.Hour, "hour"},
	{"7d", "7 days", 7 * 24 * time.Hour, "day"},
	{"30d", "30 days", 30 * 24 * time.Hour, "day"},
	{"all", "all", 0, "day"},
}

const usualSpan = 1

// view is what a reader has chosen to see.
type view struct {
	span
	project string
	now     time.Time
}

func viewOf(query url.Values, now time.Time) (view, error) {
	v := view{span: spans[usualSpan], project: query.Get("project"), now: now}
	word := query.Get("range")
	if word == "" {
		return v, nil
	}
	var words []string
	for _, s := range spans {
		if s.word == word {
			v.span = s
			return v, nil
		}
		words = append(words, s.word)
	}
	return v, fmt.Errorf("range is %q; allowed are %s", clean(word, shortName), strings.Join(words, ", "))
}

// since is the zero time for all.
func (v view) since() time.Time {
	if v.Duration == 0 {
		return time.Time{}
	}
	return v.now.Add(-v.Duration)
}

func (v view) filter() stats.Filter { return stats.Filter{Since: v.since(), Project: v.project} }

// address is a link to another view from the page of this one.
func address(span, project string) string {
	query := url.Values{"range": {span}}
	if project != "" {
		query.Set("project", project)
	}
	return "?" + query.Encode()
}

// jobAddress is that of a job's page, below the root that its link's page names. It is empty where the row does not say which job it is, or
// where it names a step of a path: browsers resolve these even when they are escaped (https://url.spec.whatwg.org/#double-dot-path-segment).
func jobAddress(root, instance, job string) string {
	for _, name := range []string{instance, job} {
		if name == "" || name == "." || name == ".." {
			return ""
		}
	}
	return root + "job/" + url.PathEscape(instance) + "/" + url.PathEscape(job)
}

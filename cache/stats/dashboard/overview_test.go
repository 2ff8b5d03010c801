package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/statstest"
)

func TestTheHeadlineFiguresAreThoseOfTheLedger(t *testing.T) {
	t.Parallel()
	open := openMonth(t)
	l, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := serve(t, open, allFacts())
	for _, project := range []string{"", "shop/web", "13", "docs/site"} {
		for word, since := range map[string]time.Time{"24h": now.Add(-24 * time.Hour), "7d": now.AddDate(0, 0, -7), "30d": now.AddDate(0, 0, -30), "all": {}} {
			totals, err := l.Totals(t.Context(), stats.Filter{Since: since, Project: project}, "")
			if err != nil {
				t.Fatal(err)
			}
			want := totals[0]
			plain := func(s string) string { return strings.ReplaceAll(s, gap, " ") }
			values := []string{
				count(want.Jobs), plain(percent(want.ModuleHits())), plain(percent(want.BuildHits())), plain(percent(want.CachedTests())), unknown, unknown,
			}
			if want.Compared > 0 {
				values[4] = plain(seconds(want.SecondsSaved))
			}
			if want.Cached > 0 {
				values[5] = plain(seconds(want.RestoreSeconds + want.SaveSeconds))
			}
			page := get(t, s, address(word, project))
			if got := list(page.Node, "dd", "value"); !slices.Equal(got, values) {
				t.Errorf("%s of %q: %v, want %v", word, project, got, values)
			}
			for _, id := range []string{"reasons", "outcomes", "saved"} {
				jobs := 0
				for _, row := range cells(t, page.Node, id) {
					n, err := strconv.Atoi(strings.ReplaceAll(strings.Fields(row[len(row)-1])[0], ",", ""))
					if err != nil {
						t.Fatal(err)
					}
					jobs += n
				}
				if jobs != want.Jobs && (id != "saved" || want.Compared > 0) {
					t.Errorf("%s of %q: the table of %s has %d jobs, want %d", word, project, id, jobs, want.Jobs)
				}
			}
		}
	}
}

func TestAMonthIsCountedAsItsJobsAre(t *testing.T) {
	t.Parallel()
	page := get(t, serve(t, openMonth(t), allFacts()), "/?range=all")
	failed, hit, wanted, reasons, projects := 0, 0, 0, map[string]int{}, map[string]int{}
	jobs := statstest.Month(1)
	for _, j := range jobs { // by hand, without the ledger
		if j.Outcome != "success" {
			failed++
		}
		if j.ModulesWanted != nil {
			wanted, hit = wanted+*j.ModulesWanted, hit+*j.ModulesHitHost+*j.ModulesHitStore
		}
		reasons[or(j.CacheReason, "none")]++
		projects[j.ProjectPath]++
	}
	notes := list(page.Node, "dd", "note")
	if !strings.HasPrefix(notes[0], count(failed)+" failed;") || !strings.HasPrefix(notes[1], count(hit)+" of "+count(wanted)+" wanted;") {
		t.Errorf("got %q, want %d failed and %d of %d modules", notes[:2], failed, hit, wanted)
	}
	for id, want := range map[string]map[string]int{"reasons": reasons, "projects": projects} {
		got := cells(t, page.Node, id)
		for _, row := range got {
			word := strings.Fields(row[0])[0]
			number := strings.Fields(row[map[string]int{"reasons": 2, "projects": 1}[id]])[0]
			if number != count(want[word]) {
				t.Errorf("%s: %s has %s jobs, want %d", id, word, number, want[word])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d %s, want %d", len(got), id, len(want))
		}
	}
}

func TestAProjectAndARangeCanBeChosen(t *testing.T) {
	t.Parallel()
	s := serve(t, openMonth(t), allFacts())
	for _, test := range []struct{ path, chosen, span string }{
		{"/", "all projects", "7 days"},
		{"/?range=30d", "all projects", "30 days"},
		{"/?range=24h&project=shop%2Fweb", "shop/web", "24 hours"},
		{"/?range=all&project=docs%2Fsite", "docs/site", "all"},
		{"/?project=13", "13", "7 days"}, // by its number
	} {
		page := get(t, s, test.path)
		var options, chosen []string
		for _, option := range elements(page.Node, "option", "") {
			options = append(options, read(option))
			if slices.ContainsFunc(option.Attr, func(a html.Attribute) bool { return a.Key == "selected" }) {
				chosen = append(chosen, read(option))
			}
		}
		want := []string{"all projects", "shop/api", "shop/web", "infra/tools/deployer", "docs/site", "labs/prototype"}
		if !slices.Equal(options[:len(want)], want) || !slices.Equal(chosen, []string{test.chosen}) {
			t.Errorf("%s: %v, chosen is %v", test.path, options, chosen)
		}
		nav := elements(page.Node, "nav", "")[0]
		for i, a := range elements(nav, "a", "") {
			query, err := url.ParseQuery(strings.TrimPrefix(attr(a, "href"), "?"))
			if err != nil || query.Get("range") != spans[i].word || query.Get("project") != strings.TrimPrefix(test.chosen, "all projects") {
				t.Errorf("%s: a link to %s (%v)", test.path, attr(a, "href"), err)
			}
			if current := attr(a, "aria-current") == "page"; current != (read(a) == test.span) {
				t.Errorf("%s: %s is current: %t", test.path, read(a), current)
			}
		}
		if hidden := elements(page.Node, "input", "")[0]; spans[slices.IndexFunc(spans, func(s span) bool { return s.word == attr(hidden, "value") })].name != test.span {
			t.Errorf("%s: the form leaves its range for %s", test.path, attr(hidden, "value"))
		}
	}
}

func TestTheSlowestAndTheColdestJobsLeadToTheirPages(t *testing.T) {
	t.Parallel()
	s := serve(t, openMonth(t), allFacts())
	page := get(t, s, "/?range=all")
	jobs := statstest.Month(1)
	slices.SortStableFunc(jobs, func(a, b stats.Job) int { return int(1000 * (b.Seconds - a.Seconds)) })
	for _, id := range []string{"slowest", "coldest"} {
		rows := cells(t, page.Node, id)
		links := elements(byID(t, page.Node, id).Parent, "a", "")
		if len(rows) != mostRanked || len(links) != mostRanked {
			t.Fatalf("%s: %d rows, %d links", id, len(rows), len(links))
		}
		if id == "slowest" && !strings.Contains(rows[0][0], "· "+jobs[0].Job) {
			t.Errorf("the slowest is %q, want job %s", rows[0][0], jobs[0].Job)
		}
		for i, a := range links {
			number := rows[i][0][strings.LastIndex(rows[i][0], " ")+1:]
			if job := get(t, s, "/"+attr(a, "href")); job.status != http.StatusOK || !strings.HasPrefix(list(job.Node, "h1", "")[0], "Job "+number+": ") {
				t.Errorf("%s leads to %d %v", attr(a, "href"), job.status, list(job.Node, "h1", ""))
			}
		}
	}
}

func TestABumpedModuleIsNamedWithWhatItHadCompiled(t *testing.T) {
	t.Parallel()
	jobs := statstest.Month(1)
	j := jobs[slices.IndexFunc(jobs, func(j stats.Job) bool { return j.CacheReason == "nearest" && j.ProjectPath == "shop/api" })]
	page := get(t, serve(t, openMonth(t), allFacts()), "/job/"+j.Instance+"/"+j.Job)
	text := read(byID(t, page.Node, "why").Parent)
	if want := fmt.Sprintf("lacked 1 module of the job's graph, and %d packages were compiled anew", len(j.Detail.Compiled)); !strings.Contains(text, want) {
		t.Errorf("it says %q, want %q", text, want)
	}
	if !strings.Contains(text, statstest.Bumped+" v1.0.0 v1.1.0") {
		t.Errorf("%s is not named: %q", statstest.Bumped, text)
	}
	if got := list(elements(page.Node, "ul", "names")[0], "li", ""); !slices.Equal(got, j.Detail.Compiled) {
		t.Errorf("compiled %v, want %v", got, j.Detail.Compiled)
	}
	if base := read(byID(t, page.Node, "caches").Parent); !strings.Contains(base, "saved by job "+j.BaseJob) {
		t.Errorf("the base is not that of job %s: %q", j.BaseJob, base)
	}
	if gitlab := elements(byID(t, page.Node, "who").Parent, "a", "")[1]; attr(gitlab, "href") != "https://gitlab.example.com/shop/api/-/jobs/"+j.Job {
		t.Errorf("in GitLab it is %q", attr(gitlab, "href"))
	}
}

func TestWhatIsNotKnownIsNotNothing(t *testing.T) {
	t.Parallel()
	bare := stats.Job{Instance: "gitlab.example.com", Job: "1", Began: stats.Time{Time: now.Add(-time.Hour)}, Ended: stats.Time{Time: now.Add(-time.Hour)}, Outcome: "system_failed"}
	open := newLedger(t, bare)
	s := serve(t, open, Facts{})
	page := get(t, s, "/")
	if got := list(page.Node, "dd", "value"); !slices.Equal(got, []string{"1", unknown, unknown, unknown, unknown, unknown}) {
		t.Errorf("figures %v", got)
	}
	for _, id := range []string{"sizes", "store"} {
		section := byID(t, page.Node, id).Parent
		for i, dd := range elements(section, "dd", "") {
			if !strings.HasPrefix(read(dd), unknown) {
				t.Errorf("%s: %s is %q", id, read(elements(section, "dt", "")[i]), read(dd))
			}
		}
	}
	job := get(t, s, "/job/gitlab.example.com/1")
	if got := list(job.Node, "dd", "value"); !slices.Equal(got, []string{unknown, unknown, unknown, unknown}) {
		t.Errorf("figures of the job %v", got)
	}
	for _, row := range cells(t, job.Node, "phases") {
		if row[2] != unknown {
			t.Errorf("phase %v", row)
		}
	}
}

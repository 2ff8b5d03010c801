package monitoring

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/metrics"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// rule is one of alerts.yml.
type rule struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	if err := yaml.Unmarshal([]byte(read(t, "alerts.yml")), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// sections are the headings of RUNBOOK.md, with what follows them.
func sections(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, s := range strings.Split(read(t, "RUNBOOK.md"), "\n## ")[1:] {
		heading, text, _ := strings.Cut(s, "\n")
		all[heading] = text
	}
	return all
}

func TestEachAlertHasASectionInTheRunbookAndATest(t *testing.T) {
	t.Parallel()
	const book = "https://gitlab.com/gitlab-go-executor/gitlab-go-executor/-/blob/main/monitoring/RUNBOOK.md#"
	written := sections(t)
	tests := read(t, "alerts_test.yml") + read(t, "alerts_week_test.yml")
	alerts := map[string]bool{}
	for _, r := range rules(t) {
		alerts[r.Alert] = true
		if got, want := r.Annotations["runbook_url"], book+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s leads to %s, want %s", r.Alert, got, want)
		}
		if text := written[r.Alert]; !strings.Contains(text, "\n- Clears ") {
			t.Errorf("%s: the runbook has no section that says when it clears: %q", r.Alert, text)
		}
		if !strings.Contains(tests, "alertname: "+r.Alert+"\n") {
			t.Errorf("%s: no test has it fire", r.Alert)
		}
		if r.For == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks something: %+v", r.Alert, r)
		}
	}
	for heading, text := range written {
		if strings.HasPrefix(heading, "GoExecutor") && !alerts[heading] {
			t.Errorf("the runbook has a section for %s, which is no alert", heading)
		}
		for _, name := range regexp.MustCompile(`GoExecutor[A-Za-z]+`).FindAllString(text, -1) {
			if !alerts[name] {
				t.Errorf("%s: %s is no alert", heading, name)
			}
		}
	}
}

var code = regexp.MustCompile("`([^`]*)`")

// table gives the words in the first columns of a section's table.
func table(text string, columns int) (words []string) {
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) < columns+2 || !strings.Contains(cells[1], "`") {
			continue
		}
		var row []string
		for _, cell := range cells[1 : columns+1] {
			word := ""
			if found := code.FindStringSubmatch(cell); found != nil {
				word = found[1]
			}
			row = append(row, word)
		}
		words = append(words, strings.Join(row, " "))
	}
	return words
}

func TestTheRunbookExplainsEachReason(t *testing.T) {
	t.Parallel()
	var caches, jobs []string
	for _, reason := range cache.Reasons() {
		caches = append(caches, string(reason))
	}
	for end, reasons := range outcome.Reasons() {
		for _, reason := range reasons {
			jobs = append(jobs, string(end)+" "+string(reason))
		}
	}
	written := sections(t)
	if got := table(written["Reasons of caches"], 1); !slices.Equal(got, caches) {
		t.Errorf("it explains %v\nthe reasons are %v", got, caches)
	}
	got := table(written["Reasons of jobs"], 2)
	slices.Sort(got)
	slices.Sort(jobs)
	if !slices.Equal(got, jobs) {
		t.Errorf("it explains %v\nthe reasons are %v", got, jobs)
	}
	for _, task := range metrics.Tasks() {
		storeAlert := task == metrics.Send || task == metrics.Probe // which have one of their own
		if !storeAlert && !strings.Contains(written["GoExecutorHousekeepingFailing"], "`"+string(task)+"`:") {
			t.Errorf("it does not explain the task %s", task)
		}
	}
	for _, part := range []string{"ledger", "rounds"} {
		if !strings.Contains(written["GoExecutorServeUnhealthy"], "`"+part+"`:") {
			t.Errorf("it does not explain the part %s", part)
		}
	}
}

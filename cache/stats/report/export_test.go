package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

func exported(t *testing.T, l *stats.Ledger) (jobs []stats.Job, lines [][]string) {
	t.Helper()
	var asJSON, asCSV strings.Builder
	n, err := JobsJSON(t.Context(), &asJSON, l, stats.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := JobsCSV(t.Context(), &asCSV, l, stats.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(asJSON.String()) {
		var j stats.Job
		if err := json.Unmarshal([]byte(line), &j); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		jobs = append(jobs, j)
	}
	if lines, err = csv.NewReader(strings.NewReader(asCSV.String())).ReadAll(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{asJSON.String(), asCSV.String()} {
		if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Errorf("a terminal would obey %q", text)
		}
	}
	if len(jobs) != n || len(lines) != m+1 || m < n {
		t.Fatalf("%d and %d jobs were said, %d lines of JSON and %d of CSV written", n, m, len(jobs), len(lines))
	}
	return jobs, lines
}

func TestEachJobIsExportedWithEveryColumn(t *testing.T) {
	t.Parallel()
	evil := bumped(4)
	evil.Name, evil.Ref, evil.Image, evil.ScriptSeconds = "=cmd|' /C calc'!A0", "-1+1", hostile, new(400.0)
	faster := cold(1)
	faster.Name = evil.Name
	l := newLedger(t, faster, bumped(2), evil, bare(3))
	jobs, lines := exported(t, l)
	var want []stats.Job
	for j, err := range l.Jobs(t.Context(), stats.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, j)
	}
	if len(want) != len(jobs) || !slices.Equal(lines[0], stats.Columns) {
		t.Fatalf("%d jobs of %d, the first line is %v", len(jobs), len(want), lines[0])
	}
	for i := range want {
		for n, name := range stats.Columns {
			inLedger, inJSON := plain(t, want[i], n), plain(t, jobs[i], n)
			inCSV := strings.TrimPrefix(lines[i+1][n], "'")
			if inJSON != inLedger || inCSV != strings.ReplaceAll(inLedger, "\ufffd\ufffd", `\xff\xc3`) {
				t.Errorf("%s of job %s is %s: %s in JSON, %s in CSV", name, want[i].Job, inLedger, inJSON, inCSV)
			}
		}
	}
	line := strings.Join(lines[3], " ")
	for _, text := range []string{" '=cmd|", " '-1+1 ", fmt.Sprintf(" %v ", *jobs[2].SecondsSaved)} {
		if !strings.Contains(line, text) || *jobs[2].SecondsSaved >= 0 {
			t.Errorf("no %q in %s", text, line)
		}
	}
}

// plain is a column of a job as text; empty, if it is null.
func plain(t *testing.T, j stats.Job, column int) string {
	t.Helper()
	value := reflect.ValueOf(j).Field(column).Interface()
	switch value := value.(type) {
	case string:
		return printable(strings.ToValidUTF8(value, "\ufffd\ufffd"))
	case stats.Time:
		return value.Local().Format(time.RFC3339Nano)
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(data), "null")
}

// People look while jobs end.
func TestTheLedgerIsReadWhileJobsWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const each = 30
	var group sync.WaitGroup
	for w := range 2 {
		group.Go(func() {
			for i := range each {
				l, err := stats.Open(t.Context(), dir) // as each job does
				if err == nil {
					err = l.Add(t.Context(), warm(1000*w+i))
				}
				if err != nil {
					t.Error(err)
					return
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Cleanup(group.Wait)
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	l, err := stats.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for before, ended := 0, false; ; {
		jobs, _ := exported(t, l)
		totals, err := Count(t.Context(), l, stats.Filter{}, "platform")
		if err != nil || totals.All.Jobs < len(jobs) || len(jobs) < before || totals.All.ModulesWanted != int64(10*totals.All.Jobs) {
			t.Fatalf("%d jobs after %d, then %+v (%v)", len(jobs), before, totals.All, err)
		}
		if before = len(jobs); ended {
			break
		}
		select {
		case <-done:
			ended = true
		default:
		}
	}
	if jobs, _ := exported(t, l); len(jobs) != 2*each {
		t.Errorf("%d jobs, want %d", len(jobs), 2*each)
	}
}

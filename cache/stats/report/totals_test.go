package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

func TestTheTableOfTotals(t *testing.T) {
	t.Parallel()
	second := warm(3)
	second.LookupSeconds, second.DownloadedBytes = new(60.0), new(int64(3e9))
	got := table(t, newLedger(t, cold(1), warm(2), second, bare(4)), "project")
	fits(t, got)
	same(t, got, `                               modules  build   tests   time  restore     save   down-     up-
project    jobs  failed  cold      hit    hit  cached  saved  per job  per job  loaded  loaded
8             1       1     -        -      -       -      -        -        -       -       -
group/app     3       0     1    60.0%  62.5%   53.3%  3m12s    20.5s    0.28s  3.0 GB  3.0 MB
total         4       1     1    60.0%  62.5%   53.3%  3m12s    20.5s    0.28s  3.0 GB  3.0 MB

Time saved is what the newest cold run of the same job (its project, name and platform) took longer
for its scripts with restore and save. 2 of these 4 jobs could be compared: those that succeeded,
and of which a cold run is known.
`)
}

func TestTheTableFitsThePageWhateverIsInIt(t *testing.T) {
	t.Parallel()
	var jobs []stats.Job
	for i, name := range []string{"group/with/many/subgroups/and-a-long-name/of-a-service-that-does-much", "東京/東京/東京/東京/東京/東京/東京/東京/東京/東京", "evil\x1b[2J\r\n\u202e\x9b\xff", "e\u0301te\u0301", "😀"} {
		j := warm(i)
		j.ProjectPath = name
		big := int64(1e17)
		j.DownloadedBytes, j.UploadedBytes, j.ScriptSeconds, j.LookupSeconds, j.HarvestSeconds = &big, &big, new(9.9e7), new(3599.0), new(4e5)
		c := cold(100 + i)
		c.ProjectPath, c.ScriptSeconds = name, new(3e9)
		jobs = append(jobs, c, j)
	}
	got := table(t, newLedger(t, jobs...), "project")
	fits(t, got)
	for _, want := range []string{`evil\x1b[`, "group/", "…", "😀", "e\u0301te\u0301"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	ends := map[int]bool{}
	for line := range strings.Lines(got) {
		if strings.TrimSpace(line) == "" {
			break
		}
		ends[columns(strings.TrimSuffix(line, "\n"))] = true
	}
	if len(ends) != 1 {
		t.Errorf("lines of the table end at %v\n%s", ends, got)
	}
}

// What programs get is what people see, and what the ledger counts.
func TestTotalsAsJSONAndCSVAreThoseOfTheLedger(t *testing.T) {
	t.Parallel()
	l := newLedger(t, cold(1), warm(2), warm(3), bare(4))
	for _, by := range []string{"", "project"} {
		totals, err := Count(t.Context(), l, stats.Filter{}, by)
		if err != nil {
			t.Fatal(err)
		}
		var asJSON, asCSV strings.Builder
		if err := totals.JSON(&asJSON); err != nil {
			t.Fatal(err)
		}
		if err := totals.CSV(&asCSV); err != nil {
			t.Fatal(err)
		}
		var object struct {
			By     string
			Total  stats.Total
			Groups []map[string]any
		}
		if err := json.Unmarshal([]byte(asJSON.String()), &object); err != nil || object.Total != totals.All || object.By != by || len(object.Groups) != len(totals.Groups) {
			t.Errorf("JSON: %v\n%s", err, asJSON.String())
		}
		lines, err := csv.NewReader(strings.NewReader(asCSV.String())).ReadAll()
		want := totals.Groups
		if by == "" {
			want = []stats.Total{totals.All}
		}
		if err != nil || len(lines) != 1+len(want) {
			t.Fatalf("CSV: %v\n%s", err, asCSV.String())
		}
		for i, group := range want {
			for n, name := range lines[0] {
				inCSV := lines[i+1][n]
				if value := field(group, name); value != nil && fmt.Sprint(value) != inCSV {
					t.Errorf("%s of %q is %q in CSV, want %v", name, group.Group, inCSV, value)
				}
				if by == "" {
					continue
				}
				inJSON := ""
				if value := object.Groups[i][name]; value != nil {
					inJSON = fmt.Sprint(value)
				}
				if f, err := strconv.ParseFloat(inCSV, 64); inJSON != inCSV && (err != nil || fmt.Sprint(f) != inJSON) {
					t.Errorf("%s of %q is %q in CSV and %q in JSON", name, group.Group, inCSV, inJSON)
				}
			}
		}
		if rates := lines[0][len(lines[0])-3:]; !reflect.DeepEqual(rates, []string{"module_hit_rate", "build_hit_rate", "cached_test_rate"}) {
			t.Errorf("the last columns are %v", rates)
		}
	}
}

// field is what a Total has under a name; nil if it has nothing.
func field(t stats.Total, name string) any {
	rates := map[string]*float64{"module_hit_rate": t.ModuleHits(), "build_hit_rate": t.BuildHits(), "cached_test_rate": t.CachedTests()}
	if rate := rates[name]; rate != nil {
		return *rate
	}
	v := reflect.ValueOf(t)
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("json") == name {
			return v.Field(i).Interface()
		}
	}
	return nil
}

func TestRatesOfNothingAreUnknown(t *testing.T) {
	t.Parallel()
	totals, err := Count(t.Context(), newLedger(t, bare(1)), stats.Filter{}, "")
	if err != nil {
		t.Fatal(err)
	}
	var asJSON, asCSV strings.Builder
	if err := totals.JSON(&asJSON); err != nil {
		t.Fatal(err)
	}
	if err := totals.CSV(&asCSV); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(asJSON.String(), `"module_hit_rate": null`) || !strings.HasSuffix(asCSV.String(), ",,,\n") {
		t.Errorf("%s\n%s", asJSON.String(), asCSV.String())
	}
}

func TestFiguresForPeople(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"-": percent(nil), "0%": percent(new(0.0)), "0.1%": percent(new(0.0001)), "99.9%": percent(new(0.99999)), "100%": percent(new(1.0)), "62.5%": percent(new(0.625)),
		"0.00s": duration(0.001), "-0.50s": duration(-0.5), "9.99s": duration(9.99), "10.0s": duration(9.999), "99.9s": duration(99.9), "1m40s": duration(99.96), "59m59s": duration(3599),
		"1h00m": duration(3599.9), "47h59m": duration(48*3600 - 1), "2d00h": duration(48 * 3600), "1,234d05h": duration(1234*86400 + 5*3600),
		"1.2 GB": size(1.2e9, true), "0 B": size(0, true), "1,234,567": count(1234567),
		"a second": age(0), "119 seconds": age(119e9), "2 minutes": age(120e9), "2 hours": age(7200e9), "2 days": age(48 * 3600e9),
		"1 layer": counted(1, "layer"), "0 layers": counted(0, "layer"), "2 entries": counted(2, "entry"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if size(0, false) != "-" || each(1, 0) != "-" || each(3, 2) != "1.50s" {
		t.Errorf("%s %s %s", size(0, false), each(1, 0), each(3, 2))
	}
}

package report

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// group is a total with its rates, as programs get it. A rate that has no whole is null.
type group struct {
	stats.Total
	ModuleHitRate  *float64 `json:"module_hit_rate"`
	BuildHitRate   *float64 `json:"build_hit_rate"`
	CachedTestRate *float64 `json:"cached_test_rate"`
}

func withRates(t stats.Total) group { return group{t, t.ModuleHits(), t.BuildHits(), t.CachedTests()} }

// JSON writes the totals as one object.
func (t Totals) JSON(w io.Writer) error {
	var all struct {
		By     string  `json:"by,omitempty"`
		Total  group   `json:"total"`
		Groups []group `json:"groups"`
	}
	all.By, all.Total, all.Groups = t.By, withRates(t.All), []group{}
	for _, g := range t.Groups {
		all.Groups = append(all.Groups, withRates(g))
	}
	return writeJSON(w, all, "  ")
}

func writeJSON(w io.Writer, v any, indent string) error {
	data, err := json.MarshalIndent(v, "", indent)
	if indent == "" {
		data, err = json.Marshal(v)
	}
	if err != nil {
		return err
	}
	_, err = w.Write(append(plainJSON(data), '\n'))
	return err
}

// CSV writes the groups, or if there are none the total, with a line of names.
func (t Totals) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	names, _ := record(withRates(t.All))
	if err := out.Write(names); err != nil {
		return err
	}
	groups := t.Groups
	if t.By == "" {
		groups = []stats.Total{t.All}
	}
	for _, g := range groups {
		if _, values := record(withRates(g)); out.Write(values) != nil {
			break // Error has it
		}
	}
	out.Flush()
	return out.Error()
}

// JobsJSON writes each job that a filter chooses as a line of JSON, with every column, and says how many there were.
func JobsJSON(ctx context.Context, w io.Writer, l *stats.Ledger, f stats.Filter) (n int, err error) {
	out := bufio.NewWriter(w)
	for j, err := range l.Jobs(ctx, f) {
		if err == nil {
			err = writeJSON(out, j, "")
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, out.Flush()
}

// JobsCSV writes each job that a filter chooses, with every column and a line of names, and says how many there were.
func JobsCSV(ctx context.Context, w io.Writer, l *stats.Ledger, f stats.Filter) (n int, err error) {
	out := csv.NewWriter(w)
	if err := out.Write(stats.Columns); err != nil {
		return 0, err
	}
	for j, err := range l.Jobs(ctx, f) {
		if err != nil {
			return n, err
		}
		if _, values := record(j); out.Write(values) != nil {
			break // Error has it
		}
		n++
	}
	out.Flush()
	return n, out.Error()
}

// record gives the names, as in JSON, and values of a struct's fields. What is null is empty.
func record(of any) (names, values []string) {
	v := reflect.ValueOf(of)
	for _, field := range reflect.VisibleFields(v.Type()) {
		if name := field.Tag.Get("json"); name != "" && name != "-" {
			names, values = append(names, name), append(values, cell(v.FieldByIndex(field.Index)))
		}
	}
	return names, values
}

func cell(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch value := v.Interface().(type) {
	case string:
		return csvText(value)
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case stats.Time:
		return value.Format(time.RFC3339Nano)
	case stats.Detail:
		data, _ := json.Marshal(value) // which cannot fail: it holds texts, numbers and times
		return string(plainJSON(data))
	}
	return fmt.Sprint(v.Interface())
}

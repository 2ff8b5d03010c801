package stats

import (
	"context"
	"fmt"
	"strings"
)

// Crossed is what the jobs come to that are in the same group of each of several kinds.
type Crossed struct {
	Total           // its Group is empty
	Groups []string // in the order in which they were asked for
}

// Crossed adds up jobs by several kinds of groups at once, in no order. By adding up these totals one gets those of each kind and of all, for the
// price of reading the ledger once.
func (l *Ledger) Crossed(ctx context.Context, f Filter, by ...string) ([]Crossed, error) {
	var columns, numbers []string
	for i, word := range by {
		group, known := groups[word]
		if !known {
			return nil, fmt.Errorf("jobs cannot be grouped by %q: known are %s", word, strings.Join(Groups(), ", "))
		}
		columns, numbers = append(columns, group), append(numbers, fmt.Sprint(i+1))
	}
	for _, sum := range sums {
		columns = append(columns, "coalesce("+sum+", 0)")
	}
	where, args := f.where()
	rows, err := l.db.QueryContext(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM jobs"+where+" GROUP BY "+strings.Join(numbers, ", "), args...)
	if err != nil {
		return nil, l.failed(err)
	}
	defer rows.Close()
	var all []Crossed
	for rows.Next() {
		c := Crossed{Groups: make([]string, len(by))}
		var to []any
		for i := range c.Groups {
			to = append(to, &c.Groups[i])
		}
		if err := rows.Scan(append(to, c.fields()...)...); err != nil {
			return nil, l.failed(err)
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return nil, l.failed(err)
	}
	return all, nil
}

// Add adds the figures of other jobs.
func (t *Total) Add(more Total) {
	others := more.fields()
	for i, field := range t.fields() {
		switch field := field.(type) {
		case *int:
			*field += *others[i].(*int)
		case *int64:
			*field += *others[i].(*int64)
		case *float64:
			*field += *others[i].(*float64)
		}
	}
}

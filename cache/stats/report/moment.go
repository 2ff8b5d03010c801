package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Moment reads what people write for a moment: how long ago, such as 168h or 7d, or the beginning of a day or a minute of this time zone.
func Moment(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 1e5 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04"} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: it takes how long ago (168h, 7d), or a date (2026-03-01, 2026-03-01T15:04)", text)
}

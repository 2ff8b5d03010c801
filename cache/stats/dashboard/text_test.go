package dashboard

import (
	"strings"
	"testing"
	"time"
)

func TestFiguresAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	rate := func(f float64) string { return percent(&f) }
	for got, want := range map[string]string{
		percent(nil): unknown, rate(0): "0.0 %", rate(1): "100.0 %", rate(0.9): "90.0 %", rate(0.98765): "98.8 %", rate(0.99999): "99.9 %", rate(0.9991): "99.9 %", rate(0.00001): "< 0.1 %",
		seconds(0): "0 s", seconds(0.254): "0.25 s", seconds(4.24): "4.2 s", seconds(59.94): "59.9 s", seconds(59.97): "1 min", seconds(125): "2 min 5 s", seconds(3599.7): "1 h", seconds(8000): "2 h 13 min",
		seconds(86399): "23 h 59 min", seconds(100 * 86400): "100 d", seconds(90000): "1 d 1 h", seconds(-4.24): "−4.2 s", seconds(-8000): "−2 h 13 min",
		secondsOf(nil): unknown, sizeOf(nil): unknown, countOf[int](nil): unknown, size(84e6): "84 MB", size(-1): "0 B", count(1234567): "1,234,567",
		plural(1, "job", "jobs"): "1 job", plural(0, "job", "jobs"): "0 jobs", plural(2000, "job", "jobs"): "2,000 jobs",
		zone(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)): "UTC", zone(time.Date(2026, 7, 1, 0, 0, 0, 0, time.FixedZone("CEST", 7200))): "CEST (UTC+02:00)",
	} {
		if got = strings.ReplaceAll(got, gap, " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNamesAreCleaned(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"feature/retry": "feature/retry", "größer 日本 עברית": "größer 日本 עברית", "": "",
		"one\r\ntwo\x00\x1b[31m":          `one\r\ntwo\x00\x1b[31m`,
		"\u202egpj.exe\u2066\u200f\ufeff": `\u202egpj.exe\u2066\u200f\ufeff`,
		"a\u2028b\u00adc":                 `a\u2028b\u00adc`,
		"\xffx":                           "\uFFFDx",
		"e\u0301\u0301\u0301\u0301":       "e\u0301\u0301\u0301" + `\u0301`,
		strings.Repeat("x", 60):           strings.Repeat("x", 60),
		strings.Repeat("x", 61):           strings.Repeat("x", 60) + "…",
		strings.Repeat("\x00", 5000):      strings.Repeat(`\x00`, 15) + "…",
	} {
		if got := clean(name, shortName); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
}

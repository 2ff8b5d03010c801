package executor

import (
	"io"
	"strings"
	"testing"
)

func TestTestsAreCountedAsGoReportsThem(t *testing.T) {
	t.Parallel()
	log := strings.Join([]string{
		"ok  \texample.com/a\t0.012s",
		"ok  \texample.com/b\t(cached)",
		"ok  \texample.com/c\t(cached)\tcoverage: 80.0% of statements",
		"ok  \texample.com/d\t1.5s\tcoverage: 10.0% of statements [no tests to run]",
		"FAIL\texample.com/e\t0.1s",
		"?   \texample.com/f\t[no test files]",
		"--- PASS: ok  (0.00s)",
		"it is ok  \tto say\tso",
		`{"Time":"2026-01-02T03:04:05Z","Action":"output","Package":"example.com/g","Output":"ok  \texample.com/g\t(cached)\n"}`,
		`{"Time":"2026-01-02T03:04:05Z","Action":"output","Package":"example.com/h","Output":"ok  \texample.com/h\t0.004s\n"}`,
		strings.Repeat("x", 3*maxLine) + "ok  \texample.com/i\t(cached)",
		"ok  \texample.com/j\t(cached)", "",
	}, "\n")
	var out strings.Builder
	c := &testCounter{Writer: &out}
	for rest := log; rest != ""; { // as it comes from a container: in pieces that know nothing of lines
		n := min(7, len(rest))
		if _, err := io.WriteString(c, rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if c.tests != (Tests{OK: 7, Cached: 4}) {
		t.Errorf("%+v, want 7 ok and 4 of them cached", c.tests)
	}
	if out.String() != log {
		t.Error("the output was changed on its way")
	}
}

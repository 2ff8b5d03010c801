package executor

import (
	"bytes"
	"io"
	"regexp"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// Tests counts the packages that `go test` reported ok, and of these the ones whose result it took from its cache.
type Tests struct {
	OK     int
	Cached int
}

// addTo adds to what earlier scripts of the job have reported.
func (t Tests) addTo(row *stats.Job) {
	for field, n := range map[**int]int{&row.TestsOK: t.OK, &row.TestsCached: t.Cached} {
		if *field != nil {
			n += **field
		}
		*field = &n
	}
}

// okLine is go test's line for a package that passed (cmd/go/internal/test), as it is or as a JSON text of go test -json. A job may print
// such lines itself; they count for nothing but its own summary.
var okLine = regexp.MustCompile(`(?:^|"Output":")ok  (?:\t|\\t)[^\s\\]+(?:\t|\\t)(\(cached\)|[0-9.]+s)`)

// testCounter passes on a job's output and counts in it.
type testCounter struct {
	io.Writer
	tests Tests
	line  []byte
}

// maxLine is how much of a line is looked at.
const maxLine = 4096

// Write implements io.Writer.
func (c *testCounter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		c.line = append(c.line, line[:min(len(line), max(maxLine-len(c.line), 0))]...)
		if whole {
			c.count()
		}
		rest = after
	}
	return c.Writer.Write(p)
}

func (c *testCounter) count() {
	if bytes.Contains(c.line, []byte("ok  ")) {
		if found := okLine.FindSubmatch(c.line); found != nil {
			c.tests.OK++
			if string(found[1]) == "(cached)" {
				c.tests.Cached++
			}
		}
	}
	c.line = c.line[:0]
}

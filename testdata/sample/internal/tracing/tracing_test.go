package tracing

import (
	"bytes"
	"strings"
	"testing"
)

func TestSpansAreWrittenOnStop(t *testing.T) {
	for enabled, want := range map[bool]bool{true: true, false: false} {
		var out bytes.Buffer
		tracer, stop, err := New(&out, enabled)
		if err != nil {
			t.Fatal(err)
		}
		_, span := tracer.Start(t.Context(), "count parts")
		span.End()
		if err := stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "count parts"); got != want {
			t.Errorf("enabled %v: span written %v", enabled, got)
		}
	}
}

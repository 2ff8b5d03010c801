package metrics

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestObserve(t *testing.T) {
	m := New()
	m.Observe("/parts", 200, time.Second)
	m.Observe("/parts", 200, time.Second)
	m.Observe("/parts", 404, time.Second)
	if got := testutil.CollectAndCount(m.seconds); got != 2 {
		t.Errorf("%d series, want one for each status", got)
	}
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

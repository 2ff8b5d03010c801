//go:build faults

package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
)

// TestFaultAHostThatKeepsVeryMuchIsStillTidiedUp has a host with more than max_size allows by far: what serve does each few seconds, and jobs without it,
// has to stay small beside a job.
func TestFaultAHostThatKeepsVeryMuchIsStillTidiedUp(t *testing.T) {
	remote, dir := remoteOf(t)
	m := &meter{}
	layers, waiting, copies := faulttest.Times(t, 100_000), faulttest.Times(t, 10_000), faulttest.Times(t, 100_000)
	c := hostOf(t, Options{Store: remote, Far: true})
	here := filesIn(c.Dir)
	for n := range layers {
		must(t, here("layers/"+sum(fmt.Sprint(n))+".sqfs", []byte("hsqs")))
	}
	p := request("1").pool("protected", "build")
	for n := range copies {
		pool := fmt.Sprintf("v1/gitlab.example.com/7/ref-%d-x/build/linux-amd64-v1/go1.26.8/", n/10)
		must(t, here("spool/known/"+pool+filepath.Base(p.entryKey(time.Now(), "", fmt.Sprint(n))), []byte("{}")))
	}
	must(t, writeWaiting(here, p, waiting))
	compiled(t, c, request("before"), "a")
	steps := []struct {
		what string
		do   func() error
	}{
		{"to look at the layers", func() error { _, _, err := c.Layers(); return err }},
		{"to look at the spool", func() error { _, _, err := c.Waiting(t.Context()); return err }},
		{"and since when it waits", func() error { _, err := c.WaitingSince(t.Context()); return err }},
		{"to keep house", func() error { return c.Housekeep(t.Context(), false) }},
		{"to keep house again", func() error { return c.Housekeep(t.Context(), false) }},
		{"a job", func() error { compiled(t, c, request("after"), "b"); return nil }},
	}
	for _, step := range steps {
		took := m.of(t, func() { must(t, step.do()) })
		faulttest.Progress(t, "%6d layers, %5d waiting, %6d copies: %-24s %v", layers, waiting, copies, step.what, took)
		if took.took > 20*time.Second || took.heap > 256<<20 || took.files > 100 {
			t.Errorf("%s takes %v", step.what, took)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "v1")); err == nil {
		t.Error("something was sent")
	}
}

// writeWaiting puts so many small objects into the spool, which may never be sent.
func writeWaiting(put func(string, []byte) error, p pool, n int) error {
	for i := range n {
		at := time.Now().Add(-time.Duration(i) * time.Second)
		if err := put("spool/small/"+p.tier+"elsewhere/"+filepath.Base(p.entryKey(at, "", fmt.Sprint(i))), []byte("{}")); err != nil {
			return err
		}
	}
	return nil
}

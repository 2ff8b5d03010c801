package store_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

func TestHowFarTheServersClockIsAhead(t *testing.T) {
	t.Parallel()
	proxy, c := s3test.NewProxy(t, s3test.Fake(t))
	for _, by := range []time.Duration{0, time.Hour, -20 * time.Minute} {
		proxy.Break(s3test.Ahead(by))
		ahead, err := store.ClockOf(t.Context(), c)
		if off := (ahead - by).Abs(); err != nil || off > 10*time.Second {
			t.Errorf("the clock is %s ahead, and was found to be %s (%v)", by, ahead, err)
		}
	}
	c.ServerAddress = "127.0.0.1:9"
	if _, err := store.ClockOf(t.Context(), c); err == nil {
		t.Error("a server that is not there has a clock")
	}
}

func TestAnErrorIsExplainedByItsProblemAndItsRemedy(t *testing.T) {
	t.Parallel()
	proxy, c := s3test.NewProxy(t, s3test.Fake(t))
	proxy.Break(s3test.Answer(http.StatusNotFound, "NoSuchBucket"))
	s, err := store.NewS3(c)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Put(t.Context(), "a", nil)
	problem, remedy := store.Explain(err)
	if !strings.Contains(problem, "there is no bucket") || !strings.Contains(problem, "(the server says NoSuchBucket") || !strings.HasPrefix(remedy, "create it, or correct BucketName") {
		t.Errorf("%q and %q", problem, remedy)
	}
	if strings.Contains(problem, remedy) || !strings.Contains(err.Error(), remedy) {
		t.Errorf("the remedy is not told apart, or missing in %v", err)
	}
	if problem, remedy := store.Explain(http.ErrAbortHandler); problem != http.ErrAbortHandler.Error() || remedy != "" {
		t.Errorf("of another error: %q and %q", problem, remedy)
	}
}

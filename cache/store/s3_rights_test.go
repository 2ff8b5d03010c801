package store_test

import (
	"net/http"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/storetest"
)

// beyond says whether a request is about anything but objects below a prefix, as a policy with a condition on s3:prefix tells them apart.
func beyond(prefix string) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/") // the bucket comes first
		if key == "" {
			key = r.URL.Query().Get("prefix")
		}
		return !strings.HasPrefix(key, prefix)
	}
}

func TestRightsBelowThePrefixAreEnough(t *testing.T) {
	t.Parallel()
	proxy, config := s3test.NewProxy(t, s3test.Versity(t))
	proxy.Break(s3test.Only(beyond("caches/go-"), s3test.Answer(http.StatusForbidden, "AccessDenied")))
	storetest.Run(t, inOneBucket(config))

	config.Prefix = "another"
	if _, err := newS3(t, config).List(t.Context(), "", 1); classOf(err) != refused {
		t.Errorf("elsewhere: %v", err)
	}
}

package store_test

import (
	"slices"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

func TestTheLoginOfAProxyIsKnownInEachForm(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][]string{
		"":                                nil,
		"http://proxy.example.com:3128":   nil,
		"http://example.com/team@work":    nil,
		"http://token@proxy.example.com":  {"token"},
		"http://ci:p%40ss@10.0.0.1:3128/": {"ci:p%40ss", "p%40ss", "p@ss", "Y2k6cEBzcw=="},
		"ci:secret@proxy.example.com":     {"ci:secret", "secret", "secret", "Y2k6c2VjcmV0"},
		"http://ci:100%zz@no url":         {"ci:100%zz", "100%zz", "100%zz", "Y2k6MTAwJXp6"},
	} {
		if got := store.LoginIn(address); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

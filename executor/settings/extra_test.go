package settings

import (
	"strings"
	"testing"
)

func TestEveryMistakeInAnExtraCacheIsReported(t *testing.T) {
	t.Parallel()
	_, err := load(t, `[[cache.extra]]
name = "golangci-lint"
variable = "GOLANGCI_LINT_CACHE"
[[cache.extra]]
name = "golangci-lint"
variable = "GOLANGCI_LINT_CACHE"
[[cache.extra]]
name = "build"
variable = "GOCACHE"
[[cache.extra]]
name = "My Lint"
variable = "MY-CACHE"
max_size = "lots"
[[cache.extra]]
[[cache.extra]]
name = "x"
variable = "LD_PRELOAD"
size = 1
`)
	if err == nil {
		t.Fatal("no mistake was found")
	}
	want := []string{ // a key that several tables have is told by the line of its table
		`config.toml:4: cache.extra[1].name = "golangci-lint": each extra cache at most once`,
		`config.toml:4: cache.extra[1].variable = "GOLANGCI_LINT_CACHE": each variable for one extra cache only`,
		`config.toml:7: cache.extra[2].name = "build": build is taken; take the name of the tool`,
		`config.toml:7: cache.extra[2].variable = "GOCACHE": that means something else`,
		`config.toml:10: cache.extra[3].name = "My Lint": "My Lint" is no name for a cache; use up to 63 lower-case letters`,
		`config.toml:10: cache.extra[3].variable = "MY-CACHE": not the name of a variable`,
		`config.toml:13: cache.extra[3].max_size = "lots": not a size`,
		`config.toml:14: cache.extra[4].name: is missing; name the tool, for example golangci-lint`,
		`config.toml:14: cache.extra[4].variable: is missing; name the variable`,
		`config.toml:15: cache.extra: there are 6; at most 5 extra caches fit into a job`,
		`config.toml:17: cache.extra[5].variable = "LD_PRELOAD": that means something else`,
		`config.toml:18: cache.extra[5].size: unknown key; the keys in [cache.extra] are max_size, name, variable`,
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%s", len(got), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s…", got[i], want[i])
		}
	}
}

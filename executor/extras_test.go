package executor

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// linting is a job of a host with two extra caches.
func linting(variables map[string]string) (*job, *bytes.Buffer) {
	j, log := jobWith(variables)
	j.settings.Cache.Extra = []settings.Extra{
		{Name: "golangci-lint", Variable: "GOLANGCI_LINT_CACHE"}, {Name: "staticcheck", Variable: "STATICCHECK_CACHE", MaxSize: 1 << 20},
	}
	return j, log
}

func TestExtraCachesFollowTheSettingsAndTheAuthor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variables map[string]string
		kinds     string
	}{
		{nil, "modules build golangci-lint staticcheck"},
		{map[string]string{cacheVariable: "off"}, ""},
		{map[string]string{cacheVariable: "modules"}, "modules"},
		{map[string]string{cacheVariable: "read-only"}, "modules build golangci-lint staticcheck"},
		{map[string]string{"GOLANGCI_LINT_CACHE": "/builds/x/.cache"}, "modules build staticcheck"},
		{map[string]string{"GOLANGCI_LINT_CACHE": "/x", "STATICCHECK_CACHE": "/y"}, "modules build"},
	} {
		j, _ := linting(test.variables)
		kinds, _, _ := j.wantedCaches()
		if strings.Join(kinds, " ") != test.kinds {
			t.Errorf("%v: %v, want %s", test.variables, kinds, test.kinds)
		}
		if j.bringsOwnCaches() {
			t.Errorf("%v: Go's own caches are left alone too", test.variables)
		}
		if !slices.Equal(j.settings.Cache.Kinds, []string{"modules", "build"}) {
			t.Errorf("%v: the settings were changed: %v", test.variables, j.settings.Cache.Kinds)
		}
	}
	j, _ := jobWith(map[string]string{cacheVariable: "modules"})
	if j.wantedCaches(); !slices.Equal(j.settings.Cache.Kinds, []string{"modules", "build"}) {
		t.Errorf("the settings were changed: %v", j.settings.Cache.Kinds)
	}
	j, _ = linting(nil)
	j.settings.Cache.Kinds = nil
	if kinds, _, _ := j.wantedCaches(); strings.Join(kinds, " ") != "golangci-lint staticcheck" {
		t.Errorf("without Go's own caches: %v", kinds)
	}
	if sizes := j.scope(nil, "").MaxSizes; !maps.Equal(sizes, map[string]int64{"staticcheck": 1 << 20}) {
		t.Errorf("limits are %v", sizes)
	}
}

func TestToolsAreToldWhereTheirCachesAre(t *testing.T) {
	t.Parallel()
	j, _ := linting(nil)
	j.store = &store{dir: "/state/jobs/g/1"}
	s := j.withCaches(docker.Spec{}, Caches{Mounted: true, Kinds: []string{"build", "golangci-lint", "gone-from-the-settings"}})
	if !slices.Equal(s.Env, []string{"GOCACHE=/go-executor/build", "GOLANGCI_LINT_CACHE=/go-executor/golangci-lint"}) {
		t.Errorf("%q", s.Env)
	}
}

func TestTheLogsTellExtraCachesApart(t *testing.T) {
	t.Parallel()
	got := cache.Restored{Reason: cache.Exact, Layers: 2, Packages: 7, Extras: []cache.RestoredExtra{{Name: "golangci-lint", Reason: cache.Nearest, Entries: 812}}}
	if line := restoredLine(got); !strings.HasPrefix(line, "exact base, 7 compiled packages, 812 entries of golangci-lint; 2 layers") {
		t.Error(line)
	}
	j, _ := linting(map[string]string{"STATICCHECK_CACHE": "/x"})
	if details := j.extraDetails(got); !slices.Equal(details, []string{"golangci-lint: 812 entries (nearest)", "staticcheck: left alone, since the job sets STATICCHECK_CACHE itself (bypassed)"}) {
		t.Errorf("%q", details)
	}
	saved := cache.Saved{
		Build:  cache.BuildCount{Available: new(9), Hit: new(7), New: new(2)},
		Extras: map[string]cache.BuildCount{"staticcheck": {New: new(3)}, "golangci-lint": {Available: new(812), Hit: new(800), New: new(4)}},
	}
	row := stats.Job{}
	noteCounts(&row, saved)
	if line := savedLine(row, saved); !strings.HasPrefix(line, "7 packages hit, 2 compiled; golangci-lint: 800 hit, 4 new; staticcheck: 3 new; nothing") {
		t.Error(line)
	}
	var operator bytes.Buffer
	logger := logrus.New()
	logger.SetOutput(&operator)
	j.log = logrus.NewEntry(logger)
	j.logCaches(row, nil)
	if want := `extra="golangci-lint: 812 available, 800 hit, 4 new; staticcheck: 3 new"`; !strings.Contains(operator.String(), want) || *row.BuildNew != 2 {
		t.Errorf("%s, %d packages", &operator, *row.BuildNew)
	}
	operator.Reset()
	if j.logCaches(stats.Job{}, nil); strings.Contains(operator.String(), "extra") {
		t.Errorf("a host without extra caches: %s", &operator)
	}
}

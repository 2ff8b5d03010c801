package executor

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// jobWith is a job with variables, whose job log is the buffer.
func jobWith(variables map[string]string) (*job, *bytes.Buffer) {
	var log bytes.Buffer
	logger := logrus.New()
	logger.SetOutput(&bytes.Buffer{})
	return &job{
		call: Call{Stdout: &log}, env: runner.Env{Variables: variables}, settings: settings.Default(), payload: &runner.Payload{},
		log: logrus.NewEntry(logger),
	}, &log
}

func TestAuthorsChooseWhatIsCached(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value string
		kinds string
		mode  cache.Mode
		says  string
	}{
		{"", "modules build", cache.ReadWrite, ""},
		{"on", "modules build", cache.ReadWrite, ""},
		{"off", "", "", ""},
		{"modules", "modules", cache.ReadWrite, ""},
		{"read-only", "modules build", cache.NoSave, ""},
		{"Refresh", "modules build", cache.FromNewest, ""},
		{"readonly", "", "", "known are on, off, modules, read-only and refresh"},
	}
	for _, test := range tests {
		j, _ := jobWith(map[string]string{cacheVariable: test.value})
		kinds, mode, problem := j.wantedCaches()
		if strings.Join(kinds, " ") != test.kinds || mode != test.mode || !strings.Contains(problem, test.says) || test.says == "" && problem != "" {
			t.Errorf("%q: %v %q %q", test.value, kinds, mode, problem)
		}
	}
	j, _ := jobWith(nil)
	j.settings.Cache.Kinds = nil
	if kinds, _, _ := j.wantedCaches(); len(kinds) > 0 {
		t.Error("the administrator wants no caches and there are some")
	}
	j, _ = jobWith(map[string]string{"GOPATH": "/builds/x/.go"})
	if j.bringsOwnCaches() {
		t.Error("a GOPATH of the job's own is taken for caches of its own")
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		if j, _ := jobWith(map[string]string{name: "/x"}); !j.bringsOwnCaches() {
			t.Errorf("%s of the job's own is not seen", name)
		}
	}
}

func TestForeignFilesAreThoseThatGitDidNotBring(t *testing.T) {
	t.Parallel()
	const dir = "/builds/group/project"
	cacheOf := func(paths ...string) *runner.Payload { return &runner.Payload{Cache: []runner.Cache{{Paths: paths}}} }
	tests := []struct {
		name    string
		payload *runner.Payload
		want    bool
	}{
		{"nothing", &runner.Payload{}, false},
		{"artifacts of another job", &runner.Payload{Dependencies: []runner.Dependency{{ID: 1}}}, true},
		{"cache in the project", cacheOf("deps/"), true},
		{"cache by its absolute path", cacheOf(dir + "/deps"), true},
		{"cache by a variable", cacheOf("$CI_PROJECT_DIR/deps"), true},
		{"cache elsewhere", cacheOf("/cache/deps", dir+"-other/x"), false},
		{"untracked files", &runner.Payload{Cache: []runner.Cache{{Untracked: true}}}, true},
	}
	for _, test := range tests {
		j, _ := jobWith(map[string]string{"CI_PROJECT_DIR": dir})
		j.payload = test.payload
		if got := j.foreignFiles(dir); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestOnlyWhatIsMountedIsShownToTheJob(t *testing.T) {
	t.Parallel()
	j, _ := jobWith(nil)
	j.store = &store{dir: "/state/jobs/g/1"}
	if s := j.withCaches(docker.Spec{}, Caches{}); len(s.Mounts)+len(s.Env) != 0 {
		t.Errorf("%+v", s)
	}
	s := j.withCaches(docker.Spec{Env: []string{"A=1"}}, Caches{Mounted: true, Kinds: []string{"modules"}})
	if !slices.Equal(s.Env, []string{"A=1", "GOMODCACHE=/go-executor/modules"}) {
		t.Errorf("%q", s.Env)
	}
	if len(s.Mounts) != 1 || s.Mounts[0] != (docker.Mount{Source: "/state/jobs/g/1/cache/merged", Target: "/go-executor"}) {
		t.Errorf("%+v", s.Mounts)
	}
	s = j.withCaches(docker.Spec{}, Caches{Mounted: true, Kinds: cache.Kinds()})
	if !slices.Equal(s.Env, []string{"GOMODCACHE=/go-executor/modules", "GOCACHE=/go-executor/build"}) {
		t.Errorf("%q", s.Env)
	}
}

func TestTheJobLogSaysInOneLineWhatWasThereAndWhatWasNew(t *testing.T) {
	t.Parallel()
	got := restoredLine(cache.Restored{Reason: cache.Nearest, Layers: 3, Fetched: 1, Bytes: 84_000_000, Wanted: 64, There: 63, Packages: 1210, Seconds: 0.031})
	want := "nearest base, 63 of 64 modules, 1210 compiled packages; 3 layers (84 MB) from this host, 1 of them from the store, ready in 0.03 s"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := restoredLine(cache.Restored{Reason: cache.FirstRun, Seconds: 0.02}); got != "empty (first run of this project), ready in 0.02 s" {
		t.Error(got)
	}
	got = restoredLine(cache.Restored{Reason: cache.NewPlatform, Layers: 1, Bytes: 4_000, Wanted: 64, There: 64, Seconds: 0.02})
	if want := "first run for this platform, 64 of 64 modules, 0 compiled packages; 1 layers (4.0 kB) from this host, ready in 0.02 s"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := restoredLine(cache.Restored{Reason: cache.StoreUnreachable}); !strings.Contains(got, "store_unreachable") {
		t.Error(got)
	}
	line := savedLine(stats.Job{TestsOK: new(12), TestsCached: new(11)}, cache.Saved{
		Modules: cache.ModuleCount{Wanted: new(64), HitHost: new(60), HitStore: new(3), Missed: new(1)},
		Build:   cache.BuildCount{Available: new(1300), Hit: new(1200), New: new(2)},
		Items:   9, Bytes: 1_200_000, Seconds: 0.1,
	})
	if line != "63 of 64 modules hit; 1200 packages hit, 2 compiled; 11 of 12 tests cached; 9 new entries saved (1.2 MB, 0.10 s)" {
		t.Error(line)
	}
	line = savedLine(stats.Job{}, cache.Saved{Modules: cache.ModuleCount{Missed: new(1)}, Build: cache.BuildCount{New: new(2)}})
	if line != "1 modules fetched; 2 packages compiled; nothing new saved (0.00 s)" {
		t.Error(line)
	}
}

func TestSectionsAreMarkedWhereGitLabFoldsThem(t *testing.T) {
	t.Parallel()
	j, log := jobWith(nil)
	j.section("name", "header")
	j.section("name", "header", "one", "two")
	if log.String() != "header\nheader\n  one\n  two\n" {
		t.Errorf("%q", log)
	}
	j.payload.Features.TraceSections = true
	log.Reset()
	j.section("name", "header", "one")
	if text := log.String(); !strings.HasPrefix(text, "section_start:") || !strings.Contains(text, ":name[collapsed=true]\r\x1b[0Kheader\n  one\nsection_end:") {
		t.Errorf("%q", text)
	}
}

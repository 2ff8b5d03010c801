package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// Not parallel: it sees all processes of this machine, the Runners of the broken hosts among them.
func TestTheDoctorFindsNothingWrongWithAHealthyHost(t *testing.T) {
	bucket := s3test.Versity(t)
	for driver, shared := range map[string]bool{"image": true, "copy": false} {
		p := newPatient(t)
		p.withDocker()
		if shared {
			p.withBucket(bucket)
		}
		p.withCaches(driver)
		p.writeFiles()
		for _, f := range p.doctor() {
			switch {
			case f.State == "ok" || f.State == "warning" && f.Check == "serve" && shared:
			case f.State == "warning" && f.Check == "runner process" && strings.Contains(f.Finding, "does not run"):
			default:
				t.Errorf("%s: %+v", driver, f)
			}
			if f.State != "ok" && f.Remedy == "" {
				t.Errorf("%s: no remedy: %+v", driver, f)
			}
		}
		p.nothingLeft()
	}
	s, err := store.NewS3(bucket)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := s.List(t.Context(), "", 0); err != nil || len(left) > 0 {
		t.Errorf("the doctor has left in the bucket: %v (%v)", left, err)
	}
}

// nothingLeft checks that the doctor has taken away what it made to try things.
func (p *patient) nothingLeft() {
	p.Helper()
	if left, err := filepath.Glob(p.path("state/doctor*")); err != nil || len(left) > 0 {
		p.Errorf("the doctor has left in the state directory: %v (%v)", left, err)
	}
	containers, err := dockerAPI.ContainerList(p.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", "gitlab-go-executor.state=doctor"))})
	if err != nil {
		p.Error(err)
	}
	for _, c := range containers {
		for _, m := range c.Mounts {
			if strings.HasPrefix(m.Source, p.dir) {
				p.Errorf("the doctor has left the container %v", c.Names)
			}
		}
	}
	if objects, err := filepath.Glob(p.path("state/store/doctor/*")); err != nil || len(objects) > 0 {
		p.Errorf("the doctor has left in the store: %v (%v)", objects, err)
	}
}

// ownNamespaces are for a host that may be broken without harm: what is mounted in them nobody else sees, and their processes end with them.
var ownNamespaces = []string{"--mount", "--pid", "--fork", "--mount-proc"}

// brokenHost is one on which one thing is not as it should be.
type brokenHost struct {
	breaks func(p *patient)
	want   finding          // parts of its texts
	heals  func(p *patient) // does what the remedy says; nil where a test cannot
}

func TestTheDoctorNamesWhatIsWrongAndTheRemedyRemediesIt(t *testing.T) {
	t.Parallel()
	for _, group := range []map[string]brokenHost{brokenSettings, brokenState, brokenKernels, brokenDockers, brokenStores, brokenRunners} {
		for name, b := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newPatient(t)
				b.breaks(p)
				p.writeFiles()
				p.mustFind(b.want)
				if b.heals == nil {
					return
				}
				b.heals(p)
				p.writeFiles()
				p.mustBeWell(b.want)
			})
		}
	}
}

// mustFind checks that the doctor finds something, and what remedies it.
func (p *patient) mustFind(want finding) {
	p.Helper()
	found := p.doctor()
	for _, f := range found {
		if f.Check == want.Check && f.State == want.State && strings.Contains(f.Finding, want.Finding) && strings.Contains(f.Remedy, want.Remedy) {
			return
		}
	}
	p.Errorf("the doctor does not find %+v in\n%s", want, show(found))
}

// mustBeWell checks that nothing is left of it.
func (p *patient) mustBeWell(want finding) {
	p.Helper()
	found := p.doctor()
	looked := false
	for _, f := range found {
		if f.Check != want.Check {
			continue
		}
		looked = true
		if f.State == "wrong" || f.State == "skipped" || f.State == want.State && strings.Contains(f.Finding, want.Finding) {
			p.Errorf("the remedy does not help: %+v", f)
		}
	}
	if !looked {
		p.Errorf("%s was not looked at:\n%s", want.Check, show(found))
	}
}

func show(found []finding) string {
	text := ""
	for _, f := range found {
		text += fmt.Sprintf("%s %s: %s (%s)\n", f.State, f.Check, f.Finding, f.Remedy)
	}
	return text
}

var brokenSettings = map[string]brokenHost{
	"the settings have three mistakes": {
		func(p *patient) {
			p.set("", "max_size = %q", "much")
			p.set("docker", "pull_policy = %q", "sometimes")
			p.set("cache", "drivr = %q", "image")
		},
		finding{"settings", "wrong", "cache.drivr: unknown key; did you mean cache.driver?", "config.example.toml"},
		func(p *patient) {
			p.set("", "max_size = %q", "64m")
			p.set("docker", "pull_policy = %q", "never")
			p.unset("cache", "drivr")
		},
	},
	"there are no settings": {
		func(p *patient) { p.config = p.path("nowhere.toml") },
		finding{"settings", "wrong", "there is no settings file", "sudo install -D -m 0600 config.example.toml"},
		func(p *patient) { p.config = p.path("settings.toml") },
	},
	"the settings have secrets, and all can read them": {
		func(p *patient) { p.mode = 0o644; p.set("cache", "signing_key = %q", strings.Repeat("x", 32)) },
		finding{"secrets", "wrong", "can be read by others than root (mode 0644) and holds secrets: cache.signing_key", "chmod 0600 "},
		func(p *patient) { p.mode = 0o600 },
	},
	"all can write the settings": {
		func(p *patient) { p.mode = 0o666 },
		finding{"secrets", "wrong", "can be written by others", "chmod 0600 "},
		func(p *patient) { p.mode = 0o600 },
	},
	"the doctor is not called by root": {
		func(p *patient) { p.unshare = []string{"--user"} },
		finding{"user", "wrong", "this runs as the user 65534", "sudo"},
		func(p *patient) { p.unshare = nil },
	},
}

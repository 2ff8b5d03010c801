package e2e

import (
	"slices"
	"testing"
)

// secondIsWarm runs a job twice after a module was bumped and a package has changed: the first one has these two to fetch and to compile, and
// the second one nothing.
func (g *goHost) secondIsWarm(next func() job) (second result) {
	g.t.Helper()
	g.replace("go.mod", "example.com/alpha v1.0.0", "example.com/alpha v1.1.0")
	g.change(map[string]string{"sum/more.go": "package sum\n\nconst More = 1\n"})
	if _, f := g.ran(next()); f.Reason != "nearest" || f.HitHost+f.HitStore != 2 || f.Missed != 1 || f.Hit < 20 || f.New == 0 || f.New > 10 || f.Saved <= 0 || f.Cached != 0 {
		g.t.Errorf("the first job: %s", f)
	}
	g.proxy.fetched()
	r, f := g.ran(next())
	if f.Reason != "exact" || f.HitHost != 3 || f.Missed != 0 || f.Hit == 0 || f.New != 0 || g.adds(f) || f.Cached != 1 || f.Tests != 1 {
		g.t.Errorf("the second job: %s", f)
	}
	if fetched := g.proxy.fetched(); len(fetched) != 0 {
		g.t.Errorf("the second job asked the proxy for %v", fetched)
	}
	return r
}

func TestJobsOfUnusualImagesAreAsWarmAsOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings, image string
		script          []string
		prints          string
	}{
		"no C library, bash, git or certificates": {
			image: goBusybox, script: []string{`echo "beside Go: $(ls -d /lib* /usr/lib* /etc/ssl /bin/bash /bin/git /usr/bin/git 2>/dev/null)."`}, prints: "beside Go: .",
		},
		"a user without a name and a home": {
			image: goUser, script: []string{`echo "user $(id -u), home $HOME, GOPATH $GOPATH."`, "unset HOME"}, prints: "user 4711, home /, GOPATH .",
		},
		"an entrypoint that prepares the environment": {
			image: goEntrypoint, script: []string{`echo "from the entrypoint: $FROM_ENTRYPOINT"`}, prints: "from the entrypoint: yes",
		},
		"a read-only file system": {
			settings: "read_only = true\ntmpfs = { \"/tmp\" = \"rw,exec\" }\n", image: jobImage,
			script: []string{`for d in / /usr /root /etc; do ! touch $d/x 2>/dev/null || exit 1; done`, "echo nothing written"}, prints: "nothing written",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGoHost(t, c.settings).warmWithoutC()
			r := g.secondIsWarm(func() job {
				return withoutC(g.goJob(slices.Concat(c.script, buildAndTest)...)).with("image", job{"name": c.image})
			})
			g.prints(r, c.prints)
		})
	}
}

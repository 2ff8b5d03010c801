package e2e

import "testing"

// What a job may do to its caches, and what kinds of jobs there are: each ends as it would without us.
func TestEveryJobEndsAsItWouldWithoutCaches(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(g *goHost){
		"go clean as root":        cleansAsRoot,
		"a user without a name":   isUser1000,
		"that user adds a module": addsAsUser1000,
		"without Go":              hasNoGo,
		"breaks its caches":       breaksItsCaches,
		"fails":                   compilesAndFails,
		"has its modules along":   vendors,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newGoHost(t, "").warm())
		})
	}
}

func cleansAsRoot(g *goHost) {
	_, f := g.ran(g.goJob("go clean -cache -modcache", "go build ./..."))
	if f.Missed != 3 || f.New == 0 {
		g.t.Errorf("%s", f)
	}
	if _, f = g.ran(g.goJob("go build ./...")); f.New != 0 || f.Missed != 0 {
		g.t.Errorf("the job after: %s", f)
	}
}

func isUser1000(g *goHost) {
	// The checkout is root's, as under the docker executor, so git refuses to tell Go its state.
	j := g.goJob("id -u", "go build ./...", "go test ./...", "go clean -cache -modcache", "go build ./sum").variable("GOFLAGS", "-buildvcs=false")
	r, _ := g.ran(j.with("image", job{"name": userImage}))
	g.prints(r, "1000")
}

func addsAsUser1000(g *goHost) {
	g.replace("go.mod", "alpha v1.0.0", "alpha v1.1.0")
	_, f := g.ran(g.goJob("go build ./...").variable("GOFLAGS", "-buildvcs=false").with("image", job{"name": userImage}))
	if f.Missed != 1 || f.Saved <= 0 {
		g.t.Errorf("%s", f)
	}
	if _, f = g.ran(g.goJob("go build ./...")); f.Missed != 0 {
		g.t.Errorf("the job after: %s", f)
	}
}

func hasNoGo(g *goHost) {
	r, f := g.ran(g.newJob(busybox, "echo hello", "ls /go-executor || echo no-caches"))
	if f.Reason != "no_go" {
		g.t.Errorf("%s", f)
	}
	g.prints(r, "hello", "no-caches")
	g.neverSays(r, "Go caches")
}

func breaksItsCaches(g *goHost) {
	g.ran(g.goJob(`for f in /go-executor/build/*/*-a; do echo garbage > $f; done; rm -rf /go-executor/modules/example.com; ln -s /etc/shadow /go-executor/build/00/link; mkfifo /go-executor/build/00/fifo`, "go build ./sum"))
	if _, f := g.ran(g.goJob("go build ./sum")); f.New != 0 || f.Missed != 0 {
		g.t.Errorf("the job after: %s", f)
	}
}

func compilesAndFails(g *goHost) {
	g.change(map[string]string{"sum/extra.go": "package sum\n\nconst Extra = 1\n"})
	g.failed(g.run(g.goJob("go build ./...", "exit 3")), "script_failure", 3)
	if _, f := g.ran(g.goJob("go build ./...")); f.New != 0 {
		g.t.Errorf("what a failed job compiled is not there: %s", f)
	}
}

func vendors(g *goHost) {
	g.change(map[string]string{
		"vendor/modules.txt":               "# example.com/alpha v1.0.0\n## explicit; go 1.24\nexample.com/alpha\n# example.com/beta v1.0.0\n## explicit; go 1.24\nexample.com/beta\n# example.com/gamma v1.0.0\n## explicit; go 1.24\nexample.com/gamma\n",
		"vendor/example.com/alpha/a.go":    "package alpha\n\nconst Version = \"vendored\"\n",
		"vendor/example.com/beta/beta.go":  "package beta\n\nconst Two = 2\n",
		"vendor/example.com/gamma/gama.go": "package gamma\n",
	})
	vendored := func() job {
		return g.newJob(jobImage, "go build ./...", "go run .", "go test ./sum").variable("GOFLAGS", "-mod=vendor")
	}
	g.ran(vendored())
	if _, f := g.ran(vendored()); f.New != 0 || f.Wanted != 0 || f.Cached != 1 {
		g.t.Errorf("%s", f)
	}
}

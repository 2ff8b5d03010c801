package e2e

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// example is what the project of an example is like, beside the one that all Go tests have.
type example struct {
	files  map[string]string
	adapt  func(g *goHost)
	before func(g *goHost) []string // what a real network needs not be told
	jobs   int
	says   []string // in the log of each job
}

// exampleCases has a case for each example of the guide.
var exampleCases = map[string]example{
	"Build, vet and test": {jobs: 1, says: []string{"tests cached"}},
	"Several platforms":   {jobs: 4, says: []string{"Go caches: first run for this platform"}},
	"Tests against PostgreSQL": {jobs: 1, says: []string{"example.com/app/db"}, files: map[string]string{
		"db/db.go": "package db\n", "db/db_test.go": databaseTest,
	}},
	"golangci-lint": {jobs: 1, says: []string{"0 issues."}, files: map[string]string{ // the quick linters
		".golangci.yml": "version: \"2\"\nlinters:\n  default: none\n  enable: [errcheck, ineffassign]\n",
	}},
	"Race detector": {jobs: 1},
	"Coverage":      {jobs: 1},
	"Private modules": {jobs: 1, adapt: usesPrivateModule, before: func(g *goHost) []string {
		return []string{fmt.Sprintf("git config --global url.%s/.insteadOf https://gitlab.example.com/", g.privateServer())}
	}},
	"Several modules in one repository": {jobs: 2, says: []string{"example.com/billing"}, files: map[string]string{
		"go.work":                 "go 1.24\n\nuse (\n\t.\n\t./billing\n\t./lib\n)\n",
		"lib/go.mod":              "module example.com/lib\n\ngo 1.24\n",
		"lib/lib.go":              "package lib\n\nconst Rate = 7\n",
		"billing/go.mod":          "module example.com/billing\n\ngo 1.24\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n",
		"billing/billing.go":      "package billing\n\nimport \"example.com/lib\"\n\nfunc Tax(n int) int { return n * lib.Rate / 100 }\n",
		"billing/billing_test.go": "package billing\n\nimport \"testing\"\n\nfunc TestTax(t *testing.T) {\n\tif Tax(200) != 14 {\n\t\tt.Fatal()\n\t}\n}\n",
	}},
	"Metrics in a merge request": {jobs: 1},
}

// databaseTest asks what answers at DATABASE_URL whether it would like TLS, which is PostgreSQL's alone to understand.
const databaseTest = `//go:build integration

package db

import (
	"net"
	"net/url"
	"os"
	"testing"
)

func TestDatabase(t *testing.T) {
	u, err := url.Parse(os.Getenv("DATABASE_URL"))
	if err != nil || u.Path != "/app" {
		t.Fatal(u, err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(answer); err != nil || answer[0] != 'N' && answer[0] != 'S' {
		t.Fatalf("%q, %v", answer, err)
	}
}
`

// golangciLint is the linter that make has built, in the version that the Makefile names.
func golangciLint(t *testing.T) (version, file string) {
	t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^GOLANGCI_VERSION := (\S+)$`).FindSubmatch(makefile)
	if found == nil {
		t.Fatal("the Makefile names no version of golangci-lint")
	}
	file, err = filepath.Abs("../../.cache/golangci-lint-" + string(found[1]) + "/golangci-lint")
	if err == nil {
		_, err = os.Stat(file)
	}
	if err != nil {
		t.Fatalf("%v; `make lint` builds it", err)
	}
	return string(found[1]), file
}

// TestTheExamplesOfTheAuthorGuideWork runs each of their jobs, with images of this host in the place of the public ones.
func TestTheExamplesOfTheAuthorGuideWork(t *testing.T) {
	t.Parallel()
	written := readExamples(t)
	if got, want := slices.Sorted(maps.Keys(written)), slices.Sorted(maps.Keys(exampleCases)); !slices.Equal(got, want) {
		t.Fatalf("%s has examples below\n%q\nthere are cases for\n%q", authorGuide, got, want)
	}
	version, linter := golangciLint(t)
	images := map[string]string{"golang:1.26": jobImage, "postgres:17": postgresImage, "golangci/golangci-lint:" + version: jobImage}
	settings := fmt.Sprintf("volumes = [%q]\n", linter+":/usr/local/bin/golangci-lint:ro")
	for name, text := range written {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jobs := parseExample(t, text)
			if want := exampleCases[name].jobs; len(jobs) != want {
				t.Fatalf("%d jobs, want %d", len(jobs), want)
			}
			exampleCases[name].run(newGoHost(t, settings).warm(), jobs, images)
		})
	}
}

func (e example) run(g *goHost, jobs []ciJob, images map[string]string) {
	g.t.Helper()
	maps.Copy(g.files, e.files)
	if e.adapt != nil {
		e.adapt(g)
	}
	g.commit("example")
	var before []string
	if e.before != nil {
		before = e.before(g)
	}
	if len(jobs) > 2 { // of a matrix one that is for another platform: the others differ in nothing but a value
		jobs = jobs[len(jobs)-1:]
	}
	for _, c := range jobs {
		j := g.exampleJob(c, before, images)
		r, f := g.ran(j)
		g.says(r, e.says...)
		g.neverSays(r, "WARNING: Go caches", "WARNING: layer")
		if f.Reason == "" || f.SaveReason != "" || f.Wanted < 0 {
			g.t.Errorf("%s: %s, %s", c.name, f, f.SaveReason)
		}
		g.checkUploads(c, j)
		if c.Coverage != "" && !regexp.MustCompile(strings.Trim(c.Coverage, "/")).MatchString(r.Log) {
			g.t.Errorf("%s: nothing in the log is like %s:\n%s", c.name, c.Coverage, r.Log)
		}
	}
}

// exampleJob is what GitLab would send for a job.
func (g *goHost) exampleJob(c ciJob, before []string, images map[string]string) job {
	g.t.Helper()
	local := func(image string) string {
		if images[image] == "" {
			g.t.Fatalf("%s: what is the image %q in these tests?", c.name, image)
		}
		return images[image]
	}
	j := g.newJob(local(c.Image), slices.Concat(before, c.BeforeScript, c.Script)...)
	j["job_info"].(job)["name"] = c.name
	address, _, _ := strings.Cut(strings.TrimPrefix(g.gitlab.URL, "http://"), ":")
	j.variable("GOPROXY", g.proxy.URL).variable("GONOSUMDB", "*").variable("CI_SERVER_HOST", address).variable("CI_JOB_TOKEN", "job-token-secret")
	for _, name := range slices.Sorted(maps.Keys(c.Variables)) {
		j.variable(name, c.Variables[name])
	}
	var services []job
	for _, s := range c.Services {
		var variables []job
		for name, value := range s.Variables {
			variables = append(variables, job{"key": name, "value": value})
		}
		services = append(services, job{"name": local(s.Name), "alias": s.Alias, "variables": variables})
	}
	var artifacts []job
	if len(c.Artifacts.Paths) > 0 {
		artifacts = append(artifacts, job{"paths": c.Artifacts.Paths, "expire_in": c.Artifacts.ExpireIn, "artifact_type": "archive", "artifact_format": "zip"})
	}
	for kind, file := range c.Artifacts.Reports {
		artifacts = append(artifacts, job{"name": kind + ".txt", "paths": []string{file}, "when": "always", "artifact_type": kind, "artifact_format": "gzip"})
	}
	return j.with("services", services).with("artifacts", artifacts)
}

// checkUploads looks at what the job has sent to GitLab.
func (g *goHost) checkUploads(c ciJob, j job) {
	g.t.Helper()
	g.gitlab.mu.Lock()
	sent := g.gitlab.zips[fmtID(j)]
	g.gitlab.mu.Unlock()
	if len(c.Artifacts.Paths) > 0 {
		archive, err := zip.NewReader(bytes.NewReader(sent), int64(len(sent)))
		if err != nil {
			g.t.Fatalf("%s: %v", c.name, err)
		}
		for _, path := range c.Artifacts.Paths {
			if !slices.ContainsFunc(archive.File, func(f *zip.File) bool { return strings.HasPrefix(f.Name, path) && f.UncompressedSize64 > 0 }) {
				g.t.Errorf("%s: nothing of %s was sent", c.name, path)
			}
		}
	}
	for kind := range c.Artifacts.Reports {
		report, err := gzip.NewReader(bytes.NewReader(sent))
		if err != nil {
			g.t.Fatalf("%s: %s: %v", c.name, kind, err)
		}
		text, err := io.ReadAll(report)
		if err != nil || !strings.Contains(string(text), "\ngo_cache_modules_wanted ") {
			g.t.Errorf("%s: the report %s says %q, %v", c.name, kind, text, err)
		}
	}
}

const privateModule = "gitlab.example.com/group/lib.git"

// usesPrivateModule has the project require a module that only its repository has.
func usesPrivateModule(g *goHost) {
	files := map[string]string{"go.mod": "module " + privateModule + "\n\ngo 1.24\n", "lib.go": "package lib\n\nconst Secret = 42\n"}
	g.gitlab.push(g.t, "group/lib", "first", files)
	if out, err := exec.Command("git", "--git-dir", filepath.Join(g.gitlab.dir, "group", "lib.git"), "tag", "v1.0.0").CombinedOutput(); err != nil {
		g.t.Fatalf("%v\n%s", err, out)
	}
	elsewhere := newModProxy(g.t) // for its sums alone
	elsewhere.add(g.t, privateModule, "v1.0.0", map[string]string{"lib.go": files["lib.go"]})
	g.files["go.mod"] = strings.Replace(g.files["go.mod"], "\texample.com/beta", "\t"+privateModule+" v1.0.0\n\texample.com/beta", 1)
	g.files["go.sum"] += elsewhere.goSum()
	g.files["private_test.go"] = "package main\n\nimport (\n\t\"testing\"\n\n\t\"" + privateModule + "\"\n)\n\nfunc TestSecret(t *testing.T) {\n\tif lib.Secret != 42 {\n\t\tt.Fatal()\n\t}\n}\n"
}

// privateServer serves the repositories to those alone who log in with the job's token, with and without .git as GitLab does.
func (g *goHost) privateServer() (url string) {
	g.t.Helper()
	git := gitServer(g.t, g.gitlab.dir)
	return serveOnBridge(g.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "gitlab-ci-token" || password != "job-token-secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if rest, ok := strings.CutPrefix(r.URL.Path, "/group/lib/"); ok {
			r.URL.Path = "/group/lib.git/" + rest
		}
		git.ServeHTTP(w, r)
	}))
}

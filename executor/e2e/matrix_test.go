package e2e

import (
	"context"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// cell is one of the jobs that GitLab makes of `parallel: matrix`: the variables that it has of its own, and the platform that they mean.
type cell struct{ variables, script, platform string }

// program links a program and tells what for; library compiles a package and two modules, and no standard library.
const (
	program = "go build -o /tmp/app . && go version -m /tmp/app | grep -E 'GOOS=|GOARCH='"
	library = "go build ./sum"
)

// job is the cell's job; like GitLab's its name holds the values.
func (c cell) job(g *goHost) job {
	j := g.goJob(c.script)
	j["job_info"].(job)["name"] = "build: [" + c.variables + "]"
	for _, entry := range strings.Fields(c.variables) {
		name, value, _ := strings.Cut(entry, "=")
		j.variable(name, value)
	}
	return j
}

// all runs the jobs of a matrix side by side.
func (g *goHost) all(cells []cell) (results []result, all []figures) {
	g.t.Helper()
	var jobs []job
	var runs []*running
	for _, c := range cells {
		j := c.job(g)
		jobs, runs = append(jobs, j), append(runs, g.start(j))
	}
	for i, r := range runs {
		results = append(results, r.wait())
		g.succeeded(results[i])
		all = append(all, g.figures(jobs[i]))
	}
	return results, all
}

func TestEachJobOfAMatrixIsWarmOnAPlatformOfItsOwn(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	g.proxy.add(t, "example.com/registry", "v1.0.0", map[string]string{"registry.go": "package registry\n\nconst Five = 5\n"})
	g.change(map[string]string{
		"go.mod":              strings.Replace(g.files["go.mod"], "\texample.com/beta", "\texample.com/registry v1.0.0\n\texample.com/beta", 1),
		"go.sum":              g.proxy.goSum(),
		"registry_windows.go": "package main\n\nimport _ \"example.com/registry\"\n",
	})
	cells := []cell{
		{"", program, "linux-amd64-v1-cgo-*"},
		{"GOARCH=arm64", program, "linux-arm64-v8.0"},
		{"GOOS=darwin GOARCH=arm64", program, "darwin-arm64-v8.0"},
		{"GOOS=windows GOARCH=amd64", program, "windows-amd64-v1"},
		{"GOOS=js GOARCH=wasm", library, "js-wasm"},
		{"GOARCH=arm GOARM=6", library, "linux-arm-6-hardfloat"},
		{"CGO_ENABLED=0", library, "linux-amd64-v1"},
		{"CGO_ENABLED=0 GOAMD64=v3", library, "linux-amd64-v3"},
		{"CGO_ENABLED=1 GOAMD64=v3", library, "linux-amd64-v3-cgo-*"},
	}
	_, cold := g.all(cells[:1])
	if cold[0].Reason != "first_run" || cold[0].Missed != 3 {
		t.Errorf("the first job of the project: %s", cold[0])
	}
	g.proxy.fetched()

	results, others := g.all(cells[1:])
	cold = append(cold, others...)
	for i, f := range others {
		c := cells[i+1]
		if missed := strings.Count(c.variables, "windows"); f.Reason != "new_platform" || f.Available != 0 || f.New < 3 || f.Missed != missed || f.HitHost != f.Wanted-missed {
			t.Errorf("%s, cold: %s", c.variables, f)
		}
		g.says(results[i], "Go caches: first run for this platform, 3 of 4 modules", "platform "+f.Platform+", toolchain "+f.Toolchain)
	}
	if fetched := g.proxy.fetched(); !slices.Equal(fetched, []string{"example.com/registry@v1.0.0"}) {
		t.Errorf("modules are the same for all platforms, and yet the jobs fetched %v", fetched)
	}

	results, warm := g.all(cells)
	platforms := map[string]bool{}
	for i, f := range warm {
		if matches, err := path.Match(cells[i].platform, f.Platform); err != nil || !matches || f.Platform != cold[i].Platform {
			t.Errorf("%s is %s, was %s, want %s", cells[i].variables, f.Platform, cold[i].Platform, cells[i].platform)
		}
		platforms[f.Platform] = true
		if f.Reason != "exact" || f.New != 0 || f.Missed != 0 || f.Hit != cold[i].New || f.Available != cold[i].New || g.adds(f) {
			t.Errorf("%s, warm: %s\nafter %s", cells[i].variables, f, cold[i])
		}
		g.says(results[i], "Go caches: exact base", "platform "+f.Platform+", toolchain "+f.Toolchain, "0 compiled")
		if strings.HasPrefix(cells[i].script, program) {
			for _, setting := range append(strings.Fields(cells[i].variables), "GOOS=", "GOARCH=") {
				g.says(results[i], "build\t"+setting)
			}
		}
	}
	if fetched := g.proxy.fetched(); len(fetched) > 0 {
		t.Errorf("warm: the proxy was asked for %v", fetched)
	}
	want := slices.Sorted(maps.Keys(platforms))
	if pools := g.pools(); len(want) != len(cells) || !slices.Equal(pools, want) {
		t.Errorf("the store has compiled packages for\n%v\nthe jobs were for\n%v", pools, want)
	}
}

// pools are the platforms that the store has compiled packages for in the protected tier.
func (h *host) pools() (platforms []string) {
	h.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(h.StateDir, "store", "v1", "*", "*", "protected", "build", "*", "*"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, dir := range dirs {
		platforms = append(platforms, filepath.Base(filepath.Dir(dir)))
	}
	slices.Sort(platforms)
	return platforms
}

// Whatever a script sets by itself, all of it is kept for the platform that the job's own variables mean.
func TestAJobThatCompilesForSeveralPlatformsIsWarm(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	script := []string{
		`for target in linux/arm64 darwin/arm64 windows/amd64; do GOOS=${target%/*} GOARCH=${target#*/} go build ./sum; done`,
		"GOAMD64=v3 go build ./sum", "go build -trimpath ./sum", "go build -race ./sum",
		"go env -w GOOS=js GOARCH=wasm", "go build ./sum", "go env -u GOOS GOARCH",
		"export GOOS=freebsd", "go build ./sum",
	}
	const packages = 3 * 8
	_, cold := g.ran(g.goJob(script...))
	if cold.Reason != "first_run" || cold.New != packages || !strings.HasPrefix(cold.Platform, "linux-amd64-v1-cgo-") {
		t.Errorf("cold: %s, %s", cold.Platform, cold)
	}
	_, warm := g.ran(g.goJob(script...))
	if warm.Reason != "exact" || warm.New != 0 || warm.Missed != 0 || warm.Available != packages || warm.Hit != packages || g.adds(warm) || warm.Platform != cold.Platform {
		t.Errorf("warm: %s, %s", warm.Platform, warm)
	}
	if pools := g.pools(); !slices.Equal(pools, []string{cold.Platform}) {
		t.Errorf("the store has compiled packages for %v", pools)
	}
	if entries, layers := g.store("build"); layers != 1 && warm.Saved == 0 {
		t.Errorf("%d layers in %d entries", layers, entries)
	}
	_, f := g.ran(g.goJob("go build ./sum"))
	if f.New != 3 || f.Hit != 0 {
		t.Errorf("the job's own platform was not compiled for yet: %s", f)
	}
}

// The platform is what go env says in the job, wherever that is from.
func TestThePlatformMayComeFromTheImageOrTheRunner(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	img := derived(t, []string{"ENV GOAMD64=v3", "USER builder"}, "useradd -m builder && su builder -c '/usr/local/go/bin/go env -w GOOS=darwin'")
	of := func(user string) job {
		return g.goJob().with("image", job{"name": img, "executor_opts": job{"docker": job{"user": user}}})
	}
	check := func(what, want string, j job) {
		t.Helper()
		j["steps"].([]job)[0]["script"] = []string{`echo "$(go env GOOS)-$(go env GOARCH)-$(go env GOARM64 GOAMD64 | tr -d '\n') "`}
		r, f := g.ran(j)
		g.prints(r, want+" ")
		if got, _, _ := strings.Cut(f.Platform, "-cgo-"); got != want {
			t.Errorf("%s: the platform is %s, want %s", what, f.Platform, want)
		}
	}
	check("ENV of the image, and go env -w of its user", "darwin-amd64-v3", of(""))
	check("both, and the job's variable", "windows-amd64-v3", of("").variable("GOOS", "windows"))
	check("the image as another user", "linux-amd64-v3", of("root"))
	g.write("config.toml", strings.Replace(g.runnerConfig(), "[runners.custom_build_dir]", "environment = [\"GOARCH=arm64\"]\n[runners.custom_build_dir]", 1))
	check("environment of [[runners]]", "linux-arm64-v8.0", g.goJob())
}

// derived is the job image after a command, with further lines of a Dockerfile; it goes at the end of the test.
func derived(t *testing.T, lines []string, command string) string {
	t.Helper()
	ctx := context.Background()
	made, err := dockerAPI.ContainerCreate(ctx, &container.Config{Image: jobImage, User: "root", Cmd: []string{"sh", "-ec", command}}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dockerAPI.ContainerRemove(ctx, made.ID, container.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	done, failed := dockerAPI.ContainerWait(t.Context(), made.ID, container.WaitConditionNextExit)
	if err := dockerAPI.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case end := <-done:
		if end.StatusCode != 0 {
			t.Fatalf("%s: exit code %d", command, end.StatusCode)
		}
	case err := <-failed:
		t.Fatal(err)
	}
	committed, err := dockerAPI.ContainerCommit(ctx, made.ID, container.CommitOptions{Changes: append(lines, `CMD ["bash"]`)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := dockerAPI.ImageRemove(ctx, committed.ID, image.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	return committed.ID
}

// What a matrix has saved last is mostly another job's.
func TestAHostFetchesWhatTheJobsOwnPlatformNeeds(t *testing.T) {
	t.Parallel()
	settings := bucket(s3test.Versity(t))
	a := newGoHost(t, settings)
	arm, windows := cell{"GOARCH=arm64", library, ""}, cell{"GOOS=windows", library, ""}
	a.ran(arm.job(a))
	a.ran(windows.job(a))
	b := a.another(settings)
	if _, f := b.ran(arm.job(b)); f.Reason != "exact" || f.New != 0 || f.Hit != 3 || f.HitStore != 2 {
		t.Errorf("%s", f)
	}
	layers, err := filepath.Glob(filepath.Join(b.StateDir, "layers", "*.sqfs"))
	if err != nil || len(layers) != 2 {
		t.Errorf("want one layer of modules and one of compiled packages, got %v, %v", layers, err)
	}
}

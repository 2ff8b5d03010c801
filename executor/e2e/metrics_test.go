package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/volume"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// prometheus is a real one, which scrapes a host each second with our alert rules.
type prometheus struct {
	t   *testing.T
	url string
}

// newPrometheus starts one. What the rules say about how long something has to last is a second.
func newPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	rules, err := os.ReadFile(filepath.Join("..", "..", "monitoring", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"alerts.yml": regexp.MustCompile(`(?m)^( +for:) .*$`).ReplaceAllString(string(rules), "$1 1s"),
		"prometheus.yml": fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: gitlab-go-executor
    static_configs: [{targets: [%q]}]
`, target),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := filepath.Abs(filepath.Join("..", "..", "testdata", "prometheus", "bin", "prometheus"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("prometheus is not there: run testdata/prometheus/unpack.sh (%v)", err)
	}
	address := freeAddress(t)
	var output syncBuffer
	cmd := exec.Command(program, "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", address, "--enable-feature", "native-histograms", "--log.level", "warn")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus says:\n%s", &output)
		}
	})
	return &prometheus{t: t, url: "http://" + address}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// fetch gives the body of an answer; nothing while there is none.
func fetch(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return ""
	}
	return string(data)
}

// value is that of an expression; -1 if it has none.
func (p *prometheus) value(expression string) float64 {
	p.t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal([]byte(fetch(p.t, p.url+"/api/v1/query?query="+url.QueryEscape(expression))), &answer); err != nil || len(answer.Data.Result) != 1 {
		return -1
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

// fires says whether an alert does.
func (p *prometheus) fires(alert string) bool {
	return p.value(fmt.Sprintf(`count(ALERTS{alertname=%q, alertstate="firing"})`, alert)) == 1
}

func TestPrometheusSeesWhatJobsHitAndAStoreThatIsTakenAway(t *testing.T) {
	t.Parallel()
	proxy, config := s3test.NewProxy(t, s3test.Versity(t))
	address := freeAddress(t)
	g := newGoHost(t, bucket(config)+fmt.Sprintf("[stats]\nlisten_address = %q\n", address))
	stop := g.serve()
	defer func() { stop() }()
	p := newPrometheus(t, address)
	ours := func(metric string) string { return "sum(gitlab_go_executor_" + metric + ")" }
	becomes := func(expression string, want int) {
		t.Helper()
		g.eventually(fmt.Sprintf("Prometheus has %d for %s", want, expression), func() bool { return p.value(expression) == float64(want) }, nil)
	}
	becomes(ours("store_up"), 1)
	_, cold := g.ran(g.goJob("go test ./sum"))
	becomes(ours(`jobs_total{outcome="success"}`), 1)
	if n := p.value("count(ALERTS)"); n != -1 {
		t.Errorf("all is well, and there are %v alerts", n)
	}

	proxy.Break(s3test.Abort)
	g.change(map[string]string{"sum/more.go": "package sum\n\nconst More = 1\n"})
	_, changed := g.ran(g.goJob("go test ./sum")) // whose layer serve will want to send
	g.eventually("the alert fires", func() bool { return p.fires("GoExecutorStoreFailing") }, nil)
	if text := fetch(t, "http://"+address+"/healthz"); !strings.HasPrefix(text, "degraded\n") || !strings.Contains(text, "store_unreachable") {
		t.Errorf("/healthz: %s", text)
	}
	becomes(ours(`jobs_total{outcome="success"}`), 2)
	if p.value(ours("spool_objects")) < 1 {
		t.Error("nothing waits to be sent")
	}
	for metric, want := range map[string]int{
		`modules_total{result="hit_host"}`:                        cold.HitHost + changed.HitHost,
		`modules_total{result="hit_store"}`:                       cold.HitStore + changed.HitStore,
		`modules_total{result="missed"}`:                          cold.Missed + changed.Missed,
		`packages_total{result="hit"}`:                            cold.Hit + changed.Hit,
		`packages_total{result="compiled"}`:                       cold.New + changed.New,
		`tests_total`:                                             cold.Tests + changed.Tests,
		`tests_total{result="cached"}`:                            cold.Cached + changed.Cached,
		`saved_bytes_total`:                                       cold.Saved + changed.Saved,
		`job_caches_total{cache_reason="` + changed.Reason + `"}`: 1,
	} {
		if got := p.value(ours(metric)); got != float64(want) {
			t.Errorf("Prometheus has %v for %s, the operator log says %d", got, metric, want)
		}
	}
	if n := p.value(`histogram_count(sum(gitlab_go_executor_job_duration_seconds))`); n != 2 {
		t.Errorf("the native histogram has %v jobs", n)
	}

	proxy.Break(nil)
	g.eventually("the alert clears", func() bool { return !p.fires("GoExecutorStoreFailing") }, nil)
	becomes(ours("spool_objects"), 0)
	stop()
	stop = func() {}
	g.eventually("the alert that serve is gone fires", func() bool { return p.fires("GoExecutorServeGone") }, nil)
}

func TestServeTellsOfWhatCannotBeRemoved(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	h := newHost(t, fmt.Sprintf("[stats]\nlisten_address = %q\n", address))
	state := fmt.Sprint("orphans-", os.Getpid())
	record := filepath.Join(h.StateDir, "jobs", "gitlab.example.com", "1")
	if err := os.MkdirAll(record, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{filepath.Join(h.StateDir, "id"): state, filepath.Join(record, "record.json"): "of another release"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A volume of a job that is gone, and a container of somebody else who uses it.
	labels := map[string]string{"gitlab-go-executor.state": state, "gitlab-go-executor.job": "gitlab.example.com/2"}
	kept, err := dockerAPI.VolumeCreate(t.Context(), volume.CreateOptions{Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	user, err := dockerAPI.ContainerCreate(t.Context(), &container.Config{Image: helperImage}, &container.HostConfig{Binds: []string{kept.Name + ":/kept"}}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		err := errors.Join(
			os.RemoveAll(record), dockerAPI.ContainerRemove(ctx, user.ID, container.RemoveOptions{Force: true}), dockerAPI.VolumeRemove(ctx, kept.Name, true))
		if err != nil {
			t.Error(err)
		}
	})

	defer h.serve()()
	h.eventually("/metrics tells of both", func() bool {
		text := fetch(t, "http://"+address+"/metrics")
		return strings.Contains(text, "\ngitlab_go_executor_orphan_jobs 1\n") && strings.Contains(text, "\ngitlab_go_executor_orphan_containers 1\n") &&
			strings.Contains(text, `housekeeping_errors_total{task="reap"} 1`)
	}, nil)
	if log := h.operatorLog(); !strings.Contains(log, "its record cannot be read") || !strings.Contains(log, "volume is in use") || !strings.Contains(log, `"task":"reap"`) {
		t.Errorf("the operator log does not say what cannot be removed:\n%s", log)
	}
}

func TestServeIsAloneAndMayBeKilledAtAnyTime(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	settings := fmt.Sprintf("[stats]\nlisten_address = %q\n", address)
	h, neighbour := newHost(t, settings), newHost(t, settings)
	command := func(h *host) *exec.Cmd {
		return exec.Command(executorBin, "--config", filepath.Join(h.dir, "settings.toml"), "serve")
	}
	answers := func() bool { return strings.HasPrefix(fetch(t, "http://"+address+"/healthz"), "ok\n") }
	for range 2 { // the second begins where the first was killed
		serve := command(h)
		if err := serve.Start(); err != nil {
			t.Fatal(err)
		}
		h.eventually("serve answers", answers, nil)
		for _, c := range []struct {
			of   *host
			says string
		}{
			{h, "gitlab-go-executor: another serve runs for the state directory " + h.StateDir + "\n"},
			{neighbour, fmt.Sprintf("gitlab-go-executor: stats.listen_address = %q: serve cannot answer there: ", address)},
		} {
			if said, err := command(c.of).CombinedOutput(); err == nil || !strings.HasPrefix(string(said), c.says) {
				t.Errorf("%v, %s\nwant %s", err, said, c.says)
			}
		}
		if err := serve.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = serve.Wait() // it was killed
	}
}

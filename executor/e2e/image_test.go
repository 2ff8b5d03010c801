package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// prepared counts how often the Runner prepared the job: once if the user is at fault, three times if we are.
func prepared(r result) int { return strings.Count(r.Log, "Using Custom executor with driver") }

func TestADisallowedImageFailsAtOnceWithASentence(t *testing.T) {
	t.Parallel()
	h := newHost(t, `allowed_images = ["registry.example.com/**"]`+"\n"+`allowed_services = ["postgres:*"]`)
	r := h.run(h.newJob(busybox, "echo never").with("services", []job{{"name": "mysql:8"}}))
	h.failed(r, "script_failure", 1)
	h.says(r, `image: image "`+busybox+`" is not allowed on this runner; allowed: registry.example.com/**`,
		`services[0]: image "mysql:8" is not allowed on this runner; allowed: postgres:*`)
	if prepared(r) != 1 {
		t.Errorf("prepared %d times, want once", prepared(r))
	}
}

func TestAMissingImageFailsAtOnceWithASentence(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/v2/" {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`))
	}))
	defer registry.Close()
	address := strings.TrimPrefix(registry.URL, "http://")
	h := newHost(t, `pull_policy = "if-not-present"`+"\n"+`allowed_pull_policies = ["if-not-present", "never", "always"]`)
	for _, c := range []struct{ image, policy, says string }{
		{address + "/nope:1", "if-not-present", "does not exist in its registry"},
		{address + "/nope:1", "always", "does not exist in its registry"},
		{"local/nope:1", "never", "is not on this runner's host, and pull_policy \"never\" forbids to pull it"},
		{"Not An Image!", "never", "is not an image's name"},
		{busybox, "sometimes", `pull_policy "sometimes" is not allowed on this runner; allowed: if-not-present, never, always`},
		{"", "never", "the job names no image (.gitlab-ci.yml: image), and this runner has no default (settings: docker.image)"},
	} {
		r := h.run(h.newJob("", "echo never").with("image", job{"name": c.image, "pull_policy": []string{c.policy}}))
		h.failed(r, "script_failure", 1)
		h.says(r, c.says)
		if prepared(r) != 1 {
			t.Errorf("%s: prepared %d times, want once", c.image, prepared(r))
		}
	}
	if asked.Load() == 0 {
		t.Error("the registry was not asked")
	}
}

func TestARegistryThatBreaksOffIsTriedAgain(t *testing.T) {
	t.Parallel()
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer registry.Close()
	h := newHost(t, `pull_policy = "always"`+"\n"+`helper_image = "`+strings.TrimPrefix(registry.URL, "http://")+`/helper:1"`)
	r := h.run(h.newJob(strings.TrimPrefix(registry.URL, "http://")+"/image:1", "echo never"))
	h.failed(r, "runner_system_failure", 0)
	h.says(r, "cannot pull image")
	if prepared(r) != 3 {
		t.Errorf("prepared %d times, want three", prepared(r))
	}
}

func TestImagesOfAllKindsRunTheScript(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	for name, c := range map[string]struct {
		image job
		say   string
	}{
		"no bash":                       {job{"name": busybox}, "user=0 from_entrypoint= "},
		"an entrypoint script":          {job{"name": entrypoint}, "user=0 from_entrypoint=yes "},
		"the entrypoint taken away":     {job{"name": entrypoint, "entrypoint": []string{""}}, "user=0 from_entrypoint= "},
		"a user of the image's":         {job{"name": userImage}, "user=1000 from_entrypoint= "},
		"a user of the job's":           {job{"name": busybox, "executor_opts": job{"docker": job{"user": "1000:1000"}}}, "user=1000 from_entrypoint= "},
		"bash, as the golang image has": {job{"name": jobImage}, "user=0 from_entrypoint= "},
	} {
		r := h.run(h.newJob("", `echo "user=$(id -u) from_entrypoint=$FROM_ENTRYPOINT "`, "cat README.md", "echo built > result", "cat result").with("image", c.image))
		if r.State != "success" {
			t.Errorf("%s: the job failed: %s\n%s", name, r.Error, r.Log)
			continue
		}
		h.prints(r, c.say, "hello", "built")
	}
}

func TestAnImageThatCannotRunAScriptIsTheUsersFault(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	for name, image := range map[string]job{
		"no shell":            {"name": noShell},
		"no such entrypoint":  {"name": busybox, "entrypoint": []string{"/no/such/file"}},
		"no such user":        {"name": busybox, "executor_opts": job{"docker": job{"user": "nobody-here"}}},
		"entrypoint is a dir": {"name": busybox, "entrypoint": []string{"/tmp"}},
	} {
		r := h.run(h.newJob("", "echo never").with("image", image))
		if r.FailureReason != "script_failure" || !strings.Contains(r.Log, "cannot start the build container as asked") {
			t.Errorf("%s: %s, %s\n%s", name, r.FailureReason, r.Error, r.Log)
		}
	}
}

package docker

import (
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// imageDaemon stands in for a daemon of some version of the API that has one image, and is asked for it.
func imageDaemon(t *testing.T, version string, image map[string]any, asked *http.Request) *Client {
	t.Helper()
	return standIn(t, version, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost { // a pull
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if strings.Contains(r.URL.Path, "/images/") {
			*asked = *r
			_ = json.NewEncoder(w).Encode(image)
		}
	})
}

func TestContainersAreCreatedFromWhatWasMadeAvailable(t *testing.T) {
	t.Parallel()
	const id, digest = "sha256:1111", "r.example.com/app@sha256:2222"
	old := map[string]any{"Id": id, "RepoDigests": []string{digest}, "Os": "linux", "Architecture": "arm64", "Variant": "v8"}
	many := map[string]any{"Id": id, "RepoDigests": []string{digest}, "Os": "linux", "Architecture": "arm64", "Descriptor": map[string]any{"digest": "sha256:2222"}}
	built := map[string]any{"Id": id, "Os": "linux", "Architecture": "arm64", "Descriptor": map[string]any{"digest": "sha256:2222"}}
	for name, c := range map[string]struct {
		version     string
		image       map[string]any
		asks        string
		from        string // what containers are created from
		as          string // their platform
		inspectedAs string
	}{
		"any platform":                     {"1.41", old, "", id, "", ""},
		"any platform, of many":            {"1.51", many, "", id, "", ""},
		"a platform":                       {"1.48", old, "arm64", id, "arm64", ""},
		"a platform, of many":              {"1.51", many, "linux/aarch64", digest, "arm64", `{"architecture":"arm64","os":"linux"}`},
		"a platform of what is built here": {"1.51", built, "linux/arm64", id, "arm64", `{"architecture":"arm64","os":"linux"}`},
	} {
		var asked http.Request
		daemon := imageDaemon(t, c.version, c.image, &asked)
		got, err := daemon.Ensure(t.Context(), ImageRequest{Name: "r.example.com/app", Platform: c.asks, Policies: []string{settings.PullNever}}, &strings.Builder{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		config, _, _, platform := Spec{Image: got}.configs(Owner{})
		as := ""
		if platform != nil {
			as = platform.Architecture
		}
		if config.Image != c.from || as != c.as || asked.URL.Query().Get("platform") != c.inspectedAs {
			t.Errorf("%s: from %s for %q, inspected for %q", name, config.Image, as, asked.URL.Query().Get("platform"))
		}
	}
}

func TestAnImageOfAnotherPlatformIsNotTheOne(t *testing.T) {
	t.Parallel()
	daemon := imageDaemon(t, "1.41", map[string]any{"Id": "sha256:1111", "Os": "linux", "Architecture": "amd64"}, &http.Request{})
	for platform, want := range map[string]outcome.Reason{
		"": outcome.None, "linux/amd64": outcome.None, "x86_64": outcome.None,
		"linux/arm64": outcome.ImageNotFound, "windows/amd64": outcome.ImageNotFound, "linux/amd64/v1/x": outcome.BadDefinition,
	} {
		_, err := daemon.Ensure(t.Context(), ImageRequest{Name: "app", Platform: platform, Policies: []string{settings.PullNever}}, &strings.Builder{})
		if got := outcome.Of(err).Reason; got != want {
			t.Errorf("%s: %v", platform, err)
		}
	}
}

func TestAnImageThatIsNamedByItsIDIsNeverPulled(t *testing.T) {
	t.Parallel()
	daemon := imageDaemon(t, "1.41", map[string]any{"Id": "sha256:" + sixtyFour}, &http.Request{})
	got, err := daemon.Ensure(t.Context(), ImageRequest{Name: "sha256:" + sixtyFour, Policies: []string{settings.PullAlways}}, &strings.Builder{})
	if err != nil || got.ID != "sha256:"+sixtyFour {
		t.Errorf("%s: %v", got.ID, err)
	}
}

func TestTheArchitectureOfAnImageIsTheHostsUnlessAskedFor(t *testing.T) {
	t.Parallel()
	for platform, want := range map[string]string{
		"": runtime.GOARCH, "linux/s390x": "s390x", "linux/arm/v7": "arm", "aarch64": "arm64", "linux/x86_64": "amd64", "not/a/platform/": runtime.GOARCH,
	} {
		if got := (ImageRequest{Platform: platform}).Architecture(); got != want {
			t.Errorf("%q: got %s, want %s", platform, got, want)
		}
	}
}

package settings

import (
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// options are those of a host where everything is where it belongs.
var options = ImportOptions{Source: "config.toml", Program: "/usr/local/bin/gitlab-go-executor", Config: "/etc/gitlab-go-executor/config.toml", Default: true}

// imported imports the only runner of a file, whose docker section is given.
func imported(t *testing.T, docker string) Imported {
	t.Helper()
	all, err := Import([]byte("[[runners]]\nname = \"one\"\nexecutor = \"docker\"\n[runners.docker]\n"+docker), options)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	return all[0]
}

func TestADockerRunnersSettingsAreCarriedOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		docker string
		want   func(d *Docker)
		says   []string // in the comments
		open   int
	}{
		"what register writes": {
			"tls_verify = false\nimage = \"golang:1.26\"\nprivileged = false\ndisable_entrypoint_overwrite = false\noom_kill_disable = false\ndisable_cache = false\n" +
				"volumes = [\"/cache\"]\nshm_size = 0\nnetwork_mtu = 0",
			func(d *Docker) { d.Image, d.Volumes = "golang:1.26", []string{"/cache"} }, nil, 0,
		},
		"tables and lists": {
			"pull_policy = [\"always\", \"never\"]\ncap_drop = [\"ALL\"]\n[runners.docker.ulimit]\nnofile = \"1:2\"\n[runners.docker.services_devices]\n\"a\" = [\"/dev/kvm\"]",
			func(d *Docker) {
				d.PullPolicy, d.CapDrop = StringOrList{"always", "never"}, []string{"ALL"}
				d.Ulimit, d.ServicesDevices = map[string]Ulimit{"nofile": "1:2"}, map[string][]Device{"a": {"/dev/kvm"}}
			}, nil, 0,
		},
		"false that says something": {"privileged = true\nservices_privileged = false", func(d *Docker) { d.Privileged, d.ServicesPrivileged = true, new(false) }, nil, 0},
		"what does not exist here": {
			"isolation = \"process\"\ntls_cert_path = \"/hunter2\"\nfrobnicate = \"hunter2\"\nmemory = \"1g\"",
			func(d *Docker) { d.Memory = 1 << 30 },
			[]string{"docker.isolation: is for containers of Windows", "docker.tls_cert_path: is for a daemon on another host", "docker.frobnicate: this program has no such key"},
			0,
		},
		"a list that would allow all if it were left out": {
			"allowed_images = [\"golang:*\", \"!x\"]", nil, []string{"docker.allowed_images: a pattern cannot exclude"}, 1,
		},
		"a remote daemon": {"host = \"tcp://docker:2376\"", nil, []string{"docker.host: has to be the socket of a daemon on this host"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := imported(t, c.docker)
			for _, text := range c.says {
				if !strings.Contains(got.Settings, "\n#   "+text) {
					t.Errorf("%q is not said in\n%s", text, got.Settings)
				}
			}
			if strings.Contains(got.Settings, "hunter2") {
				t.Errorf("a value that is not carried over may be a secret:\n%s", got.Settings)
			}
			if got.Open != c.open {
				t.Errorf("%d keys are open, want %d", got.Open, c.open)
			}
			s, err := load(t, got.Settings)
			if (err != nil) != (c.open > 0) {
				t.Fatalf("%v\n%s", err, got.Settings)
			}
			if c.want == nil {
				return
			}
			want := Default().Docker
			c.want(&want)
			if !reflect.DeepEqual(s.Docker, want) {
				t.Errorf("got %+v\nwant %+v", s.Docker, want)
			}
		})
	}
}

const twoRunners = `concurrent = 4
[[runners]]
  name = "shell one"
  executor = "shell"
[[runners]]
  name = "build / 1"
  url = "https://gitlab.example.com"
  token = "glrt-secret"
  token_obtained_at = 2026-01-02T03:04:05Z
  limit = 3
  executor = "docker"
  builds_dir = "/ci"
  shell = "pwsh"
  [runners.custom_build_dir]
    enabled = false
  [runners.feature_flags]
    FF_USE_FASTZIP = true
  [runners.docker]
    image = "golang:1.26"
  [runners.cache]
    Type = "s3"
    Path = "ci/"
    Shared = true
    [runners.cache.s3]
      ServerAddress = "minio:9000"
      AccessKey = "key-secret"
      SecretKey = "cache-secret"
      BucketName = "runner-cache"
      Insecure = true
      RoleARN = "arn:secret"
[[runners]]
  name = "two"
  executor = "docker"
  [runners.cache]
    Type = "gcs"
`

func TestEachDockerRunnerOfAFileBecomesOneOfOurs(t *testing.T) {
	t.Parallel()
	all, err := Import([]byte(twoRunners), options)
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	s, err := load(t, all[0].Settings)
	if err != nil {
		t.Fatal(err)
	}
	if s3 := s.Cache.S3; s3.ServerAddress != "minio:9000" || s3.AccessKey != "key-secret" || s3.SecretKey != "cache-secret" || s3.BucketName != "runner-cache" || !s3.Insecure || s3.Prefix != "ci" {
		t.Errorf("the bucket is %+v", s3)
	}
	for _, text := range []string{"cache.s3.RoleARN: this program has no such key", "builds_dir of [[runners]]: inside the containers", "shell of [[runners]]: scripts are those for bash", "the cache keyword of projects stays with [runners.cache]"} {
		if !strings.Contains(all[0].Settings, text) {
			t.Errorf("%q is not said in\n%s", text, all[0].Settings)
		}
	}
	if strings.Contains(all[0].Settings, "arn:secret") || strings.Contains(all[0].Settings, "glrt-secret") {
		t.Errorf("too much is told:\n%s", all[0].Settings)
	}
	if !strings.Contains(all[1].Settings, `[runners.cache] of Type "gcs"`) {
		t.Errorf("a cache of Google's is not mentioned:\n%s", all[1].Settings)
	}
}

func TestTheStanzaIsTheRunnersOwnButForItsExecutor(t *testing.T) {
	t.Parallel()
	all, err := Import([]byte(twoRunners), options)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Runners []map[string]any }
	if _, err := toml.Decode(all[0].Runner, &got); err != nil || len(got.Runners) != 1 {
		t.Fatalf("%v\n%s", err, all[0].Runner)
	}
	r := got.Runners[0]
	custom := r["custom"].(map[string]any)
	if r["executor"] != "custom" || r["token"] != "glrt-secret" || r["limit"] != int64(3) || r["docker"] != nil || r["builds_dir"] != nil || r["shell"] != nil || r["safe_directory_checkout"] != true {
		t.Errorf("%v", r)
	}
	if r["custom_build_dir"].(map[string]any)["enabled"] != false || r["feature_flags"] == nil || r["cache"].(map[string]any)["Shared"] != true {
		t.Errorf("what is the Runner's own has changed: %v", r)
	}
	args := []any{"--config", "/etc/gitlab-go-executor/runner-1-build-1.toml", "run"}
	if custom["run_exec"] != options.Program || !reflect.DeepEqual(custom["run_args"], args) || custom["graceful_kill_timeout"] != int64(60) {
		t.Errorf("%v", custom)
	}
	if one := imported(t, ""); !strings.Contains(one.Runner, `config_args = ["config"]`) || one.Config != options.Config {
		t.Errorf("one runner alone has its settings where they are by default:\n%s", one.Runner)
	}
}

func TestAFileWithoutDockerRunnersSaysWhatThereIs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[[runners]]\nexecutor = \"shell\"\n[[runners]]\nexecutor = \"kubernetes\"": `"shell", "kubernetes"`,
		"":                               `no [[runners]]`,
		"\n[[runners]]\ntoken = hunter2": "config.toml:3: not valid TOML",
		"runners = 1":                    "config.toml:",
	} {
		if _, err := Import([]byte(text), options); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

package settings

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// load reads settings from text.
func load(t *testing.T, text string) (*Settings, error) {
	t.Helper()
	return parse("config.toml", []byte(text))
}

func TestAnEmptyFileGivesTheDefaults(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":          "",
		"comments":         "# to do\n",
		"empty tables":     "[docker]\n[log]\n",
		"byte order mark":  "\ufeff",
		"Windows newlines": "[docker]\r\n\r\n[log]\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := load(t, text)
			if err != nil {
				t.Fatal(err)
			}
			if want := Default(); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestARunnersDockerSectionMeansTheSameHere(t *testing.T) {
	t.Parallel()
	got, err := load(t, `
[docker]
  image = "golang:1.26"
  memory = "512m"
  cpus = "1.5"
  shm_size = 300000
  pull_policy = ["always", "if-not-present"]
  allowed_pull_policies = ["always", "if-not-present", "never"]
  allowed_images = ["my.registry.tld:5000/*:*", "{golang,node}:*"]
  volumes = ["/cache", "/certs:/certs:ro", "tools:/opt/tools:ro,z"]
  extra_hosts = ["other-host:127.0.0.1", "six:2001:db8::1", "six:[2001:db8::1]", "me:host-gateway"]
  dns = ["192.0.2.53", "2001:db8::53"]
  user = "1000:1000"
  wait_for_services_timeout = -1
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Default().Docker
	want.Image = "golang:1.26"
	want.Memory = 512 << 20
	want.CPUs = 1_500_000_000
	want.ShmSize = 300000
	want.PullPolicy = StringOrList{"always", "if-not-present"}
	want.AllowedPullPolicies = []string{"always", "if-not-present", "never"}
	want.AllowedImages = []string{"my.registry.tld:5000/*:*", "{golang,node}:*"}
	want.Volumes = []string{"/cache", "/certs:/certs:ro", "tools:/opt/tools:ro,z"}
	want.ExtraHosts = []string{"other-host:127.0.0.1", "six:2001:db8::1", "six:[2001:db8::1]", "me:host-gateway"}
	want.DNS = []string{"192.0.2.53", "2001:db8::53"}
	want.User = "1000:1000"
	want.WaitForServicesTimeout = -1
	if !reflect.DeepEqual(got.Docker, want) {
		t.Errorf("got %+v\nwant %+v", got.Docker, want)
	}
}

func TestOnePullPolicyNeedsNoList(t *testing.T) {
	t.Parallel()
	got, err := load(t, `docker.pull_policy = "if-not-present"`)
	if err != nil {
		t.Fatal(err)
	}
	if want := (StringOrList{PullIfNotPresent}); !reflect.DeepEqual(got.Docker.PullPolicy, want) {
		t.Errorf("got %v, want %v", got.Docker.PullPolicy, want)
	}
}

func TestNoWaitForServicesGivenIsTheDefaultWait(t *testing.T) {
	t.Parallel()
	got, err := load(t, `docker.wait_for_services_timeout = 0`)
	if err != nil {
		t.Fatal(err)
	}
	if got.Docker.WaitForServicesTimeout != 30 {
		t.Errorf("got %d, want GitLab Runner's default of 30", got.Docker.WaitForServicesTimeout)
	}
}

func TestAMissingFileSaysWhatToDo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.toml")
	_, err := Load(path)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--config") {
		t.Errorf("the error should name %s and --config: %v", path, err)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("a folder is no settings file: %v", err)
	}
}

// full has a value other than the default in every field; TestWhatIsWrittenIsWhatIsLoaded checks that it has.
func full() *Settings {
	return &Settings{
		StateDir: "/srv/ci \"quoted\"", LayerIdle: Duration{time.Minute}, MaxSize: 1 << 30,
		Cache: Cache{
			Kinds: []string{KindModules}, Driver: DriverCopy, RestoreTimeout: Duration{time.Second}, SaveTimeout: Duration{3 * time.Second},
			Extra:      []Extra{{Name: "golangci-lint", Variable: "GOLANGCI_LINT_CACHE"}, {Name: "staticcheck", Variable: "STATICCHECK_CACHE", MaxSize: 1 << 30}},
			SigningKey: "0123456789abcdef0123456789abcdef", Directory: Directory{Path: "/srv/store"},
			S3: store.S3Config{
				ServerAddress: "minio:9000", AccessKey: "a", SecretKey: "b", SessionToken: "c", BucketName: "bucket", BucketLocation: "here", Insecure: true,
				AuthenticationType: store.AuthAccessKey, PathStyle: new(true), ServerSideEncryption: "KMS", ServerSideEncryptionKeyID: "key",
				Prefix: "ci/go", CACertificate: "/etc/ca.pem",
			},
		},
		Docker: Docker{
			Host: "unix:///run/user/docker.sock", Image: "golang:1.26", HelperImage: "example.com/helper:1", RunnerBinary: "/opt/gitlab-runner",
			PullPolicy: StringOrList{"never", "always"}, AllowedPullPolicies: []string{"never"},
			AllowedImages: []string{`a\*`, "**"}, AllowedServices: []string{"postgres:*"},
			HelperImageFlavor: "ubuntu", User: "ci", AllowedUsers: []string{"ci"}, GroupAdd: []string{"video"}, DisableEntrypointOverwrite: true,
			Hostname: "ci.example.com", ContainerLabels: map[string]string{"team": "$CI_PROJECT_NAME"}, LogOptions: map[string]string{"env": "CI"},
			Privileged: true, AllowedPrivilegedImages: []string{"docker:*"}, ServicesPrivileged: new(false), AllowedPrivilegedServices: []string{"docker:*-dind"},
			CapAdd: []string{"NET_ADMIN"}, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"}, ServicesSecurityOpt: []string{"seccomp=unconfined"},
			Devices: []Device{"/dev/fuse"}, DeviceCgroupRules: []string{"c 81:* rmw"}, ServicesDevices: map[string][]Device{"a:*": {"/dev/kvm:/dev/kvm:r"}},
			GPUs: "all", ServiceGPUs: "device=0", UsernsMode: "host", Runtime: "runc", PidMode: "host", IPCMode: "private",
			Sysctls: map[string]string{"net.core.somaxconn": "1024"},
			Memory:  1<<30 + 1, MemorySwap: 1<<30 + 2, MemoryReservation: 1 << 29, CPUs: 333_333_333, CPUSetCPUs: "0-1", CPUSetMems: "0", CPUShares: 512, PidsLimit: 7,
			MaxMemory: 2 << 30, MaxCPUs: 2e9, Ulimit: map[string]Ulimit{"nofile": "1024:2048"}, OOMKillDisable: true, OOMScoreAdjust: -5, CgroupParent: "/ci",
			ServiceMemory: 1 << 28, ServiceMemorySwap: 1 << 29, ServiceMemoryReservation: 1 << 27, ServiceCPUs: 1e9, ServiceCPUSetCPUs: "1", ServiceCPUShares: 256,
			ServiceCgroupParent: "services", ShmSize: 64 << 20, Volumes: []string{"/a:/b:ro"}, ReadOnly: true, Tmpfs: map[string]string{"/scratch": "rw,size=1g"},
			ServicesTmpfs: map[string]string{"/var/lib/postgresql": ""}, DisableCache: true, CacheDir: "/srv/ci-cache",
			VolumeDriver: "local", VolumeDriverOps: map[string]string{"type": "tmpfs"}, VolumesFrom: []string{"tools:ro"}, VolumeKeep: true,
			ExtraHosts: []string{"a:192.0.2.1"}, DNS: []string{"192.0.2.2"}, DNSSearch: []string{"example.com"},
			MACAddress: "92:d0:c6:0a:29:33", NetworkMTU: 1400, EnableIPv6: true,
			NetworkMode: "bridge", Links: []string{"mirror:m"}, ServicesLimit: 3,
			Services: []Service{
				{Name: "redis:$V", Alias: "a, b", Command: []string{"c"}, Entrypoint: []string{"d"}, Environment: []string{"E=f=g"}}, {Name: "postgres:15"},
			},
			WaitForServicesTimeout: -1,
			PullTimeout:            Duration{90 * time.Second}, StartTimeout: Duration{1500 * time.Millisecond}, StopTimeout: Duration{time.Hour},
		},
		Stats: Stats{
			MaxSize: 1 << 20, CountHits: false, ListenAddress: ":9999", Textfile: "/var/lib/node/executor.prom", PushGateway: "https://u:p@push.example.com",
			Traces: Traces{Endpoint: "http://otel.example.com:4318/v1/traces", Headers: map[string]string{"X-Scope": "ci"}},
		},
		Log: Log{Level: "debug", Format: FormatJSON, File: "/var/log/executor.log"},
	}
}

func TestWhatIsWrittenIsWhatIsLoaded(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]*Settings{"default": Default(), "full": full()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "config.toml")
			if err := os.WriteFile(path, []byte("an older, longer file that everybody may read"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := want.Write(path); err != nil {
				t.Fatal(err)
			}
			got, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
			}
			if files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(files) != 1 {
				t.Errorf("left behind: %v", files)
			}
		})
	}
	same(t, "", reflect.ValueOf(*full()), reflect.ValueOf(*Default()))
}

// same fails for each leaf that two structs have in common.
func same(t *testing.T, prefix string, a, b reflect.Value) {
	t.Helper()
	for i := range a.NumField() {
		key := prefix + tagName(a.Type().Field(i))
		switch {
		case isTable(a.Field(i).Type()):
			same(t, key+".", a.Field(i), b.Field(i))
		case reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
			t.Errorf("%s is not tested: full() has its default", key)
		}
	}
}

func TestCachesThatAreOffStayOffWhenWritten(t *testing.T) {
	t.Parallel()
	off, err := load(t, "max_size = 0\n[cache]\nkinds = []")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := off.Write(path); err != nil {
		t.Fatal(err)
	}
	written, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]*Settings{"as read": off, "as written": written} {
		if len(got.Cache.Kinds) != 0 || got.MaxSize != 0 {
			t.Errorf("%s: kinds %v, max_size %v", name, got.Cache.Kinds, got.MaxSize)
		}
	}
}

func TestSettingsThatLoadRefusesAreNotWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.toml")
	bad := Default()
	bad.Docker.Memory = 1024
	bad.Docker.StopTimeout = Duration{-time.Second}
	err := bad.Write(path)
	var problems *Problems
	if !errors.As(err, &problems) || len(problems.All) != 2 {
		t.Fatalf("want two problems, got %v", err)
	}
	if want := path + `: docker.memory = "1k": Docker refuses less than "6m"; leave the key out for no limit`; problems.All[0].String() != want {
		t.Errorf("got  %s\nwant %s", problems.All[0], want)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was written: %v", err)
	}
	if err := Default().Write(filepath.Join(path, "no", "such", "folder")); err == nil {
		t.Error("a folder that does not exist should be an error")
	}
}

func TestTheStoreIsBelowTheStateUnlessTheFileSaysOtherwise(t *testing.T) {
	t.Parallel()
	s := Default()
	s.StateDir = "/srv/ci"
	if dir := s.StoreDir(); dir != "/srv/ci/store" {
		t.Error(dir)
	}
	s.Cache.Directory.Path = "/mnt/store"
	if dir := s.StoreDir(); dir != "/mnt/store" {
		t.Error(dir)
	}
}

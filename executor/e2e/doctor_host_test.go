package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// patient is a runner host to which the doctor is called.
type patient struct {
	*testing.T
	dir      string
	sections map[string][]string // of the settings: lines by table, "" is the top level
	mode     os.FileMode         // of the settings file
	config   string              // what the doctor is told to read
	runner   string              // GitLab Runner's config.toml
	env      []string
	unshare  []string // options for unshare(1), if the doctor is to be in namespaces of its own
	script   string   // what is done there before
}

// finding is what the doctor tells.
type finding struct{ Check, State, Finding, Remedy string }

// newPatient is a host with nothing wrong. Unless a test is about them it has no Docker and no caches, since trying them takes its time.
func newPatient(t *testing.T) *patient {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "doctor-") //nolint:usetesting // on a disk, and short enough for sockets
	if err != nil {
		t.Fatal(err)
	}
	p := &patient{T: t, dir: dir, mode: 0o600, config: filepath.Join(dir, "settings.toml"), sections: map[string][]string{}}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("something is left, such as a mount: %v", err)
		}
	})
	p.set("", "state_dir = %q", p.path("state"))
	p.set("", "max_size = %q", "64m")
	p.set("docker", "host = %q", "unix://"+p.path("none.sock"))
	p.set("docker", "helper_image = %q", helperImage)
	p.set("docker", "pull_policy = %q", "never")
	p.set("cache", "kinds = []")
	p.set("stats", "listen_address = %q", "")
	p.set("log", "file = %q", p.path("operator.log"))
	p.runner = p.stanza()
	p.tool("gitlab-runner", `case $1 in --version) echo "Version:      19.4.0" ;; run) touch "`+p.path("runs")+`"; sleep 60 ;; esac`)
	p.env = []string{"DOCKER_HOST="}
	p.setPath("")
	return p
}

func (p *patient) path(name string) string { return filepath.Join(p.dir, name) }

// here fills in the host's folder and our program.
func (p *patient) here(text string) string {
	return strings.NewReplacer("DIR", p.dir, "BIN", executorBin).Replace(text)
}

// set gives a key of the settings a value: a line such as key = %q.
func (p *patient) set(table, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	key, _, _ := strings.Cut(line, " ")
	p.unset(table, key)
	p.sections[table] = append(p.sections[table], line)
}

func (p *patient) unset(table, key string) {
	p.sections[table] = slices.DeleteFunc(p.sections[table], func(line string) bool { return strings.HasPrefix(line, key+" ") })
}

// withDocker has the host use this machine's daemon.
func (p *patient) withDocker() { p.set("docker", "host = %q", "unix:///var/run/docker.sock") }

// withCaches has the host have caches.
func (p *patient) withCaches(driver string) {
	p.unset("cache", "kinds")
	p.set("cache", "driver = %q", driver)
}

// withBucket has the host use a bucket.
func (p *patient) withBucket(c store.S3Config) {
	p.withCaches("copy")
	for key, value := range map[string]string{
		"ServerAddress": c.ServerAddress, "AccessKey": c.AccessKey, "SecretKey": c.SecretKey, "BucketName": c.BucketName, "BucketLocation": c.BucketLocation,
		"CACertificate": c.CACertificate,
	} {
		p.set("cache.s3", "%s = %q", key, value)
	}
	p.set("cache.s3", "Insecure = %v", c.Insecure)
	p.set("cache", "signing_key = %q", strings.Repeat("0123456789abcdef", 4))
}

// stanza is that of the README.
func (p *patient) stanza() string {
	var b strings.Builder
	b.WriteString("[[runners]]\nname = \"one\"\nexecutor = \"custom\"\nsafe_directory_checkout = true\n[runners.custom_build_dir]\nenabled = true\n[runners.custom]\n")
	for _, stage := range []string{"config", "prepare", "run", "cleanup"} {
		fmt.Fprintf(&b, "%s_exec = %q\n%s_args = [\"--config\", %q, %q]\n", stage, executorBin, stage, p.path("settings.toml"), stage)
	}
	b.WriteString("graceful_kill_timeout = 60\nforce_kill_timeout = 10\n")
	return b.String()
}

// tool is a program of the host that is found before those of this machine.
func (p *patient) tool(name, script string) {
	p.Helper()
	p.put(filepath.Join("bin", name), "#!/bin/sh\n"+script+"\n", 0o755)
}

// setPath leaves the tools of this host, and those of another path; none is this machine's.
func (p *patient) setPath(rest string) {
	if rest == "" {
		rest = os.Getenv("PATH")
	}
	p.env = slices.DeleteFunc(p.env, func(v string) bool { return strings.HasPrefix(v, "PATH=") })
	p.env = append(p.env, "PATH="+p.path("bin")+":"+rest)
}

func (p *patient) put(name, content string, mode os.FileMode) {
	p.Helper()
	file := p.path(name)
	err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), mode), os.Chmod(file, mode))
	if err != nil {
		p.Fatal(err)
	}
}

// writeFiles writes both configurations.
func (p *patient) writeFiles() {
	p.Helper()
	text := ""
	for _, table := range []string{"", "docker", "cache", "cache.s3", "stats", "log"} {
		if len(p.sections[table]) == 0 {
			continue
		}
		if table != "" {
			text += "[" + table + "]\n"
		}
		text += strings.Join(p.sections[table], "\n") + "\n"
	}
	p.put("settings.toml", text, p.mode)
	p.put("runner.toml", p.runner, 0o600)
}

// doctor calls the doctor, and checks that its exit code is what its findings say.
func (p *patient) doctor() []finding {
	p.Helper()
	args := []string{executorBin, "--config", p.config, "doctor", "--runner-config", p.path("runner.toml"), "--json"}
	if len(p.unshare) > 0 {
		args = slices.Concat([]string{"unshare"}, p.unshare, []string{"sh", "-c", "set -e\n" + p.script + "\n\"$@\"\n", "sh"}, args)
	}
	cmd := exec.CommandContext(p.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.WaitDelay = time.Second
	var stderr syncBuffer
	cmd.Stderr = &stderr
	said, err := cmd.Output()
	var told struct {
		Wrong    int
		Findings []finding
	}
	if json.Unmarshal(said, &told) != nil {
		p.Fatalf("the doctor says nothing that can be read (%v):\n%s\n%s", err, said, &stderr)
	}
	if wrong := cmd.ProcessState.ExitCode() == 1; wrong != (told.Wrong > 0) || told.Wrong == 0 && err != nil {
		p.Errorf("%d things are wrong, and the doctor ends with %v", told.Wrong, err)
	}
	return told.Findings
}

// daemon is a stand-in for a Docker daemon that tells about itself. It gives docker.host.
func (p *patient) daemon(version, kernel string) string {
	p.Helper()
	socket, architecture := p.path("docker-"+version+".sock"), machine(p.T)
	listener, err := (&net.ListenConfig{}).Listen(p.Context(), "unix", socket)
	if err != nil {
		p.Fatal(err)
	}
	answers := &httptest.Server{Listener: listener, Config: &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.40")
		switch {
		case strings.HasSuffix(r.URL.Path, "/_ping"):
		case strings.HasSuffix(r.URL.Path, "/info"):
			fmt.Fprintf(w, `{"OSType": "linux", "Architecture": %q, "KernelVersion": %q, "Name": "far", "Driver": "overlay2", "CgroupVersion": "2"}`, architecture, kernel)
		case strings.HasSuffix(r.URL.Path, "/version"):
			fmt.Fprintf(w, `{"Version": %q}`, version)
		case strings.HasSuffix(r.URL.Path, "/images/json"):
			fmt.Fprint(w, "[]")
		default:
			http.Error(w, `{"message": "a stand-in"}`, http.StatusNotFound)
		}
	})}}
	answers.Start()
	p.Cleanup(answers.Close)
	return "unix://" + socket
}

// machine is this one's name for its architecture, and release its kernel.
func machine(t *testing.T) string { return uname(t, "-m") }
func release(t *testing.T) string { return uname(t, "-r") }

func uname(t *testing.T, option string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "uname", option).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// behindTLS puts a bucket behind a certificate that nobody has signed, and gives the certificate's file.
func (p *patient) behindTLS(c store.S3Config) (secured store.S3Config, certificate string) {
	p.Helper()
	target := &url.URL{Scheme: "http", Host: c.ServerAddress}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host }})
	proxy.Config.ErrorLog = discardLog
	proxy.StartTLS()
	p.Cleanup(proxy.Close)
	c.ServerAddress, c.Insecure = strings.TrimPrefix(proxy.URL, "https://"), false
	p.put("ca.pem", pemOf(proxy.Certificate().Raw), 0o644)
	return c, p.path("ca.pem")
}

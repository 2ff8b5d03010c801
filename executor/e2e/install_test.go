//go:build install

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// site is a Debian that becomes a runner host: what its administrator does, and the GitLab that it works for.
type site struct {
	*debian
	jobs     *host // whose state_dir is in the root
	server   *jobServer
	settings string
	address  string // where serve answers
}

const runnerToken = "glrt-installation-secret"

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{debian: newDebian(t), server: newJobServer(t, runnerToken), address: freeAddress(t)}
	g := newGitLab(t)
	sha := g.repository(t, "group/project", map[string]string{
		"go.mod": "module example.com/app\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() { println(\"built\") }\n",
	})
	dir := t.TempDir()
	s.jobs = &host{t: t, gitlab: g, sha: sha, dir: dir, instance: strings.ReplaceAll(strings.TrimPrefix(g.URL, "http://"), ":", "+")}
	// Docker is this host's, so the state has the same path here and in the root.
	s.jobs.StateDir = filepath.Join(dir, "state")
	if err := errors.Join(os.MkdirAll(filepath.Join(s.root, dir), 0o755), os.Symlink(filepath.Join(s.root, s.jobs.StateDir), s.jobs.StateDir)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if state, err := os.ReadFile(filepath.Join(s.jobs.StateDir, "id")); err == nil && t.Failed() {
			removeLabelled("gitlab-go-executor.state=" + string(state))
		}
	})
	s.settings = fmt.Sprintf("state_dir = %q\n[docker]\npull_policy = \"never\"\nhelper_image = %q\n[stats]\nlisten_address = %q\n", s.jobs.StateDir, helperImage, s.address)
	return s
}

// packed makes a package of a version, as make packages does, and puts it into the root's /root.
func (s *site) packed(version, kind string) (path string) {
	s.t.Helper()
	dir := s.t.TempDir()
	build := exec.Command("go", "build", "-ldflags", "-s -w -X main.version=v"+version, "-o", filepath.Join(dir, "program"), "./cmd/gitlab-go-executor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	target := filepath.Join(s.root, "root", version+"."+kind)
	pack := exec.Command(os.Getenv("GGE_NFPM"), "package", "--config", "packaging/nfpm.yaml", "--packager", kind, "--target", target)
	pack.Env = append(os.Environ(), "PACKAGE_VERSION="+version, "ARCH="+runtime.GOARCH, "BINARY="+filepath.Join(dir, "program"), "GENERATED=.cache/generated")
	for _, cmd := range []*exec.Cmd{build, pack} {
		cmd.Dir = filepath.Join("..", "..")
		s.output(cmd)
	}
	return "/root/" + version + "." + kind
}

// page gives what serve answers.
func (s *site) page(path string) string {
	answer, err := http.Get("http://" + s.address + path)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return string(body)
}

// startRunner starts GitLab Runner as its service does, and gives a function that kills it and all that it has started, as a crash would.
func (s *site) startRunner() (kill func()) {
	s.t.Helper()
	log := &syncBuffer{}
	cmd := s.command("gitlab-runner", "run", "--config", "/etc/gitlab-runner/config.toml", "--working-directory", "/root")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			for _, pid := range slices.DeleteFunc(s.processes("gitlab-go-executor"), func(pid int) bool { return pid == s.serving() }) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	s.t.Cleanup(func() {
		kill()
		if s.t.Failed() {
			s.t.Logf("the Runner said:\n%s", log)
		}
	})
	return kill
}

// begin queues a job and waits until it prints "started".
func (s *site) begin(script ...string) job {
	s.t.Helper()
	j := s.jobs.newJob(jobImage, append([]string{"cd $CI_PROJECT_DIR", "go build -o /dev/null ."}, script...)...)
	s.server.push(j.variable("CGO_ENABLED", "0"))
	s.eventually("the job prints started", func() bool {
		log, ended := s.server.state(j)
		if ended != "" && !strings.Contains(log, started) {
			s.t.Fatalf("the job ended: %s\n%s", ended, log)
		}
		return strings.Contains(log, started)
	})
	return j
}

// succeeds waits until a job has succeeded, and checks what its log says.
func (s *site) succeeds(j job, says string) {
	s.t.Helper()
	var log, ended string
	s.eventually("the job ends", func() bool {
		log, ended = s.server.state(j)
		return ended != ""
	})
	if ended != "success" || !regexp.MustCompile(says).MatchString(log) {
		s.t.Fatalf("the job ended: %s, and should have said %s:\n%s", ended, says, log)
	}
}

func TestADebianPackageFromInstallationToRemoval(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first, second := s.packed("1.0.0", "deb"), s.packed("1.1.0", "deb")
	before := s.files()

	// As in the images of Debian, services must not start by themselves.
	s.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
	s.sh("apt-get install -qq --no-install-recommends " + first)
	if s.serving() != 0 {
		t.Error("the service was started, though policy-rc.d forbids it")
	}
	s.take("usr/sbin/policy-rc.d")
	s.sh("apt-get purge -qq --autoremove gitlab-go-executor")
	if changed := s.since(before); changed != "" {
		t.Errorf("what installation and purge changed:\n%s", changed)
	}

	s.sh("apt-get install -qq --no-install-recommends " + first)
	s.usable()
	s.eventually("the service runs", func() bool { return s.serving() != 0 })
	s.restricted()

	s.write("etc/gitlab-go-executor/config.toml", s.settings, 0o600)
	s.sh("systemctl restart " + serviceUnit)
	s.eventually("serve is well", func() bool { return strings.HasPrefix(s.page("/healthz"), "ok") })
	s.registers()

	kill := s.startRunner()
	s.sh("gitlab-go-executor doctor")
	s.succeeds(s.begin("echo started"), `Go caches: empty \(first run`)
	s.succeeds(s.begin("echo started"), `packages hit, 0 compiled`)

	s.upgrades(second)
	s.savesWhatAKilledJobMade(kill)
	s.removes(before)
}

// usable checks what a package has for people.
func (s *site) usable() {
	s.t.Helper()
	if got := s.sh("gitlab-go-executor version"); !strings.HasPrefix(got, "gitlab-go-executor v1.0.0 (") {
		s.t.Errorf("version: %s", got)
	}
	s.sh(`source /usr/share/bash-completion/completions/gitlab-go-executor; complete -p gitlab-go-executor
		zcat /usr/share/man/man1/gitlab-go-executor-serve.1.gz | grep -q '^.TH "GITLAB-GO-EXECUTOR'
		[ "$(stat -c %a%u /etc/gitlab-go-executor/config.toml)" = 6000 ]
		head -c 100 /usr/share/gitlab-go-executor/monitoring/RUNBOOK.md /usr/share/doc/gitlab-go-executor/{README.md,copyright} >/dev/null`)
}

// restricted checks that serve has the capabilities that its unit leaves it, and no more.
func (s *site) restricted() {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.serving()))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range []string{`(?m)^CapBnd:\t0+20000f$`, `(?m)^NoNewPrivs:\t1$`} {
		if !regexp.MustCompile(line).Match(status) {
			s.t.Errorf("serve does not run with %s:\n%s", line, status)
		}
	}
}

// registers checks that register.sh makes a runner of this executor, once, and shows its token to nobody.
func (s *site) registers() {
	s.t.Helper()
	const script = "/usr/share/gitlab-go-executor/register.sh"
	call := func(token string) string {
		s.write("root/token", token, 0o600)
		return script + " --url " + s.server.URL + " --name builder </root/token"
	}
	if said := s.fails(call("GR1348941old")); !strings.Contains(said, "begins with glrt-") {
		s.t.Errorf("with another kind of token: %s", said)
	}
	s.sh(call(runnerToken))
	config := s.read("etc/gitlab-runner/config.toml")
	for _, line := range []string{`executor = "custom"`, `safe_directory_checkout = true`, `enabled = true`, `run_exec = "/usr/bin/gitlab-go-executor"`, `run_args = ["run"]`, `graceful_kill_timeout = 60`} {
		if !strings.Contains(config, " "+line+"\n") {
			s.t.Errorf("the stanza has no %s:\n%s", line, config)
		}
	}
	if said := s.sh("export CI_SERVER_TOKEN=$(cat /root/token); " + script + " --url " + s.server.URL + " --name another"); !strings.Contains(said, "nothing is changed") {
		s.t.Errorf("when registered again: %s", said)
	}
	if said := s.fails(call("glrt-another")); !strings.Contains(said, "has a runner builder already") {
		s.t.Errorf("with the name of another runner: %s", said)
	}
	if now := s.read("etc/gitlab-runner/config.toml"); now != config {
		s.t.Errorf("the Runner's settings were changed:\n%s", now)
	}
	for _, line := range s.server.leaks {
		s.t.Errorf("everybody could see the token: %q", line)
	}
}

// upgrades checks that a job goes on through an upgrade, which restarts the service and keeps the settings.
func (s *site) upgrades(to string) {
	s.t.Helper()
	running, old := s.begin("echo started", "until [ -e /cache/go-on ]; do sleep 0.1; done", "go build unicode/utf16"), s.serving()
	s.sh("apt-get install -qq " + to)
	s.eventually("the new serve is well", func() bool { return strings.HasPrefix(s.page("/healthz"), "ok") })
	if now := s.serving(); now == old || !strings.Contains(s.page("/metrics"), `version="v1.1.0"`) {
		s.t.Errorf("the service was not restarted with the new version: process %d, before %d", now, old)
	}
	if now := s.read("etc/gitlab-go-executor/config.toml"); now != s.settings {
		s.t.Errorf("the settings were changed:\n%s", now)
	}
	s.goOn()
	s.succeeds(running, `Go caches: .*saved`)
	s.succeeds(s.begin("echo started"), `packages hit, 0 compiled`)
}

// goOn ends the waiting of the job that upgrades has begun.
func (s *site) goOn() {
	s.t.Helper()
	folders, err := filepath.Glob(filepath.Join(s.jobs.StateDir, "caches", "*", "*", "*"))
	if err != nil || len(folders) != 1 {
		s.t.Fatalf("what jobs see as /cache is not where it was: %v %v", folders, err)
	}
	if err := os.WriteFile(filepath.Join(folders[0], "go-on"), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// savesWhatAKilledJobMade has serve, restricted as it is, do all that it can do for a job: remove what is left of it and save what it has made.
func (s *site) savesWhatAKilledJobMade(kill func()) {
	s.t.Helper()
	s.begin("go build strings", "echo started", "sleep 300")
	kill()
	if len(s.jobs.left()) == 0 {
		s.t.Fatal("the killed job has left nothing, so this shows nothing")
	}
	time.Sleep(2 * time.Second) // Docker completes what it was asked for
	s.sh("systemctl restart " + serviceUnit)
	s.eventually("serve has removed what is left of the job", func() bool { return len(s.jobs.left()) == 0 })
	s.eventually("serve has saved what the job made", func() bool {
		return strings.Contains(s.read(serviceLog), "what a killed job left in its caches was saved")
	})
	s.startRunner()
	s.succeeds(s.begin("go build strings", "echo started"), `packages hit, 0 compiled`)
}

// removes checks what stays after a removal, and after a purge.
func (s *site) removes(before []string) {
	s.t.Helper()
	said := s.sh("apt-get remove -qq gitlab-go-executor")
	for _, text := range []string{"gitlab-runner unregister", "stay in " + s.jobs.StateDir} {
		if !strings.Contains(said, text) {
			s.t.Errorf("removal does not say %q:\n%s", text, said)
		}
	}
	if s.serving() != 0 {
		s.t.Error("the service still runs")
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if strings.Contains(string(mounts), s.jobs.StateDir) {
		s.t.Errorf("something is still mounted:\n%s", mounts)
	}
	if !s.has("etc/gitlab-go-executor/config.toml") || !s.has(filepath.Join(s.jobs.StateDir, "ledger.db")) {
		s.t.Error("settings or state are gone")
	}
	s.sh(`mkdir -p /var/lib/gitlab-go-executor/layers; apt-get purge -qq --autoremove gitlab-go-executor; rm -r /etc/gitlab-runner`)
	if changed := s.since(before); changed != "" {
		s.t.Errorf("what is left after a purge, or missing:\n%s", changed)
	}
}

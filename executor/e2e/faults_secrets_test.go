//go:build faults

package e2e

import (
	"fmt"
	"html"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// ended looks at the job log and at the Runner's own.
func (s *secretive) ended(name string, r *running, state string) {
	s.t.Helper()
	if got := r.wait(); got.State != state {
		s.t.Errorf("%s: %s, want %s\n%s", name, got.State, state, got.Log)
	}
	s.marks.look("the job log of "+name, []byte(r.log.String()))
	s.marks.look("the Runner's log of "+name, []byte(r.errs.String()))
}

// sleeps is the script of a job that does not end by itself.
var sleeps = []string{"go build example.com/alpha", "echo started; sleep 200"}

// runs has jobs end in each way that they can, on a host where serve runs and servers refuse what they are asked.
func (s *secretive) runs() {
	s.t.Helper()
	lost := s.start(s.secretJob(sleeps...))
	lost.waitFor(started)
	lost.killAll()
	s.marks.look("the job log of lost", []byte(lost.log.String()))
	stop := s.serve()
	defer stop()
	s.ended("good", s.start(s.secretJob("go build ./sum", "mkdir out; echo fine >out/file").
		with("artifacts", []job{{"name": "out", "paths": []string{"out"}, "artifact_type": "archive", "artifact_format": "zip"}})), "success")
	canceled := s.start(s.secretJob(sleeps...))
	late := s.start(s.secretJob(sleeps...).timeout(25))
	s.pulls()
	fails := s.start(s.secretJob("env; go build example.com/none; exit 3"))
	canceled.waitFor(started)
	canceled.signal(syscall.SIGUSR1)
	s.ended("canceled", canceled, "failed")
	s.ended("late", late, "failed")
	s.ended("fails", fails, "failed")
	s.refusedByStore()
}

// pulls has jobs pull their images with each kind of login.
func (s *secretive) pulls() {
	s.t.Helper()
	pull := func(image, key, value string, masked bool) *running {
		j := s.secretJob("true").with("image", job{"name": image, "pull_policy": []string{"always"}}).with("services", nil)
		if strings.HasPrefix(image, s.faulty) {
			j["credentials"] = login(s.faulty, "u", s.marks.of("refused-login"))
		}
		j["variables"] = append(j["variables"].([]job), job{"key": key, "value": value, "masked": masked})
		return s.start(j)
	}
	name := s.images.image("app:1", "one")
	s.images.image("app:"+s.marks.of("image-name"), "one")
	refused := pull(s.faulty+"/group/app:1", "NONE", "", false)
	helper := pull(name, "DOCKER_AUTH_CONFIG", `{"credHelpers": {"`+s.images.address+`": "vault"}}`, false)
	secret := pull(s.images.address+"/group/app:$NAME", "NAME", s.marks.of("image-name"), true)
	s.ended("a pull whose login is refused", refused, "failed")
	s.ended("a pull with a helper", helper, "failed")
	s.ended("a pull by a secret name", secret, "success")
}

// refusedByStore has the store refuse everything and say what it was sent, and refusedByProxy the company's proxy.
func (s *secretive) refusedByStore() {
	s.t.Helper()
	s.proxy.Break(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { echo(w, r) })
	s.ended("with a store that refuses", s.start(s.secretJob("true")), "success")
	s.tell("prune")
	s.tell("doctor")
	s.proxy.Break(nil)
}

func (s *secretive) refusedByProxy() {
	s.t.Helper()
	s.closed.Store(true)
	s.ended("with a proxy that refuses", s.start(s.secretJob("true")), "success")
	s.tell("prune")
	s.tell("doctor")
	s.closed.Store(false)
}

// tell runs a command and looks at what it prints.
func (s *secretive) tell(args ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), executorBin, append([]string{"--config", filepath.Join(s.dir, "settings.toml")}, args...)...)
	cmd.Env = s.environ
	out, _ := cmd.CombinedOutput() // the doctor has something to complain of
	s.marks.look("the output of "+strings.Join(args, " "), out)
}

// ask runs all commands that tell something, and reads all pages.
func (s *secretive) ask() {
	s.t.Helper()
	for _, args := range []string{
		"stats", "stats --json", "stats --csv", "stats --jobs --json", "stats --jobs --csv", "stats --by outcome", "doctor", "doctor --json", "version", "prune --dry-run",
		"prune --store --older-than 1h --dry-run", "prune",
	} {
		s.tell(strings.Fields(args)...)
	}
	s.write("docker.toml", fmt.Sprintf("[[runners]]\nname = \"old\"\nurl = \"https://gitlab.example.com\"\ntoken = %q\nexecutor = \"docker\"\n[runners.docker]\nimage = \"alpine\"\n"+
		"[runners.cache]\nType = \"s3\"\n[runners.cache.s3]\nBucketName = \"b\"\nAccessKey = \"a\"\nSecretKey = %q\n", s.marks.of("runner-token"), s.marks.of("imported-key")))
	s.tell("import-config", filepath.Join(s.dir, "docker.toml"))
	for number := range s.rows() {
		s.tell("stats", "explain", number)
		s.tell("stats", "explain", "--json", number)
		if text := s.read("/job/" + s.instance + "/" + number); !strings.Contains(text, number) {
			s.t.Errorf("the page of job %s says\n%s", number, text)
		}
	}
	for _, page := range []string{"/metrics", "/healthz", "/none"} {
		s.read(page)
	}
	for _, found := range regexp.MustCompile(`href="([^"#]*\?[^"#]*)"`).FindAllStringSubmatch(s.read("/"), -1) {
		s.read("/" + strings.TrimPrefix(strings.TrimPrefix(html.UnescapeString(found[1]), "."), "/"))
	}
}

// read gives a page of serve.
func (s *secretive) read(page string) string {
	s.t.Helper()
	text := fetch(s.t, "http://"+s.address+page)
	if text == "" {
		s.t.Errorf("there is no page %s", page)
	}
	s.marks.look("the page "+page, []byte(text))
	return text
}

func TestFaultNoSecretIsWhereOthersLook(t *testing.T) {
	t.Parallel()
	s := newSecretive(t)
	stopWatch := s.marks.watch(t, s.instance)
	s.runs()
	settings, err := os.ReadFile(filepath.Join(s.dir, "settings.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("settings.toml", strings.Replace(string(settings), `format = "json"`, `format = "text"`, 1))
	s.refusedByProxy()
	s.write("settings.toml", string(settings))
	defer s.serve()()
	s.ended("last", s.start(s.secretJob("go build ./sum")), "success")
	s.ask()
	stopWatch()

	if log := s.operatorLog(); !strings.Contains(log, "what a killed job left in its caches was saved") {
		t.Errorf("nothing was salvaged, so this shows less than it should:\n%s", log)
	}
	s.marks.lookBelow(t, "the state directory", s.StateDir, func(path string) bool { return strings.HasPrefix(path, s.StateDir+"/mnt/") })
	s.marks.lookBelow(t, "the host", s.dir, func(path string) bool { return path == s.StateDir })
	s.marks.lookBelow(t, "the Runner's home", s.files, func(string) bool { return false })
	s.lookIntoBucket()
	s.marks.judge(t, exceptions)
}

// exceptions are where a secret of a kind is all the same. What is below the Runner's home or the host is readable for its owner alone.
var exceptions = []allowed{
	{"Docker: environment of build", "*-variable id-token job-token login-of-the-job module-proxy vault-value image-name", "the job's variables, as under the docker executor"},
	{"Docker: environment of service", "service-* image-name", "variables of the service itself, and the Runner's CI_JOB_IMAGE, as under the docker executor"},
	{"arguments in a container of git*", "job-token", "GitLab Runner's own scripts, in the helper container, as under the docker executor"},
	{"the job log of fails", "hidden-variable login-of-the-job module-proxy", "the script prints them, and GitLab masks only what is called masked"},
	{"the output of doctor*", "access-key", "it names whose key is refused"},
	{"the Runner's home/.docker/config.json", "login-of-the-home", "where the user keeps it"},
	{"the Runner's home/docker-credential-vault", "login-of-a-helper", "where the user keeps it"},
	{"the Runner's home/tmp/custom-executor*", "*", "GitLab Runner's own files of a job; a Runner that is killed leaves them"},
	{"the output of import-config*", "imported-key runner-token", "they are what it is asked for"},
	{"the host/docker.toml", "imported-key runner-token", "GitLab Runner's settings"},
	{"the host/config.toml", "runner-token", "GitLab Runner's settings"},
	{"the host/settings.toml", "access-key secret-key session-token signing-key push-password trace-header service-of-the-settings", "our settings"},
	{"the host/job-*.json", "*", "what GitLab sends, of which the test makes a file for its Runner"},
}

// lookIntoBucket looks at all objects.
func (s *secretive) lookIntoBucket() {
	s.t.Helper()
	bucket, err := store.NewS3(s.bucket)
	if err != nil {
		s.t.Fatal(err)
	}
	found, err := bucket.List(s.t.Context(), "", 1000)
	if err != nil || len(found) == 0 {
		s.t.Fatalf("the bucket holds %v, %v", found, err)
	}
	folder := s.t.TempDir()
	for i, o := range found {
		s.marks.look("the bucket: "+o.Key, []byte(o.Key))
		data, err := bucket.Get(s.t.Context(), o.Key, 1<<30)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), data, 0o600)
		}
		if err != nil {
			s.t.Error(err)
		}
	}
	s.marks.lookBelow(s.t, "the bucket", folder, func(string) bool { return false })
}

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
)

// accomplice is a program that hands a folder of the caches, which it has open, to another container over a socket in the checkout's folder. The other one writes
// there as long as it lives, and notes when it has.
const accomplice = `package main

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) > 1 {
		hand()
		return
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "/builds/socket", Net: "unix"})
	must(err)
	must(os.Chmod("/builds/socket", 0o777))
	c, err := l.AcceptUnix()
	must(err)
	rights := make([]byte, 100)
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 1), rights)
	must(err)
	messages, err := syscall.ParseSocketControlMessage(rights[:n])
	must(err)
	fds, err := syscall.ParseUnixRights(&messages[0])
	must(err)
	for {
		fd, err := syscall.Openat(fds[0], "written", syscall.O_CREAT|syscall.O_WRONLY, 0o666)
		must(err)
		_, err = syscall.Write(fd, []byte("evil"))
		must(err)
		must(syscall.Close(fd))
		now := fmt.Sprint(time.Now().UnixNano())
		must(os.WriteFile("/builds/alive.new", []byte(now), 0o666))
		must(os.Rename("/builds/alive.new", "/builds/alive"))
		time.Sleep(2 * time.Millisecond)
	}
}

func hand() {
	fd, err := syscall.Open("/go-executor/build", syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	must(err)
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: "/builds/socket", Net: "unix"})
	must(err)
	_, _, err = c.WriteMsgUnix([]byte("x"), syscall.UnixRights(fd), nil)
	must(err)
}
`

// built is a program of one file.
func built(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", program, file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Files that are open can be handed to any container that shares a folder, so that the end of the build container proves nothing alone.
func TestNothingIsReadWhileAServiceWritesToAFolderOfTheCachesThatItWasHanded(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, noWait)
	g.change(map[string]string{"accomplice": built(t, accomplice)})
	wait := func(what string) string { return "while [ ! " + what + " ]; do sleep 0.1; done" }
	j := g.goJob("go build ./sum", "install -m 755 accomplice /builds/evil.new", "mv /builds/evil.new /builds/evil", wait("-S /builds/socket"), "until /builds/evil hand; do sleep 0.1; done",
		wait("-e /builds/alive"), "(setsid sh -c 'while :; do date >/builds/orphan; sleep 0.01; done' &)", wait("-e /builds/orphan")).
		with("services", []job{{"name": jobImage, "alias": "evil", "entrypoint": []string{"sh", "-c"}, "command": []string{wait("-x /builds/evil") + "; exec /builds/evil"}}})
	_, f := g.ran(j)
	if f.Saved <= 0 || f.SaveReason != "" {
		t.Errorf("%s, %s", f, f.SaveReason)
	}
	builds, _ := filepath.Glob(filepath.Join(g.StateDir, "builds", "*", "*", "protected", "0"))
	entries, _ := filepath.Glob(filepath.Join(g.StateDir, "store", "v1", "*", "*", "protected", "build", "*", "*", "*.json"))
	if len(builds) != 1 || len(entries) != 1 {
		t.Fatalf("%q, %q", builds, entries)
	}
	data, err := os.ReadFile(filepath.Join(builds[0], "alive"))
	if err != nil {
		t.Fatal(err)
	}
	nanoseconds, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var entry struct{ Created time.Time }
	if data, err = os.ReadFile(entries[0]); err == nil {
		err = json.Unmarshal(data, &entry)
	}
	if last := time.Unix(0, nanoseconds); err != nil || !last.Before(entry.Created) {
		t.Errorf("the service wrote %s after the caches had been read (%v)", last.Sub(entry.Created), err)
	}
	if orphan, err := os.Stat(filepath.Join(builds[0], "orphan")); err != nil || !orphan.ModTime().Before(entry.Created) {
		t.Errorf("what the script left in a session of its own still writes: %v, %v", orphan, err)
	}
	for _, name := range []string{"alive", "orphan", "evil", "socket"} {
		_ = os.Remove(filepath.Join(builds[0], name))
	}
	if _, f := g.ran(g.goJob("go build ./sum")); f.New != 0 {
		t.Errorf("the next job: %s", f)
	}
}

// noWait is for services that have no ports.
const noWait = "wait_for_services_timeout = -1\n"

// Whichever of the job's containers may still be running, nothing is read.
func TestNothingIsReadWhileAnyContainerOfTheJobMayStillBeRunning(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"-helper", "-service-0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, address := newFaultyDocker(t)
			f.named = name
			g := newGoHost(t, "host = \""+address+"\"\n"+noWait)
			f.fault = func(w http.ResponseWriter, r *http.Request, forward http.Handler) bool {
				switch {
				case strings.HasSuffix(r.URL.Path, "/stop"):
					w.WriteHeader(http.StatusNotModified)
					return true
				case strings.HasSuffix(r.URL.Path, "/json"):
					recorder := httptest.NewRecorder()
					forward.ServeHTTP(recorder, r)
					w.WriteHeader(recorder.Code)
					_, _ = w.Write(bytes.Replace(recorder.Body.Bytes(), []byte(`"Status":"exited","Running":false`), []byte(`"Status":"running","Running":true`), 1))
					return true
				}
				return false
			}
			j := g.goJob("go build ./sum").with("services", []job{{"name": busybox, "alias": "x", "command": []string{"sleep", "1000"}}})
			r := g.run(j)
			g.succeeded(r)
			g.says(r, "it is not certain that the job's processes have ended")
			if fig := g.figures(j); fig.SaveReason != "still_running" || fig.Saved > 0 {
				t.Errorf("%s, %s", fig, fig.SaveReason)
			}
		})
	}
}

// hostileText has something for every medium: shells, terminals, logs, pages, templates, metrics, spreadsheets, paths.
const hostileText = "x'\"$(touch /builds/pwned)`touch /builds/pwned`;touch /builds/pwned\n\rlevel=error msg=forged\x1b[2J\x1b]0;owned\a\u202e\u2028" +
	"<script>alert(1)</script>{{.Settings}}%s%n\\\",tier=\"protected\"} 1e9\n=HYPERLINK(\"http://x\"),/../../../../etc/passwd"

// A job whose every name is an attack runs like any other, or fails cleanly, and what is said of it is one job's, on its own lines.
func TestAJobOfWhichEveryNameIsHostileRunsLikeAnyOther(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, noWait)
	long := hostileText + strings.Repeat("long", 1000)
	j := g.goJob("go build ./sum", "test ! -e /builds/pwned", `printf %s "$HOSTILE" | wc -c`)
	info := j["job_info"].(job)
	info["name"], info["stage"], info["project_name"], info["project_full_path"] = long+"\x00", long, long, "../../"+long
	git := j["git_info"].(job)
	git["ref"], git["protected"], git["before_sha"] = "feature/"+long, false, hostileText
	j["runner_info"] = job{"timeout": 300, "runner_session_url": hostileText}
	j = j.variable("HOSTILE", long).variable("CI_JOB_NAME", long).variable("CI_COMMIT_REF_NAME", long).variable("GO_EXECUTOR_CACHE_X", long).
		variable("CI_RUNNER_DESCRIPTION", long).variable("GOFLAGS_X", hostileText)
	j = j.with("services", []job{{"name": busybox, "alias": "../" + hostileText, "command": []string{"sleep", "1000"}}})
	r := g.run(j)
	g.succeeded(r)
	g.prints(r, strconv.Itoa(len(long)))
	for _, line := range strings.Split(r.Log, "\n") {
		if strings.HasPrefix(line, "level=error") {
			t.Errorf("a line of the job log is forged: %q", line)
		}
	}
	rows := g.rows()
	if row := rows[fmtID(j)]; row.word("outcome") != "success" || len(rows) != 1 {
		t.Errorf("the ledger says %v", rows)
	}
	operator, err := os.ReadFile(g.OperatorLog())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(operator)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["level"] == "error" {
			t.Errorf("the operator log has the line %q: %v", line, err)
		}
	}
	for _, args := range [][]string{{"stats"}, {"stats", "explain", fmtID(j)}, {"stats", "--csv"}} {
		out, err := exec.CommandContext(t.Context(), executorBin, append([]string{"--config", filepath.Join(g.dir, "settings.toml")}, args...)...).CombinedOutput()
		if err != nil || strings.ContainsFunc(string(out), func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }) {
			t.Errorf("%q: %v: %q", args, err, out)
		}
	}
	if _, err := os.Lstat("/builds/pwned"); err == nil {
		t.Error("a name was run on the host")
	}
}

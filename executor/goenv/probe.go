package goenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Probe looks at the machine that it runs in: a container of the image, with the image's environment. It needs neither a shell nor a
// C library there, and takes what it finds for hostile. An error may pass; an Image does not change until the image does.
func Probe(ctx context.Context) (Image, error) {
	return machine{os.Environ(), cDirs, installedGo}.probe(ctx)
}

// installedGo is where Go's own instructions put it (go.dev/doc/install). Many an image has it there and leaves PATH to its entrypoint, or to the
// script of the job.
const installedGo = "/usr/local/go/bin/go"

func (m machine) probe(ctx context.Context) (Image, error) {
	goCommand := m.lookPath("go")
	if goCommand == "" {
		goCommand = m.lookPath(m.otherGo)
	}
	if goCommand == "" {
		return Image{}, nil
	}
	env, err := m.goEnv(ctx, goCommand, nil, append([]string{"GOVERSION", "GOROOT"}, names...)...)
	if err != nil || env["GOVERSION"] == "" {
		return Image{}, err
	}
	i := Image{Go: env["GOVERSION"], Env: map[string]string{}}
	for _, name := range names {
		if value := env[name]; value != "" {
			i.Env[name] = value
		}
	}
	if i.C, err = m.cSide(ctx, env[compiler], env["GOROOT"]); err != nil {
		return Image{}, fmt.Errorf("take the fingerprint of the image's C side: %w", err)
	}
	set, err := m.cgoSet(ctx, goCommand, env, i.C != "")
	if err != nil {
		return Image{}, err
	}
	delete(i.Env, cgoEnabled)
	if set != "" {
		i.Env[cgoEnabled] = set
	}
	return i, i.check()
}

// machine is where commands run, with an environment.
type machine struct {
	environ []string
	cDirs   []string // of the C side, beside what the compiler names
	otherGo string   // the go command, where PATH has none
}

func (m machine) getenv(name string) (value string) {
	for _, entry := range m.environ { // the last one counts, as for exec.Cmd
		if text, ok := strings.CutPrefix(entry, name+"="); ok {
			value = text
		}
	}
	return value
}

// path is the list of folders that commands are looked for in. Relative ones mean another folder in each job.
func (m machine) path() (dirs []string) {
	for _, dir := range filepath.SplitList(m.getenv("PATH")) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// lookPath finds a command as exec.LookPath does, in this machine's PATH; "" is none.
func (m machine) lookPath(name string) string {
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, dir := range m.path() {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	for _, file := range candidates {
		if info, err := os.Stat(file); err == nil && filepath.IsAbs(file) && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// maxOutput is what is kept of a command's output.
const maxOutput = 1 << 20

// errUnusable says that a command cannot run, or says so itself: it will be the same at any time.
var errUnusable = errors.New("unusable")

// run runs a command of the image and gives what it printed. What ends it from outside is another error than errUnusable.
func (m machine) run(ctx context.Context, environ []string, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.WaitDelay = "/", time.Second
	cmd.Env = append(append(m.environ[:len(m.environ):len(m.environ)], "LC_ALL=C"), environ...)
	var stdout, stderr head
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	text := stdout.String() + stderr.String()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return text, nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s: %w", command[0], context.Cause(ctx))
	case errors.As(err, &exit) && !exit.Exited():
		return "", fmt.Errorf("%s: %w", command[0], err) // killed, perhaps for want of memory
	default:
		return "", fmt.Errorf("%w: %s: %w: %.200s", errUnusable, command[0], err, text)
	}
}

// head keeps the beginning of what a command prints.
type head struct{ bytes.Buffer }

// Write implements io.Writer.
func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), max(maxOutput-h.Len(), 0))])
	return len(p), nil
}

// goEnv asks the go command; nil means that it does not run here. With modules off it answers itself, whatever GOTOOLCHAIN says
// (cmd/go/internal/toolchain.Select), and reads no go.mod.
func (m machine) goEnv(ctx context.Context, goCommand string, environ []string, names ...string) (map[string]string, error) {
	command := append([]string{goCommand, "env", "-json"}, names...)
	out, err := m.run(ctx, append([]string{"GO111MODULE=off"}, environ...), command...)
	if errors.Is(err, errUnusable) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var env map[string]string
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&env); err != nil { // a warning may follow
		return nil, fmt.Errorf("%s env: %w", goCommand, err)
	}
	return env, nil
}

// cgoSet tells what CGO_ENABLED is set to; "" if cmd/go decides. Where it decides, cgo is off for other platforms than its own, and on
// for its own if there is a compiler; what differs from that was set, or built into this toolchain.
func (m machine) cgoSet(ctx context.Context, goCommand string, env map[string]string, hasC bool) (string, error) {
	ask := func(arch string) (string, error) {
		answer, err := m.goEnv(ctx, goCommand, []string{goos + "=" + env[gohostos], goarch + "=" + arch}, cgoEnabled)
		return answer[cgoEnabled], err
	}
	other := "amd64"
	if env[gohostarch] == other {
		other = "arm64"
	}
	if foreign, err := ask(other); err != nil || foreign == "1" {
		return foreign, err
	}
	if native, err := ask(env[gohostarch]); err != nil || (native == "0" && hasC) {
		return native, err
	}
	return "", nil
}

package layertest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// What another process does, told by its environment.
const (
	roleVariable   = "LAYERTEST_ROLE"
	dirVariable    = "LAYERTEST_DIR"
	digestVariable = "LAYERTEST_DIGEST"
	roleReader     = "reader"
	roleWriter     = "writer"
)

// process is the test that called Run, once more, in a process of its own.
func (f *Fixture) process(t *testing.T, role, digest string) *exec.Cmd {
	t.Helper()
	pattern := "^" + strings.ReplaceAll(f.top, "/", "$/^") + "$"
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", pattern)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+f.Host.Dir, digestVariable+"="+digest)
	return cmd
}

// writing is what a writer says when it has begun.
const writing = "writing\n"

// played plays a role, if this process has one.
func played(t *testing.T, maker Maker) bool {
	t.Helper()
	host := layer.Host{Dir: os.Getenv(dirVariable)}
	switch os.Getenv(roleVariable) {
	case roleReader:
		if _, err := maker(t, host).Layer(t.Context(), os.Getenv(digestVariable)); err != nil {
			t.Error(err)
		}
	case roleWriter:
		endless := File("endless", "")
		endless.Size = 1 << 40
		endless.Open = func() (io.ReadCloser, error) {
			fmt.Fprint(os.Stdout, writing)
			return os.Open("/dev/zero")
		}
		_, err := host.Write(t.Context(), nil, Files(File("first", "first"), endless))
		t.Error(err)
	default:
		return false
	}
	return true
}

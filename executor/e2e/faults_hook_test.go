//go:build faults

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// hook stands between the executor and a daemon until a moment comes, does something then, and steps aside: from then on the executor reaches the
// daemon's own socket, and sees it as it is.
type hook struct {
	*faultyDocker
	socket string
	fired  atomic.Bool // the moment has come
	mu     sync.Mutex
	stages int // processes of the executor that have asked whether Docker is there
}

// dockerCall is a call of the executor's.
type dockerCall struct {
	stage int    // how many processes of the executor have called by then, this one included; 0: any number
	call  string // a regular expression of the method and path, without the API's version
}

// newHook does what it is told to when a moment comes; the call that it comes with is cut, unless the daemon is to answer it.
func newHook(t *testing.T, d *daemon, at dockerCall, cut bool, do func()) *hook {
	t.Helper()
	h := &hook{}
	var address string
	h.faultyDocker, address = newFaultyDockerOf(t, d.socket())
	h.socket = strings.TrimPrefix(address, "unix://")
	call := regexp.MustCompile(at.call)
	var once sync.Once
	h.every = func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		h.mu.Lock()
		if r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/_ping") {
			h.stages++
		}
		now := (at.stage == 0 || h.stages == at.stage) && call.MatchString(callOf(r))
		h.mu.Unlock()
		if !now {
			return false
		}
		fires := false
		once.Do(func() {
			fires = true
			do()
			h.aside(t, d)
			h.fired.Store(true)
		})
		if fires && cut {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	return h
}

// aside has the next calls go to the daemon itself.
func (h *hook) aside(t *testing.T, d *daemon) {
	staged := filepath.Join(filepath.Dir(h.socket), "aside")
	if err := os.Symlink(d.socket(), staged); err != nil {
		t.Error(err)
	}
	if err := os.Rename(staged, h.socket); err != nil {
		t.Error(err)
	}
}

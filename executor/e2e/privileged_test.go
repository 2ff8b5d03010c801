package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httputil"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// privileged is the settings of a runner whose jobs are privileged. A host that has been denied CAP_SYS_RESOURCE, as some virtual machines are, cannot
// run such a container: runc wants all capabilities for it. There, one gets what privileges the host has to give.
func privileged(t *testing.T) string {
	t.Helper()
	const settings = "privileged = true\n"
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	bounding := regexp.MustCompile(`CapBnd:\s*([0-9a-f]+)`).FindSubmatch(status)
	if bounding == nil {
		t.Fatalf("/proc/self/status has no CapBnd:\n%s", status)
	}
	if set, err := strconv.ParseUint(string(bounding[1]), 16, 64); err != nil || set&(1<<unix.CAP_SYS_RESOURCE) != 0 {
		return settings
	}
	daemon, address := newFaultyDocker(t)
	forward := daemon.proxy.Rewrite
	daemon.proxy.Rewrite = func(r *httputil.ProxyRequest) {
		forward(r)
		if strings.HasSuffix(r.In.URL.Path, "/containers/create") {
			privilege(t, r)
		}
	}
	return settings + fmt.Sprintf("host = %q\n", address)
}

// privilege changes the making of a privileged container to one that has all else.
func privilege(t *testing.T, r *httputil.ProxyRequest) {
	var made container.CreateRequest
	err := json.NewDecoder(r.In.Body).Decode(&made)
	if err != nil {
		t.Error(err)
		return
	}
	if h := made.HostConfig; h.Privileged {
		h.Privileged, h.CapAdd, h.CapDrop = false, []string{"ALL"}, []string{"SYS_RESOURCE"}
		h.SecurityOpt = slices.Concat(h.SecurityOpt, []string{"seccomp=unconfined", "apparmor=unconfined"})
		h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{}
	}
	body, err := json.Marshal(made)
	if err != nil {
		t.Error(err)
		return
	}
	r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

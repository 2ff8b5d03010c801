//go:build faults

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
)

func TestFaultADaemonOfTheTestsIsItselfAndLeavesNothing(t *testing.T) {
	t.Parallel()
	machine := func() string {
		out, err := exec.Command("sh", "-c", "ip -br addr show docker0 | awk '{ print $1, $3, $4 }'; docker network ls -q --filter driver=bridge --filter name=bridge").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	before := machine()
	for _, how := range []struct {
		name string
		end  func(d *daemon)
	}{
		{"running", func(*daemon) {}},
		{"killed", (*daemon).kill},
		{"crashed", (*daemon).crash},
		{"frozen", (*daemon).freeze},
		{"restarted", func(d *daemon) { d.kill(); d.mend() }},
	} {
		faulttest.Progress(t, "%s", how.name)
		d := newDaemon(t)
		d.sh("docker -H unix://%s run -d --network $(docker -H unix://%[1]s network create x) %s sleep 1000", d.socket(), busybox)
		how.end(d)
		d.close() // tells what is left
		if len(d.left()) > 0 {
			t.Errorf("%s: left: %s", how.name, strings.Join(d.left(), "\n"))
		}
	}
	if after := machine(); after != before {
		t.Errorf("the machine's own Docker was\n%s\nand is\n%s", before, after)
	}
}

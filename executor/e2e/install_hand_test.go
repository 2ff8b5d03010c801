//go:build install

package e2e

import (
	"strings"
	"testing"
)

func TestInstallingByHand(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	d.outside(`mkdir "$1/src"; tar -C ../.. -c bin/gitlab-go-executor scripts packaging config.example.toml monitoring docs README.md | tar -x -C "$1/src"`, d.root)
	said := d.sh("/src/scripts/install.sh --prefix /opt/ci")
	for _, text := range []string{"next: look through /etc/gitlab-go-executor/config.toml", "/opt/ci/share/gitlab-go-executor/register.sh", "/opt/ci/bin/gitlab-go-executor doctor"} {
		if !strings.Contains(said, text) {
			t.Errorf("install.sh does not say %q:\n%s", text, said)
		}
	}
	d.eventually("the service runs", func() bool { return d.serving() != 0 })

	const settings = "[stats]\nlisten_address = \"\"\n"
	d.write("etc/gitlab-go-executor/config.toml", settings, 0o600)
	before, old := d.files(), d.serving()
	d.sh("cd /opt; /src/scripts/install.sh --prefix /opt/ci ../src/bin/gitlab-go-executor")
	if changed := d.since(before); changed != "" {
		t.Errorf("the second installation changed:\n%s", changed)
	}
	d.eventually("the service runs", func() bool { return d.serving() != 0 })
	if d.serving() == old || d.read("etc/gitlab-go-executor/config.toml") != settings {
		t.Error("the service was not restarted, or the settings were changed")
	}
	d.sh("/opt/ci/bin/gitlab-go-executor version; man=/opt/ci/share/man/man1; [ -e $man/gitlab-go-executor.1 ]; [ ! -e $man/gitlab-go-executor-inside.1 ]; systemctl stop " + serviceUnit)
}

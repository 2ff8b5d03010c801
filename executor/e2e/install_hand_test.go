//go:build install

package e2e

import (
	"slices"
	"strings"
	"testing"
)

func TestInstallingByHand(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	d.outside(`mkdir "$1/src"; tar -C ../.. -c bin/gitlab-go-executor scripts packaging config.example.toml monitoring docs README.md | tar -x -C "$1/src"`, d.root)
	fresh := d.files()
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
	d.sh("/opt/ci/bin/gitlab-go-executor version; man=/opt/ci/share/man/man1; [ -e $man/gitlab-go-executor.1 ]; [ ! -e $man/gitlab-go-executor-inside.1 ]")

	d.sh("/src/scripts/install.sh --prefix /opt/ci --uninstall")
	if d.serving() != 0 {
		t.Error("the service runs on")
	}
	var left []string
	for file := range strings.Lines(d.since(fresh)) {
		if file = strings.TrimSpace(file); !strings.HasPrefix(file, "+/opt/ci") { // whose folders may have been there before
			left = append(left, file)
		}
	}
	if want := []string{"+/etc/gitlab-go-executor", "+/etc/gitlab-go-executor/config.toml", "+/var/lib/gitlab-go-executor"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
	if files := d.sh("find /opt/ci -type f"); files != "" {
		t.Errorf("left are\n%s", files)
	}
}

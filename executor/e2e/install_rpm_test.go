//go:build install

package e2e

import (
	"strings"
	"testing"
)

// The root is a Debian's, with the tools of rpm: what is shown is what the package has and what its scripts do, not what they meet on a Fedora.
func TestAnRPMFromInstallationToRemoval(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	s := &site{debian: d}
	first, second := s.packed("1.0.0", "rpm"), s.packed("1.1.0", "rpm")
	d.sh("apt-get install -qq --no-install-recommends rpm mount squashfs-tools")
	// What Fedora has, and Debian has not.
	d.sh("mkdir -p /usr/share/zsh/site-functions /usr/share/fish/vendor_completions.d /etc/systemd/system-preset; echo 'disable *' >/etc/systemd/system-preset/99-default.preset")
	before := d.files()

	if needs := d.sh("rpm -qp --requires " + first); !strings.Contains(needs, "squashfs-tools >= 4.5\n") || !strings.Contains(needs, "util-linux\n") {
		t.Errorf("the package requires:\n%s", needs)
	}
	if flags := d.sh("rpm -qp --qf '[%{FILEFLAGS:fflags} %{FILENAMES}\\n]' " + first); !strings.Contains(flags, "cn /etc/gitlab-go-executor/config.toml\n") {
		t.Errorf("an upgrade might replace the settings:\n%s", flags)
	}
	d.sh("rpm -i --nodeps " + first)
	d.sh("rpm -V --nodeps gitlab-go-executor")
	if got := d.sh("gitlab-go-executor version"); !strings.HasPrefix(got, "gitlab-go-executor v1.0.0 (") {
		t.Errorf("version: %s", got)
	}
	if d.serving() != 0 {
		t.Error("the service was started, which is up to the presets")
	}

	const settings = "[stats]\nlisten_address = \"\"\n"
	d.write("etc/gitlab-go-executor/config.toml", settings, 0o600)
	d.sh("systemctl enable --now " + serviceUnit)
	d.eventually("the service runs", func() bool { return d.serving() != 0 })
	old := d.serving()
	d.sh("rpm -U --nodeps " + second)
	d.eventually("the service runs", func() bool { return d.serving() != 0 })
	if now := d.serving(); now == old {
		t.Error("the service was not restarted")
	}
	if got := d.read("etc/gitlab-go-executor/config.toml"); got != settings {
		t.Errorf("the settings were changed:\n%s", got)
	}

	said := d.sh("mkdir -p /var/lib/gitlab-go-executor; rpm -e gitlab-go-executor")
	if d.serving() != 0 {
		t.Error("the service still runs")
	}
	if !strings.Contains(said, "stay in /var/lib/gitlab-go-executor") {
		t.Errorf("removal does not say what stays:\n%s", said)
	}
	const want = "+/etc/gitlab-go-executor\n+/etc/gitlab-go-executor/config.toml.rpmsave\n+/var/lib/gitlab-go-executor"
	if changed := d.since(before); changed != want {
		t.Errorf("what is left:\n%s\nwant:\n%s", changed, want)
	}
}

package e2e

import (
	"slices"
	"strings"
)

// inStanza replaces a text in the Runner's config.toml.
func inStanza(old, changed string) func(p *patient) {
	return func(p *patient) {
		p.Helper()
		old, changed := p.here(old), p.here(changed)
		if !strings.Contains(p.runner, old) {
			p.Fatalf("the stanza has no %s", old)
		}
		p.runner = strings.ReplaceAll(p.runner, old, changed)
	}
}

// asInREADME is the remedy of all that is wrong with a stanza.
func asInREADME(p *patient) { p.runner = p.stanza() }

// runs has a Runner run by the time that the doctor comes.
func (p *patient) runs(command string) string {
	return p.here("rm -f DIR/runs\n" + command + " &\nwhile [ ! -e DIR/runs ]; do sleep 0.02; done")
}

var brokenRunners = map[string]brokenHost{
	"the stanza lacks a stage": {
		func(p *patient) {
			lines := strings.Split(p.runner, "\n")
			p.runner = strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "cleanup_") }), "\n")
		},
		finding{"runner config", "wrong", `runner "one" has no cleanup_exec`, `write in [runners.custom]: cleanup_exec = "`},
		asInREADME,
	},
	"a stage is called as another one": {
		inStanza(`"prepare"]`, `"config"]`),
		finding{"runner config", "wrong", `prepare_args = `, `write in [runners.custom]: prepare_exec = "`},
		asInREADME,
	},
	"no stanza calls this program": {
		func(p *patient) { p.runner = "[[runners]]\nname = \"two\"\nexecutor = \"docker\"\n" },
		finding{"runner config", "wrong", "calls this program", "import-config"},
		asInREADME,
	},
	"a docker runner could become one of this program": {
		func(p *patient) { p.runner += "[[runners]]\nname = \"two\"\nexecutor = \"docker\"\n" },
		finding{"runner config", "ok", `import-config --runner "two" makes it one of this program`, ""},
		nil,
	},
	"there is no config.toml": {
		func(p *patient) { p.runner = "" },
		finding{"runner config", "wrong", "calls this program", "register one with --executor custom"},
		asInREADME,
	},
	"a relative path to the settings": {
		inStanza(`"DIR/settings.toml", "run"`, `"settings.toml", "run"`),
		finding{"runner config", "wrong", "--config is no absolute path", `"--config", "`},
		asInREADME,
	},
	"other settings": {
		inStanza(`DIR/settings.toml`, `/etc/other.toml`),
		finding{"runner config", "warning", `reads the settings /etc/other.toml`, "doctor --config /etc/other.toml"},
		asInREADME,
	},
	"the program is not there": {
		inStanza(`run_exec = "BIN"`, `run_exec = "/nowhere/gitlab-go-executor"`),
		finding{"runner config", "wrong", `run_exec = "/nowhere/gitlab-go-executor" does not exist`, "sudo install "},
		asInREADME,
	},
	"another version": {
		func(p *patient) {
			p.tool("gitlab-go-executor", "echo 'gitlab-go-executor v0.0.1 (go1.26.8, linux/amd64)'")
			p.runner = strings.ReplaceAll(p.runner, executorBin, p.path("bin/gitlab-go-executor"))
		},
		finding{"runner config", "warning", "is version v0.0.1", "sudo install "},
		asInREADME,
	},
	"no safe_directory_checkout": {
		inStanza("safe_directory_checkout = true\n", ""),
		finding{"runner config", "warning", "no safe_directory_checkout", "write in [[runners]]: safe_directory_checkout = true"},
		asInREADME,
	},
	"canceled jobs hold their place": {
		inStanza("graceful_kill_timeout = 60\n", ""),
		finding{"runner config", "warning", "graceful_kill_timeout is 10m0s", "graceful_kill_timeout = 60"},
		asInREADME,
	},
	"GitLab Runner is too old": {
		func(p *patient) { p.tool("gitlab-runner", "echo 'Version:      16.5.0'") },
		finding{"runner version", "wrong", "GitLab Runner 16.5.0 is too old", "install a newer GitLab Runner"},
		func(p *patient) { p.tool("gitlab-runner", "echo 'Version:      17.9.0'") },
	},
	"GitLab Runner passes on no exit codes": {
		func(p *patient) { p.tool("gitlab-runner", "echo 'Version:      17.8.4'") },
		finding{"runner version", "warning", "passes on no exit codes", "install a newer GitLab Runner"},
		func(p *patient) { p.tool("gitlab-runner", "echo 'Version:      17.9.0'") },
	},
	"GitLab Runner is in a mount namespace of its own": {
		func(p *patient) {
			p.unshare = ownNamespaces
			p.script = p.runs("unshare --mount gitlab-runner run")
		},
		finding{"runner process", "wrong", "is in a mount namespace of its own", "remove PrivateMounts"},
		func(p *patient) { p.script = p.runs("gitlab-runner run") },
	},
	"GitLab Runner does not run": {
		func(p *patient) { p.unshare = ownNamespaces },
		finding{"runner process", "warning", "GitLab Runner does not run here", "systemctl start gitlab-runner"},
		func(p *patient) { p.script = p.runs("gitlab-runner run") },
	},
}

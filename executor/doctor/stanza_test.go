package doctor

import (
	"strings"
	"testing"
	"time"
)

// judge judges a config.toml for a host where the README was followed.
func judge(t *testing.T, text string) []Finding {
	t.Helper()
	all, err := readStanzas([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	j := &judging{
		Options: Options{
			Config: "/etc/gge/config.toml", DefaultConfig: "/etc/gge/config.toml", RunnerConfig: "/etc/gitlab-runner/config.toml",
			Program: "/usr/local/bin/gitlab-go-executor", Version: "v2",
		},
		stop: 30 * time.Second,
		look: func(path string) program {
			p, there := map[string]program{
				"/usr/local/bin/gitlab-go-executor": {same: true}, "/opt/link": {same: true}, "/opt/gitlab-go-executor-copy": {version: "v2"},
				"/opt/gitlab-go-executor": {version: "v1"}, "/opt/gitlab-go-executor-broken": {}, "/opt/other": {},
			}[path]
			if !there {
				p.problem = "does not exist"
			}
			return p
		},
	}
	return j.stanzas(all)
}

// readme is the README's stanza.
const readme = `concurrent = 4
[[runners]]
  name = "one"
  executor = "custom"
  safe_directory_checkout = true
  [runners.custom_build_dir]
    enabled = true
  [runners.custom]
    config_exec = "/usr/local/bin/gitlab-go-executor"
    config_args = ["config"]
    prepare_exec = "/usr/local/bin/gitlab-go-executor"
    prepare_args = ["prepare"]
    run_exec = "/usr/local/bin/gitlab-go-executor"
    run_args = ["run"]
    cleanup_exec = "/usr/local/bin/gitlab-go-executor"
    cleanup_args = ["cleanup"]
    graceful_kill_timeout = 60
    force_kill_timeout = 10
`

func TestAStanzaThatIsNotTheREADMEsIsToldWhatToWrite(t *testing.T) {
	t.Parallel()
	const program = "/usr/local/bin/gitlab-go-executor"
	for name, c := range map[string]struct {
		change  []string // pairs of texts
		state   State
		finding string
		remedy  string
	}{
		"the README's":         {nil, OK, `runner "one" calls this program with /etc/gge/config.toml`, ""},
		"a link to it":         {[]string{program, "/opt/link"}, OK, "calls this program", ""},
		"a copy of it":         {[]string{program, "/opt/gitlab-go-executor-copy"}, OK, "calls this program", ""},
		"the same file, named": {[]string{`["run"]`, `["--config", "/etc/gge/config.toml", "run"]`}, OK, "calls this program", ""},
		"another version":      {[]string{program, "/opt/gitlab-go-executor"}, Warning, `is version v1, and this is v2`, "sudo install /usr/local/bin/gitlab-go-executor /opt/gitlab-go-executor"},
		"one that is broken":   {[]string{program, "/opt/gitlab-go-executor-broken"}, Wrong, "not a gitlab-go-executor that tells its version", `config_exec = "/usr/local/bin/gitlab-go-executor"`},
		"two programs":         {[]string{`run_exec = "` + program, `run_exec = "/opt/gitlab-go-executor`}, Wrong, "calls several programs", "write one path"},
		"no path":              {[]string{program, "gitlab-go-executor"}, Wrong, "no absolute path", "config_exec = \"/usr/local/bin/gitlab-go-executor\""},
		"a missing program":    {[]string{program, "/nowhere/gitlab-go-executor"}, Wrong, `config_exec = "/nowhere/gitlab-go-executor" does not exist`, "sudo install"},
		"a missing stage":      {[]string{"cleanup_exec = ", "# "}, Wrong, "has no cleanup_exec", `cleanup_exec = "/usr/local/bin/gitlab-go-executor" and cleanup_args = ["cleanup"]`},
		"no arguments":         {[]string{"run_args = ", "# "}, Wrong, `run_args = []`, `run_args = ["run"]`},
		"another stage":        {[]string{`["run"]`, `["cleanup"]`}, Wrong, `run_args = ["cleanup"]`, `run_args = ["run"]`},
		"two stages":           {[]string{`["run"]`, `["run", "cleanup"]`}, Wrong, `have to be "run"`, `run_args = ["run"]`},
		"a relative file":      {[]string{`["run"]`, `["--config", "gge.toml", "run"]`}, Wrong, "no absolute path", `run_args = ["run"]`},
		"several files":        {[]string{`["run"]`, `["--config=/b.toml", "run"]`}, Wrong, "different settings: /b.toml and /etc/gge/config.toml", "one file in all four"},
		"another file": {
			[]string{`["config"]`, `["--config=/b.toml", "config"]`, `["prepare"]`, `["--config", "/b.toml", "prepare"]`, `["run"]`, `["--config=/b.toml", "run"]`, `["cleanup"]`, `["--config=/b.toml", "cleanup"]`},
			Warning, "reads the settings /b.toml", "doctor --config /b.toml",
		},
		"unsafe checkouts":   {[]string{"safe_directory_checkout = true", ""}, Warning, "safe_directory_checkout", "safe_directory_checkout = true"},
		"no build directory": {[]string{"enabled = true", ""}, Warning, "custom_build_dir", "enabled = true"},
		"one that is off":    {[]string{"enabled = true", "enabled = false"}, OK, "calls this program", ""},
		"endless patience":   {[]string{"graceful_kill_timeout = 60", ""}, Warning, "graceful_kill_timeout is 10m0s", "graceful_kill_timeout = 60"},
		"no patience":        {[]string{"graceful_kill_timeout = 60", "graceful_kill_timeout = 5"}, Warning, "graceful_kill_timeout is 5s, and stopping a job's containers takes up to 30s", "graceful_kill_timeout = 30"},
		"builds elsewhere":   {[]string{`executor = "custom"`, "executor = \"custom\"\nbuilds_dir = \"builds\""}, Warning, `builds_dir = "builds" has no effect`, "remove it"},
		"another shell":      {[]string{`executor = "custom"`, "executor = \"custom\"\nshell = \"pwsh\""}, Warning, `shell = "pwsh" has no effect`, "remove it"},
		"none of ours":       {[]string{program, "/opt/other"}, Wrong, "no [[runners]] in /etc/gitlab-runner/config.toml calls this program", "import-config"},
		"no custom executor": {[]string{`executor = "custom"`, `executor = "shell"`}, Wrong, "no [[runners]]", "--executor custom"},
	} {
		found := judge(t, strings.NewReplacer(c.change...).Replace(readme))
		matches := 0
		for _, f := range found {
			if f.State == c.state && strings.Contains(f.Finding, c.finding) && strings.Contains(f.Remedy, c.remedy) {
				matches++
			}
			if (f.State == OK) != (f.Remedy == "") {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if faults, warnings := Count(found); matches != 1 || c.state == OK && faults+warnings > 0 {
			t.Errorf("%s: %d findings are %s %q (%s):\n%+v", name, matches, c.state, c.finding, c.remedy, found)
		}
	}
}

func TestEveryStanzaOfAFileIsJudged(t *testing.T) {
	t.Parallel()
	second := strings.NewReplacer("concurrent = 4", "", `"one"`, `"two"`, `["run"]`, `["cleanup"]`).Replace(readme)
	found := judge(t, readme+second+"[[runners]]\nname = \"three\"\nexecutor = \"docker\"\n[[runners]]\nexecutor = \"kubernetes\"\n")
	if len(found) != 4 || found[0].State != OK || found[1].State != Wrong || !strings.Contains(found[1].Finding, `runner "two"`) ||
		!strings.Contains(found[2].Finding, `import-config --runner "three"`) || !strings.Contains(found[3].Finding, "kubernetes") {
		t.Errorf("%+v", found)
	}
}

func TestAFileThatIsNoTOMLIsToldWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\n[[runners]]\ntoken = hunter2", "runners = \"hunter2\"", "[[runners]]\nname = [\"hunter2\"]"} {
		if _, err := readStanzas([]byte(text)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

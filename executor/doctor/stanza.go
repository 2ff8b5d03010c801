package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stanza is what concerns us of one [[runners]] in GitLab Runner's config.toml (RunnerConfig in common/config.go of GitLab Runner, whose
// package needs modules that are not on every proxy).
type stanza struct {
	Name           string `toml:"name"`
	Executor       string `toml:"executor"`
	BuildsDir      string `toml:"builds_dir"`
	CacheDir       string `toml:"cache_dir"`
	Shell          string `toml:"shell"`
	SafeDirectory  bool   `toml:"safe_directory_checkout"`
	CustomBuildDir struct {
		Enabled *bool `toml:"enabled"`
	} `toml:"custom_build_dir"`
	Custom struct {
		ConfigExec  string   `toml:"config_exec"`
		ConfigArgs  []string `toml:"config_args"`
		PrepareExec string   `toml:"prepare_exec"`
		PrepareArgs []string `toml:"prepare_args"`
		RunExec     string   `toml:"run_exec"`
		RunArgs     []string `toml:"run_args"`
		CleanupExec string   `toml:"cleanup_exec"`
		CleanupArgs []string `toml:"cleanup_args"`
		Graceful    *int     `toml:"graceful_kill_timeout"`
	} `toml:"custom"`
}

// stageCall is how a stanza calls a stage.
type stageCall struct {
	stage, exec string
	args        []string
}

func (s *stanza) calls() []stageCall {
	c := &s.Custom
	return []stageCall{{"config", c.ConfigExec, c.ConfigArgs}, {"prepare", c.PrepareExec, c.PrepareArgs}, {"run", c.RunExec, c.RunArgs}, {"cleanup", c.CleanupExec, c.CleanupArgs}}
}

// program is what a path of a stanza leads to.
type program struct {
	problem string // why nothing can be started; empty if it can
	same    bool   // it is this very program
	version string // of another one; empty if it does not tell one of ours
}

// judging is what a stanza is compared with.
type judging struct {
	Options
	look func(path string) program
	stop time.Duration // what stopping a container may take; 0 is not known
	name string        // of the runner, for findings
}

// binary is what our program is called.
const binary = "gitlab-go-executor"

// ours says whether a stanza calls this program, or means to.
func (j *judging) ours(s *stanza) bool {
	return slices.ContainsFunc(s.calls(), func(c stageCall) bool {
		return strings.HasPrefix(filepath.Base(c.exec), binary) || c.exec != "" && j.look(c.exec).same
	})
}

// stanzas judges all of a config.toml.
func (j *judging) stanzas(all []stanza) []Finding {
	var found []Finding
	mine := 0
	for _, s := range all {
		j.name = fmt.Sprintf("runner %q", s.Name)
		switch {
		case s.Executor == "custom" && j.ours(&s):
			mine++
			found = append(found, j.stanza(&s)...)
		case s.Executor == "docker":
			found = append(found, ok("%s is of the docker executor; gitlab-go-executor import-config --runner %q makes it one of this program", j.name, s.Name))
		default:
			found = append(found, ok("%s is of another executor (%s)", j.name, s.Executor))
		}
	}
	if mine == 0 {
		found = append(found, wrong("register one with --executor custom and complete it as the README says, or let gitlab-go-executor import-config make it of one of the docker executor",
			"no [[runners]] in %s calls this program", j.RunnerConfig))
	}
	return found
}

// stanza judges one that calls this program.
func (j *judging) stanza(s *stanza) []Finding {
	found := slices.Concat(j.programs(s), j.arguments(s), j.keys(s))
	if len(found) == 0 {
		return []Finding{ok("%s calls this program with %s", j.name, j.Config)}
	}
	return found
}

// programs judges the _exec keys.
func (j *judging) programs(s *stanza) []Finding {
	var found []Finding
	for _, c := range s.calls() {
		if c.exec == "" {
			found = append(found, wrong(j.line(c), "%s has no %s_exec in [runners.custom]", j.name, c.stage))
		}
	}
	seen := map[string]bool{}
	for _, c := range s.calls() {
		if c.exec == "" || seen[c.exec] {
			continue
		}
		seen[c.exec] = true
		found = append(found, j.program(c)...)
	}
	if len(seen) > 1 {
		found = append(found, wrong("write one path, such as "+j.Program+", in all four", "%s calls several programs in [runners.custom]: %s", j.name, list(sorted(seen))))
	}
	return found
}

func (j *judging) program(c stageCall) []Finding {
	key := fmt.Sprintf("%s: %s_exec = %q", j.name, c.stage, c.exec)
	if !filepath.IsAbs(c.exec) {
		return []Finding{wrong(j.line(c), "%s is no absolute path, and is looked for in GitLab Runner's own PATH", key)}
	}
	switch p := j.look(c.exec); {
	case p.problem != "":
		return []Finding{wrong(fmt.Sprintf("sudo install %s %s, or correct the path", j.Program, c.exec), "%s %s", key, p.problem)}
	case p.same:
		return nil
	case p.version == "":
		return []Finding{wrong(j.line(c), "%s is not a gitlab-go-executor that tells its version", key)}
	case p.version != j.Version:
		return []Finding{warning(fmt.Sprintf("sudo install %s %s, or run the doctor of that one: %s doctor", j.Program, c.exec, c.exec),
			"%s is version %s, and this is %s (%s)", key, p.version, j.Version, j.Program)}
	}
	return nil // a copy
}

// line is how a stage is to be called.
func (j *judging) line(c stageCall) string {
	args := fmt.Sprintf("[%q]", c.stage)
	if j.Config != j.DefaultConfig {
		args = fmt.Sprintf("[%q, %q, %q]", "--config", j.Config, c.stage)
	}
	return fmt.Sprintf("write in [runners.custom]: %s_exec = %q and %s_args = %s", c.stage, j.Program, c.stage, args)
}

// arguments judges the _args keys.
func (j *judging) arguments(s *stanza) []Finding {
	var found []Finding
	configs := map[string]bool{}
	for _, c := range s.calls() {
		if c.exec == "" {
			continue // said already
		}
		config, rest := j.split(c.args)
		key := fmt.Sprintf("%s: %s_args = %q", j.name, c.stage, c.args)
		switch {
		case len(rest) != 1 || rest[0] != c.stage:
			found = append(found, wrong(j.line(c), "%s have to be %q, with --config FILE before it if need be", key, c.stage))
		case !filepath.IsAbs(config):
			found = append(found, wrong(j.line(c), "%s: --config is no absolute path, and GitLab Runner starts the program in a folder of each job's", key))
		default:
			configs[config] = true
		}
	}
	if len(configs) > 1 {
		found = append(found, wrong("name one file in all four", "%s has stages that read different settings: %s", j.name, list(sorted(configs))))
	} else if len(configs) == 1 && !configs[j.Config] {
		other := sorted(configs)[0]
		found = append(found, warning("run gitlab-go-executor doctor --config "+other, "%s reads the settings %s, and these findings are about %s", j.name, other, j.Config))
	}
	return found
}

// split takes the settings file out of a call's arguments.
func (j *judging) split(args []string) (config string, rest []string) {
	config = j.DefaultConfig
	for i := 0; i < len(args); i++ {
		value, joined := strings.CutPrefix(args[i], "--config=")
		switch {
		case joined:
			config = value
		case args[i] == "--config" && i+1 < len(args):
			i++
			config = args[i]
		default:
			rest = append(rest, args[i])
		}
	}
	return config, rest
}

// gracefulDefault is what GitLab Runner takes for graceful_kill_timeout by itself (GracefulTimeout in helpers/process/killer.go), and
// abandoned after how long it goes on to cleanup whatever still runs (WaitForBuildFinishTimeout in common/consts.go).
const (
	gracefulDefault = 10 * time.Minute
	abandoned       = 5 * time.Minute
)

// keys judges what else is in a stanza.
func (j *judging) keys(s *stanza) []Finding {
	var found []Finding
	if !s.SafeDirectory {
		found = append(found, warning("write in [[runners]]: safe_directory_checkout = true", "%s has no safe_directory_checkout: git refuses checkouts in jobs of other users than root", j.name))
	}
	if s.CustomBuildDir.Enabled == nil {
		found = append(found, warning("write below [[runners]]: [runners.custom_build_dir] and enabled = true", "%s has no [runners.custom_build_dir]: jobs with GIT_CLONE_PATH fail, other than with the docker executor", j.name))
	}
	graceful := gracefulDefault
	if s.Custom.Graceful != nil && *s.Custom.Graceful > 0 {
		graceful = time.Duration(*s.Custom.Graceful) * time.Second
	}
	switch {
	case graceful < j.stop:
		found = append(found, warning(fmt.Sprintf("write in [runners.custom]: graceful_kill_timeout = %d", int(j.stop.Seconds())),
			"%s: graceful_kill_timeout is %s, and stopping a job's containers takes up to %s (docker.stop_timeout): processes of canceled jobs may be left behind", j.name, graceful, j.stop))
	case graceful > abandoned:
		found = append(found, warning("write in [runners.custom]: graceful_kill_timeout = 60", "%s: graceful_kill_timeout is %s: so long a canceled job may hold its place", j.name, graceful))
	}
	for _, idle := range []struct{ key, value string }{{"builds_dir", s.BuildsDir}, {"cache_dir", s.CacheDir}, {"shell", s.Shell}} {
		if idle.value != "" {
			found = append(found, warning("remove it from [[runners]]", "%s: %s = %q has no effect with this program: in the containers it is /builds, /cache and bash or sh", j.name, idle.key, idle.value))
		}
	}
	return found
}

func sorted(names map[string]bool) []string {
	var all []string
	for name := range names {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

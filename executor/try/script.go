package try

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The stages that try runs, in Runner's order (common/build.go, executeScript).
const (
	stageConfig       = "config"
	stagePrepare      = "prepare"
	stagePrepareFiles = "prepare_script"
	stageSources      = "get_sources"
	stageScript       = "build_script"
	stageAfter        = "after_script"
	stageCleanFiles   = "cleanup_file_variables"
	stageCleanup      = "cleanup"
)

const (
	green = "\x1b[32;1m"
	plain = "\x1b[0;m"
)

// quote makes a text one word of a shell, of any POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// script is a stage's script in the making.
type script struct{ body strings.Builder }

func (s *script) line(words ...string) { s.body.WriteString(strings.Join(words, " ") + "\n") }

// command is a line of which every word is taken as it is.
func (s *script) command(words ...string) {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	s.line(quoted...)
}

// notice prints a green line. printf, for echo takes backslashes for escapes in some shells.
func (s *script) notice(text string) { s.line("printf", `'%s\n'`, quote(green+text+plain)) }

// export gives the job's variables to what follows.
func (s *script) export(values map[string]string) {
	for _, name := range sorted(values) {
		if shellName.MatchString(name) {
			s.line("export", name+"="+quote(values[name]))
		}
	}
}

// commands are the user's, each shown before it runs; of a longer one the first line (shells/abstract.go, writeCommands).
func (s *script) commands(lines []string) {
	for _, command := range lines {
		command = strings.TrimSpace(command)
		first, _, more := strings.Cut(command, "\n")
		switch {
		case command == "":
			s.line("echo")
		case more:
			s.notice("$ " + first + " # collapsed multi-line command")
		default:
			s.notice("$ " + command)
		}
		s.line(command)
	}
}

// String is the script as Runner would have written it (shells/bash.go, Finish): the shell reads it from standard input,
// so the body is one quoted text, and what the body calls reads nothing.
func (s *script) String() string {
	return "#!/usr/bin/env bash\n\n" +
		"trap 'exit 1' TERM\n\n" +
		"case \"$(set -o)\" in *\"pipefail\"*) set -o pipefail;; esac; set -o errexit\n" +
		"set +o noclobber\n" +
		"(trap 'exit 1' TERM; eval " + quote(s.body.String()) + ") < /dev/null\n" +
		"exit 0\n"
}

// stageText writes the script of a stage. The values are the job's variables, expanded.
func (p *plan) stageText(stage, projectDir string, values map[string]string) (string, error) {
	var s script
	s.export(values)
	temp := projectDir + ".tmp" // Runner's folder beside the checkout
	switch stage {
	case stagePrepareFiles:
		s.line(`printf 'Running on %s...\n' "$(hostname 2>/dev/null || cat /etc/hostname)"`)
		s.command("rm", "-f", temp+"/gitlab_runner_env", temp+"/masking.db")
	case stageSources:
		if err := p.sources(&s, projectDir, values); err != nil {
			return "", err
		}
	case stageScript:
		s.command("cd", projectDir)
		s.commands(p.spec.Script)
	case stageAfter:
		s.notice("Running after script...")
		s.command("cd", projectDir)
		s.commands(p.spec.AfterScript)
	case stageCleanFiles:
		s.command("rm", "-rf", temp)
	}
	return s.String(), nil
}

// sources brings the checkout to the commit, and uses again what is there of an earlier job (shells/abstract.go,
// writeRefspecFetchCmd and writeCheckoutCmd).
func (p *plan) sources(s *script, projectDir string, values map[string]string) error {
	depth, err := fetchDepth(values)
	if err != nil {
		return err
	}
	// git refuses a repository of another user unless the user's own settings name it, and this stage may be any user.
	home := projectDir + ".tmp/home"
	s.command("mkdir", "-p", home)
	s.line("export", "HOME="+quote(home))
	s.line("printf", `'[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = none\n'`, ">", quote(home+"/.gitconfig"))
	switch strategy := values["GIT_STRATEGY"]; strategy {
	case "none":
		s.notice("Skipping Git repository setup")
		s.command("mkdir", "-p", projectDir)
		return nil
	case "clone":
		s.command("rm", "-rf", projectDir)
	case "", "fetch":
	default:
		return fmt.Errorf("GIT_STRATEGY is %q, want fetch, clone or none here", strategy)
	}
	p.fetch(s, projectDir, depth)
	s.notice(fmt.Sprintf("Checking out %s as detached HEAD (ref is %s)...", p.source.sha[:8], p.source.ref))
	s.command("git", "-c", "submodule.recurse=false", "checkout", "-f", "-q", p.source.sha)
	if flags := values["GIT_CLEAN_FLAGS"]; flags != "none" {
		if flags == "" {
			flags = "-ffdx"
		}
		s.command(append([]string{"git", "clean"}, strings.Fields(flags)...)...)
	}
	s.notice("Skipping Git submodules setup")
	return nil
}

// fetch gets the commit into the checkout.
func (p *plan) fetch(s *script, projectDir string, depth int) {
	start := []string{"git", "init", "-q", "--template="}
	if p.source.objectFormat == "sha256" {
		start = append(start, "--object-format=sha256")
	}
	s.command(append(start, projectDir)...)
	s.command("cd", projectDir)
	// What a job that was killed has left (shells/abstract.go, writeGitCleanup).
	s.command("rm", "-f", ".git/index.lock", ".git/shallow.lock", ".git/HEAD.lock", ".git/config.lock", ".git/hooks/post-checkout")
	url := quote(p.source.url())
	s.line("git remote add origin", url, "2>/dev/null || git remote set-url origin", url)
	fetch := []string{"git", "fetch", "-q", "--force", "--no-recurse-submodules", "--update-shallow", bareInJob}
	if depth < allCommits {
		s.notice(fmt.Sprintf("Fetching changes with git depth set to %d...", depth))
	} else {
		s.notice("Fetching changes...")
	}
	s.command(append(append(fetch, "--depth", strconv.Itoa(depth)), p.refspecs(depth)...)...)
}

// refspecs are what GitLab sends with a job: of a shallow one its ref, of another one everything.
func (p *plan) refspecs(depth int) []string {
	specs := []string{"+" + builtRef + ":" + builtRef}
	switch {
	case depth == allCommits:
		specs = append(specs, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
	case p.source.refType == "tag":
		specs = append(specs, "+refs/tags/"+p.source.ref+":refs/tags/"+p.source.ref)
	}
	return specs
}

// allCommits is the depth that git takes for no limit, also in a checkout that an earlier job has made shallow.
const allCommits = 1<<31 - 1

// fetchDepth is how many commits are fetched: GitLab's own number for new projects, if the job says nothing.
func fetchDepth(values map[string]string) (int, error) {
	text := values["GIT_DEPTH"]
	if text == "" {
		return 20, nil
	}
	depth, err := strconv.Atoi(text)
	switch {
	case err != nil || depth < 0:
		return 0, fmt.Errorf("GIT_DEPTH is %q, want a number of commits, 0 for all of them", text)
	case depth == 0:
		return allCommits, nil
	}
	return depth, nil
}

// sorted gives the keys of a map in order.
func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

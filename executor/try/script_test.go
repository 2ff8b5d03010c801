package try

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/try/ci"
)

// shells are those of common images that this host has too.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, command := range [][]string{{"bash"}, {"dash"}, {"busybox", "sh"}, {"sh"}} {
		if _, err := exec.LookPath(command[0]); err == nil {
			found[strings.Join(command, " ")] = command
		}
	}
	return found
}

// play gives a script to a shell on standard input, as the stages do.
func play(t *testing.T, shell []string, dir, text string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell[0], shell[1:]...)
	cmd.Stdin, cmd.Dir = strings.NewReader(text), dir
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

func TestScriptsDoInEveryShellWhatRunnersDo(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		script []string
		values map[string]string
		want   string
		code   int
	}{
		"each command is shown, then run": {
			script: []string{"echo one", "echo two"},
			want:   "\x1b[32;1m$ echo one\x1b[0;m\none\n\x1b[32;1m$ echo two\x1b[0;m\ntwo\n",
		},
		"the first failure ends it, with its code": {
			script: []string{"(exit 42)", "echo no"}, want: "\x1b[32;1m$ (exit 42)\x1b[0;m\n", code: 42,
		},
		"exit ends it": {script: []string{"exit 3", "echo no"}, want: "\x1b[32;1m$ exit 3\x1b[0;m\n", code: 3},
		"exit 0 too":   {script: []string{"exit 0", "echo no"}, want: "\x1b[32;1m$ exit 0\x1b[0;m\n"},
		"a long command shows its first line": {
			script: []string{"if true; then\n  echo 'in'\nfi\n"},
			want:   "\x1b[32;1m$ if true; then # collapsed multi-line command\x1b[0;m\nin\n",
		},
		"quotes, backslashes and dollars come through": {
			script: []string{`printf '%s\n' "it's" 'a\nb' "$V"`},
			values: map[string]string{"V": "a'b\"c$(date)`date`\\n\nnext line"},
			want:   "\x1b[32;1m$ printf '%s\\n' \"it's\" 'a\\nb' \"$V\"\x1b[0;m\nit's\na\\nb\na'b\"c$(date)`date`\\n\nnext line\n",
		},
		"nobody eats the rest of the script": {
			script: []string{"cat", "echo still here"},
			want:   "\x1b[32;1m$ cat\x1b[0;m\n\x1b[32;1m$ echo still here\x1b[0;m\nstill here\n",
		},
		"variables are for child processes, and cd stays": {
			script: []string{"mkdir sub", "cd sub", `sh -c 'echo $V in ${PWD##*/}'`}, values: map[string]string{"V": "seen"},
			want: "\x1b[32;1m$ mkdir sub\x1b[0;m\n\x1b[32;1m$ cd sub\x1b[0;m\n\x1b[32;1m$ sh -c 'echo $V in ${PWD##*/}'\x1b[0;m\nseen in sub\n",
		},
		"a name that no shell can export is left out": {script: []string{"true"}, values: map[string]string{"A-B": "c"}, want: "\x1b[32;1m$ true\x1b[0;m\n"},
	}
	for shell, command := range shells(t) {
		for name, c := range cases {
			t.Run(shell+": "+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				p := &plan{spec: &ci.Job{Script: c.script}}
				text, err := p.stageText(stageScript, dir, c.values)
				if err != nil {
					t.Fatal(err)
				}
				if got, code := play(t, command, dir, text); got != c.want || code != c.code {
					t.Errorf("exit code %d, output %q\nwant %d, %q", code, got, c.code, c.want)
				}
			})
		}
	}
}

func TestAFailureInAPipeIsAFailureWhereTheShellKnowsPipefail(t *testing.T) {
	t.Parallel()
	p := &plan{spec: &ci.Job{Script: []string{"false | true", "echo on"}}}
	text, err := p.stageText(stageScript, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, code := play(t, []string{"bash"}, "/", text); code != 1 {
		t.Errorf("bash: exit code %d, output %q", code, out)
	}
}

// checkout runs get_sources in a folder of this host, as if the repository were mounted.
func checkout(t *testing.T, shell []string, s *source, dir string, values map[string]string) (string, int) {
	t.Helper()
	p := &plan{source: s, spec: &ci.Job{}}
	text, err := p.stageText(stageSources, dir, values)
	if err != nil {
		t.Fatal(err)
	}
	return play(t, shell, "/", strings.ReplaceAll(text, bareInJob, s.bare))
}

func TestSourcesAreFetchedOnceAndThenBroughtUpToDate(t *testing.T) {
	t.Parallel()
	for shell, command := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			repo := newRepo(t, map[string]string{"a.txt": "one"})
			first := copied(t, repo, "HEAD")
			dir := filepath.Join(t.TempDir(), "builds", "group", "name")
			if out, code := checkout(t, command, first, dir, nil); code != 0 {
				t.Fatalf("the first time: exit code %d\n%s", code, out)
			}
			write(t, filepath.Join(dir, "left.txt"), "by an earlier job")
			write(t, filepath.Join(dir, "a.txt"), "changed by an earlier job")
			write(t, filepath.Join(dir, ".git", "index.lock"), "of a job that was killed")
			before := inode(t, filepath.Join(dir, ".git"))

			commit(t, repo, map[string]string{"b.txt": "two"})
			if out, code := checkout(t, command, copied(t, repo, "HEAD"), dir, nil); code != 0 {
				t.Fatalf("the second time: exit code %d\n%s", code, out)
			}
			if got := tree(t, dir); got != "a.txt=one b.txt=two" {
				t.Errorf("the checkout holds %s", got)
			}
			if inode(t, filepath.Join(dir, ".git")) != before {
				t.Error("the checkout was made anew")
			}
			if out, code := checkout(t, command, first, dir, map[string]string{"GIT_DEPTH": "0", "GIT_STRATEGY": "clone"}); code != 0 || tree(t, dir) != "a.txt=one" {
				t.Errorf("a clone: exit code %d, holds %s\n%s", code, tree(t, dir), out)
			}
		})
	}
}

func TestTheJobsGitVariablesAreObeyed(t *testing.T) {
	t.Parallel()
	repo := newRepo(t, map[string]string{"1": "1"})
	gitIn(t, repo, "tag", "v1")
	for n := 2; n <= 25; n++ {
		commit(t, repo, map[string]string{"1": fmt.Sprint(n)})
	}
	s := copied(t, repo, "HEAD")
	dir := filepath.Join(t.TempDir(), "name")
	commits := func() string { return gitIn(t, dir, "rev-list", "--count", "HEAD") }
	for _, c := range []struct{ name, depth, commits, tags string }{
		{"as new projects have it", "", "20", ""},
		{"a number", "3", "3", ""},
		{"everything, over a shallow checkout", "0", "25", "v1"},
		{"everything once more", "0", "25", "v1"},
	} {
		if out, code := checkout(t, []string{"sh"}, s, dir, map[string]string{"GIT_DEPTH": c.depth}); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", c.name, code, out)
		}
		if got, tags := commits(), gitIn(t, dir, "tag"); got != c.commits || tags != c.tags {
			t.Errorf("%s: %s commits and tags %q, want %s and %q", c.name, got, tags, c.commits, c.tags)
		}
	}
	write(t, filepath.Join(dir, "cache", "x"), "kept")
	if out, code := checkout(t, []string{"sh"}, s, dir, map[string]string{"GIT_CLEAN_FLAGS": "-ffdx -e cache/"}); code != 0 || !strings.Contains(tree(t, dir), "cache/x=kept") {
		t.Errorf("exit code %d, holds %s\n%s", code, tree(t, dir), out)
	}
	none := filepath.Join(t.TempDir(), "none")
	if out, code := checkout(t, []string{"sh"}, s, none, map[string]string{"GIT_STRATEGY": "none"}); code != 0 || tree(t, none) != "" {
		t.Errorf("exit code %d, holds %s\n%s", code, tree(t, none), out)
	}
}

func TestGitVariablesThatCannotBeObeyedAreReportedBeforeARun(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]string{
		"GIT_DEPTH=many":     `GIT_DEPTH is "many", want a number`,
		"GIT_STRATEGY=empty": `GIT_STRATEGY is "empty", want fetch, clone or none`,
	} {
		key, value, _ := strings.Cut(values, "=")
		p := testPlan(&ci.Job{Image: runner.Image{Name: "x"}})
		p.given.set(key, value)
		if err := p.check(""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", values, err)
		}
	}
}

func TestTheFilesOfAStageGoAtTheEnd(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "name")
	write(t, filepath.Join(dir+".tmp", "masking.db"), "x")
	p := &plan{spec: &ci.Job{}}
	for stage, gone := range map[string]string{stagePrepareFiles: dir + ".tmp/masking.db", stageCleanFiles: dir + ".tmp"} {
		text, err := p.stageText(stage, dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if out, code := play(t, []string{"sh"}, "/", text); code != 0 {
			t.Errorf("%s: exit code %d\n%s", stage, code, out)
		} else if _, err := os.Stat(gone); !os.IsNotExist(err) {
			t.Errorf("%s: %s is still there", stage, gone)
		}
	}
}

// tree lists the files of a checkout with their contents.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == ".git" {
				return filepath.SkipDir
			}
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files = append(files, name+"="+string(bytes.TrimSpace(data)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(files, " ")
}

package try

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommitIsFoundHoweverTheRepositoryIsGiven(t *testing.T) {
	t.Parallel()
	repo := newRepo(t, map[string]string{"sub/a.txt": "one", "run.sh": "x"})
	first := gitIn(t, repo, "rev-parse", "HEAD")
	gitIn(t, repo, "tag", "-a", "-m", "one", "v1")
	gitIn(t, repo, "branch", "feature/x")
	second := commit(t, repo, map[string]string{"b.txt": "two"})
	gitIn(t, repo, "remote", "add", "origin", "git@gitlab.com:group/sub/app.git")
	bare := filepath.Join(t.TempDir(), "bare.git")
	gitIn(t, "", "clone", "-q", "--bare", repo, bare)
	worktree := filepath.Join(t.TempDir(), "tree")
	gitIn(t, repo, "worktree", "add", "-q", "--detach", worktree, first)
	lone := commit(t, worktree, map[string]string{"lone.txt": "on no branch"})
	shallow := filepath.Join(t.TempDir(), "shallow")
	gitIn(t, "", "clone", "-q", "--depth=1", "file://"+repo, shallow)
	borrowing := filepath.Join(t.TempDir(), "borrowing")
	gitIn(t, "", "clone", "-q", "--shared", repo, borrowing)

	for name, c := range map[string]struct{ repo, ref, sha, refName, refType, project string }{
		"the folder":                       {repo, "HEAD", second, "main", "branch", "group/sub/app"},
		"a folder below it":                {filepath.Join(repo, "sub"), "HEAD", second, "main", "branch", "group/sub/app"},
		"its .git":                         {filepath.Join(repo, ".git"), "HEAD", second, "main", "branch", "group/sub/app"},
		"a branch":                         {repo, "feature/x", first, "feature/x", "branch", "group/sub/app"},
		"a tag":                            {repo, "v1", first, "v1", "tag", "group/sub/app"},
		"a commit":                         {repo, first, first, "main", "branch", "group/sub/app"},
		"the commit before":                {repo, "HEAD~1", first, "main", "branch", "group/sub/app"},
		"a bare repository":                {bare, "HEAD", second, "main", "branch", ""},
		"a linked work tree, on no branch": {worktree, "HEAD", lone, "HEAD", "branch", "group/sub/app"},
		"a shallow one":                    {shallow, "HEAD", second, "main", "branch", ""},
		"one that borrows its objects":     {borrowing, "HEAD", second, "main", "branch", ""},
		"a URL":                            {"file://" + repo, "HEAD", second, "main", "branch", ""},
		"a tag at a URL":                   {"file://" + repo, "v1", first, "v1", "tag", ""},
		"another branch's remote":          {borrowing, "origin/feature/x", first, "feature/x", "branch", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := copied(t, c.repo, c.ref)
			if s.sha != c.sha || s.ref != c.refName || s.refType != c.refType || (c.project != "" && s.project != c.project) {
				t.Errorf("%s, %s %s of %s; want %s, %s %s of %s", s.sha, s.refType, s.ref, s.project, c.sha, c.refType, c.refName, c.project)
			}
			if s.dirty {
				t.Error("called dirty")
			}
			if s.projectID <= 0 || s.title != "Change files" || s.message != "Change files\n\nAnd say why." || s.author != "Ada <ada@example.com>" {
				t.Errorf("described as %+v", s)
			}
			dir := filepath.Join(t.TempDir(), "checkout")
			if out, code := checkout(t, []string{"sh"}, s, dir, nil); code != 0 || gitIn(t, dir, "rev-parse", "HEAD") != c.sha {
				t.Errorf("cannot be checked out: exit code %d\n%s", code, out)
			}
		})
	}
}

func TestARepositoryInSHA256(t *testing.T) {
	t.Parallel()
	repo := filepath.Join(t.TempDir(), "app")
	gitIn(t, "", "init", "-q", "-b", "main", "--object-format=sha256", repo)
	sha := commit(t, repo, map[string]string{"a": "b"})
	s := copied(t, repo, "HEAD")
	dir := filepath.Join(t.TempDir(), "checkout")
	if out, code := checkout(t, []string{"sh"}, s, dir, nil); s.sha != sha || code != 0 {
		t.Errorf("%s, exit code %d\n%s", s.sha, code, out)
	}
}

func TestARepositoryThatCannotBeTriedIsExplained(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	gitIn(t, "", "init", "-q", empty)
	repo := newRepo(t, map[string]string{"a": "b"})
	for name, c := range map[string]struct{ repo, ref, want string }{
		"no repository":           {t.TempDir(), "HEAD", "is not in a git repository: give the folder of one, or its URL"},
		"no commits":              {empty, "HEAD", "has no commits yet: commit something first"},
		"no commits at a URL":     {"file://" + empty, "HEAD", "has no commits yet"},
		"nothing there":           {filepath.Join(repo, "none"), "HEAD", "is neither a folder on this host nor a URL"},
		"a file":                  {filepath.Join(repo, "a"), "HEAD", "is a file: give the folder"},
		"no such branch":          {repo, "nowhere", "--ref nowhere: "},
		"no such branch at a URL": {"file://" + repo, "nowhere", "has no such branch, tag or commit"},
		"an option for a ref":     {repo, "--all", `--ref "--all": want a branch`},
		"a URL with nothing":      {"file:///nowhere/at/all.git", "HEAD", "the repository cannot be fetched: git clone:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := copySource(context.Background(), c.repo, c.ref, filepath.Join(t.TempDir(), "repo.git"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAWorkTreeWithChangesIsNoticedAndLeftAlone(t *testing.T) {
	t.Parallel()
	repo := newRepo(t, map[string]string{"a": "b"})
	write(t, filepath.Join(repo, "new"), "x")
	// A repository may name a command that git status runs: one that is only looked at must not run it.
	gitIn(t, repo, "config", "core.fsmonitor", "touch "+filepath.Join(repo, "..", "ran")+"; false")
	if s := copied(t, repo, "HEAD"); !s.dirty {
		t.Error("not called dirty")
	}
	if _, err := os.Stat(filepath.Join(repo, "..", "ran")); err == nil {
		t.Error("the repository's file watcher ran")
	}
}

func TestTheJobFileIsThatOfTheCommit(t *testing.T) {
	t.Parallel()
	repo := newRepo(t, map[string]string{"a": "b"})
	commit(t, repo, map[string]string{".gitlab-ci.yml": "test: {script: x}\n"})
	write(t, filepath.Join(repo, ".gitlab-ci.yml"), "not committed")
	if text, err := copied(t, repo, "HEAD").jobFile(context.Background()); err != nil || string(text) != "test: {script: x}" {
		t.Errorf("%q, %v", text, err)
	}
	_, err := copied(t, repo, "HEAD~1").jobFile(context.Background())
	if err == nil || !strings.Contains(err.Error(), "there is no .gitlab-ci.yml at commit") || !strings.Contains(err.Error(), "--image") {
		t.Error(err)
	}
}

func TestAProjectIsCalledAfterItsAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ place, origin, want string }{
		{"/src/app", "", "try/app"},
		{"/src/app", "git@gitlab.com:group/app.git", "group/app"},
		{"/src/app", "ssh://git@host:2222/group/sub/app.git", "group/sub/app"},
		{"/src/app", "https://user:secret@host/group/app.git/", "group/app"},
		{"/src/app", "https://host/app.git", "try/app"},
		{"/src/my app", "", "try/my-app"},
		{"/srv/git/app.git", "", "try/app"},
		{"/src/app/.git", "", "try/app"},
		{"/src/app", "../../etc/passwd", "etc/passwd"},
		{"/src/app", "https://host/a/../../b", "a/b"},
		{"/", "", "try/project"},
	} {
		var s source
		s.identify(c.place, c.origin)
		if s.project != c.want {
			t.Errorf("%s from %s is called %s, want %s", c.place, c.origin, s.project, c.want)
		}
	}
	var one, same, other source
	one.identify("/src/app", "x")
	same.identify("/src/app", "y")
	other.identify("/src/app2", "x")
	if one.projectID != same.projectID || one.projectID == other.projectID {
		t.Errorf("numbers %d, %d, %d", one.projectID, same.projectID, other.projectID)
	}
}

func TestWhatGitTakesForAnAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"https://host/x.git": true, "git@host:x/y": true, "host:x": true, "file:///x": true,
		".": false, "/a:b": false, "./a:b": false, "-u:x": false, ":x": false, "app": false,
	} {
		if isURL(text) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}

func TestAHooksSurroundingsDoNotMisleadGit(t *testing.T) {
	t.Parallel()
	got := strings.Join(gitEnvironment([]string{"GIT_DIR=/x", "GIT_INDEX_FILE=y", "HOME=/h", "GIT_SSL_CAINFO=/c"}), " ")
	if got != "HOME=/h GIT_SSL_CAINFO=/c GIT_TERMINAL_PROMPT=0 LC_ALL=C" {
		t.Error(got)
	}
}

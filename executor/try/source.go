package try

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/try/ci"
)

// source is the commit to build, in a bare repository of our own that the containers may see.
type source struct {
	bare          string // the repository's folder on this host
	project       string // group/name
	projectID     int64
	sha           string
	ref, refType  string // refType is branch or tag, as in the payload
	defaultBranch string
	objectFormat  string // sha1 or sha256
	title         string
	message       string
	author        string
	timestamp     string
	dirty         bool // the work tree has changes that are in no commit
}

// builtRef names the commit in the bare repository: not every git lets a bare hash be fetched.
const builtRef = "refs/try/head"

// host is the GitLab that the jobs of a try seem to come from.
const host = "localhost"

// url is the repository's address in the payload. Nothing is fetched from there: jobs are told apart by it.
func (s *source) url() string { return "http://" + host + "/" + s.project + ".git" }

// copySource finds the repository and the commit, and makes the copy in the folder bare.
func copySource(ctx context.Context, repo, ref, bare string) (*source, error) {
	if ref == "" || strings.HasPrefix(ref, "-") {
		return nil, fmt.Errorf("--ref %q: want a branch, a tag or a commit", ref)
	}
	s := &source{bare: bare}
	info, err := os.Stat(repo)
	switch {
	case err == nil && !info.IsDir():
		return nil, fmt.Errorf("%s is a file: give the folder of a git repository, or its URL", repo)
	case err == nil:
		if repo, err = filepath.Abs(repo); err == nil { // for the messages: "." tells nobody anything
			err = s.copyLocal(ctx, repo, ref)
		}
	case isURL(repo):
		err = s.copyRemote(ctx, repo, ref)
	default:
		return nil, fmt.Errorf("%s is neither a folder on this host nor a URL: give the folder of a git repository, or its URL", repo)
	}
	if err != nil {
		return nil, err
	}
	err = s.describe(ctx)
	return s, err
}

// copyLocal copies a repository on this host. No file is shared with it (--no-local): what it borrows from yet other
// folders would not be seen in a container.
func (s *source) copyLocal(ctx context.Context, dir, ref string) error {
	ask := func(args ...string) (string, error) { return git(ctx, askLimit, dir, args...) }
	top, err := ask("rev-parse", "--absolute-git-dir")
	if err != nil {
		return notRepository(dir, err)
	}
	if inside, err := ask("rev-parse", "--is-inside-work-tree"); err == nil && inside == "true" {
		if top, err = ask("rev-parse", "--show-toplevel"); err != nil {
			return err
		}
		// The file watcher that a repository's own settings name is a command that git status would run.
		changes, err := ask("-c", "core.fsmonitor=false", "status", "--porcelain")
		s.dirty = err == nil && changes != ""
	}
	if err := s.resolve(ask, dir, ref); err != nil {
		return err
	}
	if full, err := ask("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"); err == nil {
		s.defaultBranch = strings.TrimPrefix(full, "refs/remotes/origin/")
	}
	origin, _ := ask("config", "--get", "remote.origin.url") // a repository need not have one
	s.identify(top, origin)
	if _, err := git(ctx, cloneLimit, "", "clone", "--quiet", "--bare", "--template=", "--no-local", top, s.bare); err != nil {
		return err
	}
	if _, err := s.ask(ctx, "cat-file", "-e", s.sha+"^{commit}"); err == nil {
		return nil
	}
	// On no branch: a detached head, or a ref that clones leave out.
	_, err = git(ctx, cloneLimit, s.bare, "fetch", "--quiet", "--no-tags",
		"--upload-pack", "git -c uploadpack.allowAnySHA1InWant=true upload-pack", top, s.sha)
	return err
}

// copyRemote copies a repository from its URL.
func (s *source) copyRemote(ctx context.Context, url, ref string) error {
	if _, err := git(ctx, cloneLimit, "", "clone", "--quiet", "--bare", "--template=", "--", url, s.bare); err != nil {
		return fmt.Errorf("the repository cannot be fetched: %w", err)
	}
	s.identify(url, url)
	return s.resolve(func(args ...string) (string, error) { return s.ask(ctx, args...) }, url, ref)
}

// ask puts a question to the copy.
func (s *source) ask(ctx context.Context, args ...string) (string, error) {
	return git(ctx, askLimit, s.bare, args...)
}

// resolve finds the commit, and what the ref is called in the payload.
func (s *source) resolve(ask func(...string) (string, error), repo, ref string) (err error) {
	var failed *gitError
	if s.sha, err = ask("rev-parse", "--verify", "--quiet", ref+"^{commit}"); errors.As(err, &failed) {
		if _, err := ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}"); err != nil && ref == "HEAD" {
			return fmt.Errorf("%s has no commits yet: commit something first, for a job builds a commit", repo)
		}
		return fmt.Errorf("--ref %s: %s has no such branch, tag or commit (git branch --all and git tag list them)", ref, repo)
	}
	if err != nil {
		return err
	}
	head, _ := ask("rev-parse", "--symbolic-full-name", "HEAD")
	full, _ := ask("rev-parse", "--symbolic-full-name", ref) // says nothing of a commit that is given by its hash
	s.ref, s.refType = refName(full, head)
	s.defaultBranch, _ = refName(head, "")
	return nil
}

// describe fills in what the job may want to know of the commit.
func (s *source) describe(ctx context.Context) error {
	if _, err := s.ask(ctx, "update-ref", builtRef, s.sha); err != nil {
		return err
	}
	s.objectFormat = "sha1"
	if len(s.sha) == 64 {
		s.objectFormat = "sha256"
	}
	text, err := s.ask(ctx, "show", "--no-patch", "--format=%an <%ae>%n%cI%n%s%n%B", s.sha, "--")
	if err != nil {
		return err
	}
	parts := strings.SplitN(text, "\n", 4)
	for i, field := range []*string{&s.author, &s.timestamp, &s.title, &s.message} {
		if i < len(parts) {
			*field = parts[i]
		}
	}
	return nil
}

// jobFile reads .gitlab-ci.yml as the commit has it.
func (s *source) jobFile(ctx context.Context) ([]byte, error) {
	found, err := s.ask(ctx, "ls-tree", "--name-only", s.sha, "--", ci.File)
	if err != nil {
		return nil, err
	}
	if found == "" {
		return nil, fmt.Errorf("there is no %s at commit %s of %s: commit one, choose another commit with --ref, "+
			"or describe the job with --image IMAGE and --script LINE", ci.File, s.sha[:8], s.project)
	}
	text, err := s.ask(ctx, "show", s.sha+":"+ci.File)
	return []byte(text), err
}

// notRepository explains why git cannot work in a folder.
func notRepository(dir string, err error) error {
	var failed *gitError
	if !errors.As(err, &failed) {
		return err
	}
	if strings.Contains(failed.said, "not a git repository") {
		return fmt.Errorf("%s is not in a git repository: give the folder of one, or its URL", dir)
	}
	return fmt.Errorf("%s cannot be read as a git repository: %w", dir, err) // git says what to do about another owner
}

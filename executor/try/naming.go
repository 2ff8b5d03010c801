package try

import (
	"hash/fnv"
	"net/url"
	"path"
	"strings"
)

// isURL says whether git would take a text for an address: scheme://…, or host:path as with ssh.
func isURL(repo string) bool {
	if strings.Contains(repo, "://") {
		return true
	}
	before, _, found := strings.Cut(repo, ":")
	return found && before != "" && !strings.HasPrefix(repo, "-") && !strings.ContainsAny(before, `/\`)
}

// identify gives the repository its number and its name among projects. The number is the same for the same place, so
// that two tries with one --state-dir are two jobs of one project.
func (s *source) identify(place, origin string) {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(place)) // never fails
	s.projectID = int64(sum.Sum32()>>1) + 1
	s.project = projectPath(origin)
	if s.project == "" {
		s.project = projectPath("try/" + path.Base(strings.TrimSuffix(place, "/.git")))
	}
	if s.project == "" {
		s.project = "try/project"
	}
}

// projectPath makes group/name of an address; empty if that cannot be done.
func projectPath(address string) string {
	p := address
	if u, err := url.Parse(address); err == nil && u.Scheme != "" && strings.Contains(address, "://") {
		p = u.Path
	} else if isURL(address) {
		_, p, _ = strings.Cut(address, ":")
	}
	var elements []string
	for e := range strings.SplitSeq(strings.TrimSuffix(strings.Trim(p, "/"), ".git"), "/") {
		e = strings.Trim(strings.Map(pathRune, e), "-.")
		if e != "" {
			elements = append(elements, e)
		}
	}
	if len(elements) < 2 {
		return ""
	}
	return strings.Join(elements[max(0, len(elements)-4):], "/") // of a local path the end is enough
}

// pathRune keeps what GitLab allows in the paths of projects.
func pathRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r) {
		return r
	}
	return '-'
}

// refName turns the full name of a ref into the payload's words. What has no name of its own, a hash or HEAD~1, is
// an earlier state of the branch that is checked out.
func refName(full, head string) (name, refType string) {
	for _, f := range []string{full, head} {
		if tag, ok := strings.CutPrefix(f, "refs/tags/"); ok {
			return tag, "tag"
		}
		if branch, ok := strings.CutPrefix(f, "refs/heads/"); ok {
			return branch, "branch"
		}
		if remote, ok := strings.CutPrefix(f, "refs/remotes/"); ok {
			if _, branch, ok := strings.Cut(remote, "/"); ok && branch != "HEAD" {
				return branch, "branch"
			}
		}
	}
	return "HEAD", "branch" // detached
}

// slug makes a name fit for host names, as GitLab does for CI_COMMIT_REF_SLUG.
func slug(name string) string {
	s := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.Trim(s[:min(len(s), 63)], "-")
}

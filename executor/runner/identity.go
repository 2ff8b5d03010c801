package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Identity says who a job is. Every part is taken from the payload and safe as a single path element.
type Identity struct {
	Instance string // the GitLab it comes from: host, or host+port
	Project  string // the project's number
	Tier     string // trust tier: ProtectedTier, or one of the unprotected ref's own
	Job      string // the job's number
}

// ProtectedTier is the trust tier of protected branches and tags.
const ProtectedTier = "protected"

// String names the job for people.
func (i Identity) String() string { return i.Instance + "/" + i.Project + "/" + i.Job }

// Identity tells who the job is.
func (p *Payload) Identity() Identity {
	instance, _ := instanceOf(p.GitInfo.RepoURL) // checked by ParsePayload
	if p.Synthetic() {
		instance = noInstance
	}
	return Identity{
		Instance: instance,
		Project:  strconv.FormatInt(p.JobInfo.ProjectID, 10),
		Tier:     tier(p),
		Job:      strconv.FormatInt(p.ID, 10),
	}
}

// noInstance is where a synthetic job comes from. No host has such a name.
const noInstance = "+runner"

// instanceOf takes host and port out of a clone URL, joined by a +, which no host's name has: it is used as a folder's name. An
// IPv6 address has + for its colons too.
func instanceOf(repoURL string) (string, error) {
	u, err := url.Parse(repoURL)
	if err != nil {
		return "", errors.New("is not a URL") // the error would repeat the URL, which holds the job's token
	}
	if u.Host == "" {
		return "", fmt.Errorf("has no host (scheme %q), want https://<GitLab's host>/<project>.git", u.Scheme)
	}
	instance := strings.NewReplacer("[", "", "]", "", ":", "+").Replace(strings.ToLower(u.Host))
	if !instancePattern.MatchString(instance) || len(instance) > 200 {
		return "", fmt.Errorf("has the host %q, want letters, digits, dots, hyphens and underscores (an internationalised name in its ASCII form)", u.Host)
	}
	return instance, nil
}

var instancePattern = regexp.MustCompile(`^[a-z0-9_+][a-z0-9._+-]*$`)

// isProtected says whether GitLab vouches for the ref: what git_info.protected says; where it is null (Runner before
// 18.3), the first CI_COMMIT_REF_PROTECTED, since GitLab's own variables come before the job's; else not. A merge
// request is never protected, even when its pipeline calls itself so: what it runs has not been merged.
func isProtected(p *Payload) bool {
	if strings.HasPrefix(p.GitInfo.Ref, "refs/merge-requests/") {
		return false
	}
	if p.GitInfo.Protected != nil {
		return *p.GitInfo.Protected
	}
	for _, v := range p.Variables {
		if v.Key == "CI_COMMIT_REF_PROTECTED" {
			return v.Value == "true"
		}
	}
	return false
}

func tier(p *Payload) string {
	if isProtected(p) {
		return ProtectedTier
	}
	return TierOf(p.GitInfo.RefType, p.GitInfo.Ref)
}

// Types of refs in the payload. A merge request's ref (refs/merge-requests/5/head) is a branch.
const (
	Branch = "branch"
	Tag    = "tag"
)

// TierOf is the folder-safe name of an unprotected ref's trust tier. A ref is its type plus its name: a tag and a branch of one name
// are two. The hash makes the name unique, the slug makes it readable.
func TierOf(refType, ref string) string {
	sum := sha256.Sum256([]byte(refType + ":" + ref))
	slug := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, ref), "-.")
	return "ref-" + hex.EncodeToString(sum[:8]) + "-" + slug[:min(len(slug), 40)]
}

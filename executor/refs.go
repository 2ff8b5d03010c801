package executor

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// maxRefs bounds, in bytes, a list of refs: a million of them.
const maxRefs = 128 << 20

var (
	refLine      = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})\t(HEAD|refs/\S+)$`)
	mergeRequest = regexp.MustCompile(`^refs/merge-requests/[0-9]+/`)
)

// tiersOf gives the tiers of the refs that `git ls-remote URL` prints, and the protected one, which is no ref's own. A list without any branch is
// an error: it is not all that there is, and what is not in it is taken for gone.
func tiersOf(list io.Reader) (map[string]bool, error) {
	data, err := io.ReadAll(io.LimitReader(list, maxRefs+1))
	if err != nil {
		return nil, fmt.Errorf("the list of refs cannot be read: %w", err)
	}
	if len(data) > maxRefs {
		return nil, fmt.Errorf("the list of refs has more than %d bytes", maxRefs)
	}
	tiers := map[string]bool{runner.ProtectedTier: true}
	branches, number := 0, 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		found := refLine.FindStringSubmatch(line)
		if found == nil {
			return nil, fmt.Errorf("line %d of the list of refs, %.100q, is not <sha>, tab, <ref name>, as git ls-remote URL prints it", number, line)
		}
		name := found[1]
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok {
			tiers[runner.TierOf(runner.Branch, branch)] = true
			branches++
		} else if tag, ok := strings.CutPrefix(name, "refs/tags/"); ok {
			tiers[runner.TierOf(runner.Tag, tag)] = true
		} else {
			tiers[runner.TierOf(runner.Branch, name)] = true
		}
		if request := mergeRequest.FindString(name); request != "" {
			for _, which := range []string{"head", "merge", "train"} { // those that are not listed come and go with each pipeline
				tiers[runner.TierOf(runner.Branch, request+which)] = true
			}
		}
	}
	if branches == 0 {
		return nil, errors.New("the list of refs names no branch, so that it cannot be all of what git ls-remote URL prints; nothing was removed")
	}
	return tiers, nil
}

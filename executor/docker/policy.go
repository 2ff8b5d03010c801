package docker

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/distribution/reference"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// PullPolicies decides which policies apply to an image, in order: the job's where it names some, else the settings'.
// The job's are cut down to those allowed; without an allowed list the settings' own are the list (common/config.go,
// GetAllowedPullPolicies). key names the place in the job's definition for the error.
func PullPolicies(key string, job, configured, allowed []string) ([]string, error) {
	if len(allowed) == 0 {
		allowed = configured
	}
	wanted := configured
	if len(job) > 0 {
		wanted = job
	}
	var policies []string
	for _, p := range wanted {
		if slices.Contains(allowed, p) {
			policies = append(policies, p)
		}
	}
	if len(policies) == 0 {
		return nil, outcome.Job(outcome.PullPolicy, "%s: pull_policy %q is not allowed on this runner; allowed: %s",
			key, strings.Join(wanted, ", "), strings.Join(allowed, ", "))
	}
	return policies, nil
}

// CheckImage says whether a job may use an image: any where no list is set, otherwise one that matches a pattern of the
// list (the docker executor's doublestar globs), and always one that the administrator names in the settings.
func CheckImage(key, image string, allowed, always []string) error {
	if _, err := reference.ParseNormalizedNamed(image); err != nil && !isImageID(image) {
		return outcome.Job(outcome.BadDefinition, "%s: %q is not an image's name: %w; for example golang:1.26 or "+
			"registry.example.com/group/image@sha256:…", key, image, err)
	}
	if len(allowed) == 0 || slices.Contains(always, image) {
		return nil
	}
	for _, pattern := range allowed {
		if ok, err := doublestar.Match(pattern, image); ok && err == nil {
			return nil
		}
	}
	return outcome.Job(outcome.ImageNotAllowed, "%s: image %q is not allowed on this runner; allowed: %s",
		key, image, strings.Join(allowed, ", "))
}

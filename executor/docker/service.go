package docker

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// imageTag is what follows an image's name: a tag, a digest, or both. registryPort is the port of its registry.
var (
	imageTag     = regexp.MustCompile(`(:[^:/@]+)?(@[^/]+)?$`)
	registryPort = regexp.MustCompile(`^([^/]+):[0-9]+/`)
	notHostname  = regexp.MustCompile(`[^a-zA-Z0-9._-]`)
)

// ServiceAliases are the names under which a job reaches a service: two made of the image's name, as the docker executor
// makes them (executors/docker/services.go), and those that the job gives.
func ServiceAliases(image string, given []string) []string {
	name := registryPort.ReplaceAllString(imageTag.ReplaceAllString(image, ""), "$1/")
	aliases := []string{strings.ReplaceAll(name, "/", "__"), strings.ReplaceAll(name, "/", "-")}
	aliases = append(aliases, given...)
	var clean []string
	for _, a := range aliases {
		a = notHostname.ReplaceAllString(a, "-")
		if a != "" && !slices.Contains(clean, a) {
			clean = append(clean, a)
		}
	}
	return clean
}

// Service is a started service container.
type Service struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"` // for people: the image's name
	Aliases []string  `json:"aliases"`
	Shown   time.Time `json:"shown,omitzero"` // up to when the job log has the service's own
}

package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/distribution/reference"
)

func (r *report) socket(key, value string) {
	path, ok := strings.CutPrefix(value, "unix://")
	if !ok || !filepath.IsAbs(path) {
		r.add(key, value, "has to be the socket of a daemon on this host, such as unix:///var/run/docker.sock, since a remote daemon does not see this host's files")
	}
}

// image takes variables of the job in the name, as the docker executor does; what they make of it is seen when a job runs.
func (r *report) image(key, value string) {
	name := os.Expand(value, func(string) string { return "x" })
	if _, err := reference.ParseNormalizedNamed(name); err != nil {
		r.add(key, value, "not the name of an image (%v); use for example golang:1.26 or registry.example.com/group/image:tag", err)
	}
}

// glob refuses exclusions: neither GitLab Runner nor doublestar knows them, so ["**", "!*/kali*"] would look like a
// rule and allow everything.
func (r *report) glob(key, value string) {
	if strings.HasPrefix(value, "!") {
		r.add(key, value, "a pattern cannot exclude; list what is allowed")
		return
	}
	if value == "" || !doublestar.ValidatePattern(value) {
		r.add(key, value, "not a pattern; use for example registry.example.com/** or golang:*")
	}
}

// The parts of a volume, after GitLab Runner (executors/docker/internal/volumes/parser/linux_parser.go). Mode O, which
// only Podman knows, is left out.
var (
	volumeSource  = regexp.MustCompile(`^(/[^:*?"<>|\\\r\n]*|[a-zA-Z0-9][a-zA-Z0-9_.-]+)$`)
	volumeTarget  = regexp.MustCompile(`^/[^:*?"<>|\\\r\n]+$`)
	volumeOptions = []string{"ro", "rw", "z", "Z", "shared", "slave", "private", "rshared", "rslave", "rprivate"}
)

func (r *report) volume(key, value string) {
	if err := CheckVolume(value); err != nil {
		r.add(key, value, "%v", err)
	}
}

// CheckVolume says what is wrong with a volume.
func CheckVolume(value string) error {
	parts := strings.Split(value, ":")
	target, options := parts[0], ""
	if len(parts) > 1 {
		target = parts[1]
	}
	if len(parts) > 2 {
		options = parts[2]
	}
	unknown := func(option string) bool { return !slices.Contains(volumeOptions, option) }
	switch {
	case len(parts) > 3, !volumeTarget.MatchString(target), path.Clean(target) == "/", len(parts) > 1 && !volumeSource.MatchString(parts[0]):
		return errors.New(`not a volume; use "/path/on/host:/path/in/container", "name:/path/in/container" or "/path/in/container", the first two with ":ro" if jobs must not write`)
	case len(parts) > 2 && slices.ContainsFunc(strings.Split(options, ","), unknown):
		return fmt.Errorf("unknown volume option; allowed are %s, separated by commas", strings.Join(volumeOptions, ", "))
	case len(parts) > 1 && path.Clean(target) == "/builds":
		return errors.New("/builds holds the checkouts, one for each job that runs at a time, and cannot be another folder; they are below state_dir")
	}
	return nil
}

// extraHost takes Docker's host-gateway too, which stands for the address of the host.
func (r *report) extraHost(key, value string) {
	name, address, _ := strings.Cut(value, ":")
	_, err := netip.ParseAddr(strings.Trim(address, "[]"))
	if name == "" || strings.ContainsAny(name, " \t\r\n") || (err != nil && address != "host-gateway") {
		r.add(key, value, `not a host; use "name:address", such as "db.example.com:192.0.2.10" or "docker-host:host-gateway"`)
	}
}

func (r *report) address(key, value string) {
	if _, err := netip.ParseAddr(value); err != nil {
		r.add(key, value, "not an IP address; use for example 192.0.2.53")
	}
}

var userPattern = regexp.MustCompile(`^[^:\s]+(:[^:\s]+)?$`)

func (r *report) user(key, value string) {
	if !userPattern.MatchString(value) {
		r.add(key, value, `not a user; use a name or a number, with a group if need be: "1000", "ci" or "1000:1000"`)
	}
}

package settings

import (
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/distribution/reference"
	"github.com/docker/go-units"
	"github.com/sirupsen/logrus"
)

// smallestMemory is the least that Docker gives a container (linuxMinMemory in daemon/daemon_unix.go). With less,
// every job would fail.
const smallestMemory Bytes = 6 * units.MiB

// check reports values that have the right type and make no sense.
func (s *Settings) check(r *report) {
	r.absolute("state_dir", s.StateDir)
	r.positive("layer_idle", s.LayerIdle)
	s.Docker.check(r)
	s.Cache.check(r)
	r.oneOf("log.level", strings.ToLower(s.Log.Level), logLevels()...)
	r.oneOf("log.format", s.Log.Format, FormatText, FormatJSON)
	r.optional("log.file", s.Log.File, r.absolute)
}

// shortestKey is the length of a signing key, in characters, from which on it is not guessed even if these are only hexadecimal digits.
const shortestKey = 32

// check is that of the [cache] table.
func (c *Cache) check(r *report) {
	for i, kind := range c.Kinds {
		r.oneOf("cache.kinds", kind, KindModules, KindBuild)
		if slices.Contains(c.Kinds[:i], kind) {
			r.add("cache.kinds", kind, "each kind at most once")
		}
	}
	r.oneOf("cache.driver", c.Driver, DriverAuto, DriverImage, DriverCopy)
	r.positive("cache.restore_timeout", c.RestoreTimeout)
	r.positive("cache.save_timeout", c.SaveTimeout)
	if n := len(c.SigningKey); n > 0 && n < shortestKey {
		r.add("cache.signing_key", nil, "has %d characters; take at least %d, for example of openssl rand -hex 32", n, shortestKey)
	}
	r.optional("cache.directory.path", c.Directory.Path, r.absolute)
	if _, named := r.lines["cache.s3"]; !named && !c.Shared() {
		return
	}
	for _, p := range c.S3.Problems() {
		key := "cache.s3." + p.Key
		r.addAt(r.lines[key], key, p.Value, "%s", p.Reason)
	}
}

// check is that of the [docker] table.
func (d *Docker) check(r *report) {
	r.socket("docker.host", d.Host)
	r.optional("docker.image", d.Image, r.image)
	r.image("docker.helper_image", d.HelperImage)
	r.optional("docker.runner_binary", d.RunnerBinary, r.absolute)
	d.checkPullPolicies(r)
	r.each("docker.allowed_images", d.AllowedImages, r.glob)
	r.each("docker.allowed_services", d.AllowedServices, r.glob)
	if d.Memory != 0 && d.Memory < smallestMemory {
		r.add("docker.memory", d.Memory, "Docker refuses less than %q; leave the key out for no limit", smallestMemory)
	}
	r.atLeast("docker.pids_limit", d.PidsLimit, 0, "0 is no limit")
	r.each("docker.volumes", d.Volumes, r.volume)
	r.each("docker.extra_hosts", d.ExtraHosts, r.extraHost)
	r.each("docker.dns", d.DNS, r.address)
	r.optional("docker.user", d.User, r.user)
	r.atLeast("docker.wait_for_services_timeout", d.WaitForServicesTimeout, -1, "seconds; -1 is no wait, 0 is the default")
	r.positive("docker.pull_timeout", d.PullTimeout)
	r.positive("docker.start_timeout", d.StartTimeout)
	r.positive("docker.stop_timeout", d.StopTimeout)
}

// checkPullPolicies also compares the two keys: GitLab Runner uses only those of pull_policy that are allowed, so with
// none left every job that sets no policy of its own would fail.
func (d *Docker) checkPullPolicies(r *report) {
	policies := []string{PullAlways, PullIfNotPresent, PullNever}
	policy := func(key, value string) { r.oneOf(key, value, policies...) }
	before := len(r.found)
	r.each("docker.pull_policy", d.PullPolicy, policy)
	r.each("docker.allowed_pull_policies", d.AllowedPullPolicies, policy)
	if len(d.PullPolicy) == 0 {
		r.add("docker.pull_policy", nil, "an empty list; name at least one of %s", strings.Join(policies, ", "))
	}
	if len(r.found) > before {
		return
	}
	allowed := func(p string) bool { return slices.Contains(d.AllowedPullPolicies, p) }
	if len(d.AllowedPullPolicies) > 0 && !slices.ContainsFunc(d.PullPolicy, allowed) {
		r.add("docker.allowed_pull_policies", nil, "allows nothing of docker.pull_policy, which is %s; add one of these", strings.Join(d.PullPolicy, ", "))
	}
}

// optional applies a check unless the value is empty.
func (r *report) optional(key, value string, check func(key, value string)) {
	if value != "" {
		check(key, value)
	}
}

// each applies a check to every element of a list.
func (r *report) each(key string, values []string, check func(key, value string)) {
	for _, value := range values {
		check(key, value)
	}
}

func (r *report) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		r.add(key, value, "unknown value; allowed are %s", strings.Join(allowed, ", "))
	}
}

func (r *report) atLeast(key string, value, least int, meaning string) {
	if value < least {
		r.add(key, value, "too small; has to be %d or more (%s)", least, meaning)
	}
}

func (r *report) positive(key string, value Duration) {
	if value.Duration <= 0 {
		r.add(key, value, `has to be more than 0, for example "30s"`)
	}
}

// absolute refuses the root folder too: what is kept and removed there would be the host's own.
func (r *report) absolute(key, value string) {
	if !filepath.IsAbs(value) || filepath.Clean(value) == "/" || strings.ContainsRune(value, 0) {
		r.add(key, value, "has to be an absolute path below /, such as /var/lib/gitlab-go-executor")
	}
}

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
	case len(parts) > 3, !volumeTarget.MatchString(target), len(parts) > 1 && !volumeSource.MatchString(parts[0]):
		r.add(key, value, `not a volume; use "/path/on/host:/path/in/container", "name:/path/in/container" or "/path/in/container", the first two with ":ro" if jobs must not write`)
	case len(parts) > 2 && slices.ContainsFunc(strings.Split(options, ","), unknown):
		r.add(key, value, "unknown volume option; allowed are %s, separated by commas", strings.Join(volumeOptions, ", "))
	case len(parts) > 1 && path.Clean(target) == "/builds":
		r.add(key, value, "/builds holds the checkouts, one for each job that runs at a time, and cannot be another folder; they are below state_dir")
	}
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

// logLevels returns the names of logrus's levels, and warn, which it reads too.
func logLevels() []string {
	names := []string{"warn"}
	for _, level := range logrus.AllLevels {
		names = append(names, level.String())
	}
	slices.Sort(names)
	return names
}

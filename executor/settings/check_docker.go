package settings

import (
	"encoding/json"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/go-units"
)

// SmallestMemory is the least that Docker gives a container (linuxMinMemory in daemon/daemon_unix.go). With less,
// every job would fail.
const SmallestMemory Bytes = 6 * units.MiB

// check is that of the [docker] table.
func (d *Docker) check(r *report) {
	r.optional("docker.host", d.Host, r.socket)
	r.optional("docker.image", d.Image, r.image)
	r.image("docker.helper_image", d.HelperImage)
	r.optional("docker.helper_image_flavor", d.HelperImageFlavor, r.like(flavorPattern, "not a flavor; use for example ubuntu"))
	r.optional("docker.runner_binary", d.RunnerBinary, r.absolute)
	d.checkPullPolicies(r)
	r.each("docker.allowed_images", d.AllowedImages, r.glob)
	r.each("docker.allowed_services", d.AllowedServices, r.glob)
	d.checkUsers(r)
	d.checkPrivileges(r)
	d.checkNamespaces(r)
	d.checkLimits(r)
	d.checkFolders(r)
	d.checkNetwork(r)
	d.checkServices(r)
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

func (d *Docker) checkUsers(r *report) {
	r.optional("docker.user", d.User, r.user)
	r.each("docker.allowed_users", d.AllowedUsers, r.user)
	if !d.UserAllowed(d.User) {
		r.add("docker.allowed_users", nil, "does not allow docker.user, which is %s, so no job would run; add it, or leave out one of the two", d.User)
	}
	r.each("docker.group_add", d.GroupAdd, r.like(groupPattern, "not a group; use a name or a number"))
	r.optional("docker.hostname", d.Hostname, r.like(hostnamePattern, "not the name of a host; use letters, digits, dots, hyphens and underscores, 63 at most"))
	r.each("docker.container_labels", slices.Sorted(maps.Keys(d.ContainerLabels)), r.label)
	for _, key := range slices.Sorted(maps.Keys(d.LogOptions)) {
		r.oneOf("docker.log_options", key, "env", "labels")
	}
}

// label refuses those by which this program finds what it has to remove.
func (r *report) label(key, name string) {
	if name == "" || strings.HasPrefix(name, "gitlab-go-executor.") {
		r.add(key, name, "not the name of a label, or one of this program's own; use another one")
	}
}

func (d *Docker) checkPrivileges(r *report) {
	r.each("docker.allowed_privileged_images", d.AllowedPrivilegedImages, r.glob)
	r.each("docker.allowed_privileged_services", d.AllowedPrivilegedServices, r.glob)
	capability := r.like(capabilityPattern, "not a capability; use for example NET_ADMIN, or ALL")
	r.each("docker.cap_add", d.CapAdd, capability)
	r.each("docker.cap_drop", d.CapDrop, capability)
	r.each("docker.security_opt", d.SecurityOpt, r.securityOpt)
	r.each("docker.services_security_opt", d.ServicesSecurityOpt, r.securityOpt)
	r.devices("docker.devices", d.Devices)
	for _, pattern := range slices.Sorted(maps.Keys(d.ServicesDevices)) {
		r.glob("docker.services_devices", pattern)
		r.devices("docker.services_devices", d.ServicesDevices[pattern])
	}
	r.each("docker.device_cgroup_rules", d.DeviceCgroupRules, r.like(deviceRulePattern, `not a rule; use for example "c 81:* rmw"`))
	r.gpus("docker.gpus", d.GPUs)
	r.gpus("docker.service_gpus", d.ServiceGPUs)
}

func (d *Docker) checkNamespaces(r *report) {
	r.optional("docker.userns_mode", d.UsernsMode, func(key, value string) { r.oneOf(key, value, "host") })
	r.optional("docker.runtime", d.Runtime, r.like(namePattern, "not the name of a runtime; use one that docker info lists"))
	r.optional("docker.pid_mode", d.PidMode, r.like(pidPattern, `unknown value; allowed are host and container:NAME`))
	r.optional("docker.ipcmode", d.IPCMode, r.like(ipcPattern, `unknown value; allowed are private, shareable, host, none and container:NAME`))
	r.names("docker.sysctls", d.Sysctls, sysctlPattern, "not the name of a kernel parameter; use for example net.core.somaxconn")
}

// securityOpt reads the profile too: a container that is made later would be refused for it.
func (r *report) securityOpt(key, value string) {
	if value == "" || strings.ContainsAny(value, "\x00\r\n") {
		r.add(key, value, `not a security option; use for example "no-new-privileges"`)
		return
	}
	file, ok := SeccompFile(value)
	if !ok {
		return
	}
	data, err := os.ReadFile(file)
	switch {
	case !filepath.IsAbs(file):
		r.add(key, value, "the profile has to be the absolute path of a file, unconfined or builtin")
	case err != nil:
		r.add(key, value, "the profile cannot be read (%v); name a file of this host, unconfined or builtin", err)
	case !json.Valid(data):
		r.add(key, value, "the profile is not valid JSON")
	}
}

// SeccompFile is the file that a security option names for the seccomp profile, if it names one rather than holds the profile.
func SeccompFile(option string) (string, bool) {
	file, ok := strings.CutPrefix(option, "seccomp=")
	return file, ok && file != "unconfined" && file != "builtin" && !strings.HasPrefix(file, "{")
}

// The forms of what Docker takes.
var (
	flavorPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9.]*$`)
	namePattern       = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_./:-]*$`)
	groupPattern      = regexp.MustCompile(`^[^:\s]+$`)
	hostnamePattern   = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$`)
	capabilityPattern = regexp.MustCompile(`^[A-Za-z_]+$`)
	deviceRulePattern = regexp.MustCompile(`^[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}$`)
	pidPattern        = regexp.MustCompile(`^(host|container:[a-zA-Z0-9][a-zA-Z0-9_.-]*)$`)
	ipcPattern        = regexp.MustCompile(`^(private|shareable|host|none|container:[a-zA-Z0-9][a-zA-Z0-9_.-]*)$`)
	sysctlPattern     = regexp.MustCompile(`^[a-z0-9_-]+([./][a-zA-Z0-9_-]+)+$`)
	cpusetPattern     = regexp.MustCompile(`^\d+(-\d+)?(,\d+(-\d+)?)*$`)
	fromPattern       = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*(:(ro|rw))?$`)
	domainPattern     = regexp.MustCompile(`^(\.?|[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_.])?)$`)
	devicePattern     = regexp.MustCompile(`^/[^:]+(:/[^:]+(:[rwm]{1,3})?)?$`)
)

// checkLimits also compares limits that Docker compares.
func (d *Docker) checkLimits(r *report) {
	r.memory("docker.", d.Memory, d.MemorySwap, d.MemoryReservation)
	r.memory("docker.service_", d.ServiceMemory, d.ServiceMemorySwap, d.ServiceMemoryReservation)
	if d.MaxMemory != 0 && d.MaxMemory < max(d.Memory, SmallestMemory) {
		r.add("docker.max_memory", d.MaxMemory, "is less than docker.memory, or than the %q that Docker takes at least; raise it, or leave it out if jobs may not ask", SmallestMemory)
	}
	if d.MaxCPUs != 0 && d.MaxCPUs < d.CPUs {
		r.add("docker.max_cpus", d.MaxCPUs, "is less than docker.cpus, which is %q; raise it, or leave it out if jobs may not ask", d.CPUs)
	}
	cpuset := r.like(cpusetPattern, `not a list of numbers; use for example "0-3" or "0,2"`)
	r.optional("docker.cpuset_cpus", d.CPUSetCPUs, cpuset)
	r.optional("docker.cpuset_mems", d.CPUSetMems, cpuset)
	r.optional("docker.service_cpuset_cpus", d.ServiceCPUSetCPUs, cpuset)
	r.atLeast("docker.cpu_shares", d.CPUShares, 0, "0 is Docker's default")
	r.atLeast("docker.service_cpu_shares", d.ServiceCPUShares, 0, "0 is Docker's default")
	r.atLeast("docker.pids_limit", d.PidsLimit, 0, "0 is no limit")
	for _, name := range slices.Sorted(maps.Keys(d.Ulimit)) {
		if _, err := d.Ulimit[name].Parse(name); err != nil {
			r.add("docker.ulimit", name, `not a limit (%v); use for example nofile = "1024:4096"`, err)
		}
	}
	if d.OOMScoreAdjust < -1000 || d.OOMScoreAdjust > 1000 {
		r.add("docker.oom_score_adjust", d.OOMScoreAdjust, "out of range; has to be between -1000 and 1000")
	}
	parent := r.like(namePattern, "not the name of a cgroup")
	r.optional("docker.cgroup_parent", strings.TrimPrefix(d.CgroupParent, "/"), parent)
	r.optional("docker.service_cgroup_parent", strings.TrimPrefix(d.ServiceCgroupParent, "/"), parent)
}

// memory checks three limits that belong together, with the same prefix.
func (r *report) memory(prefix string, memory, swap, reservation Bytes) {
	if memory != 0 && memory < SmallestMemory {
		r.add(prefix+"memory", memory, "Docker refuses less than %q; leave the key out for no limit", SmallestMemory)
	}
	if swap != 0 && (memory == 0 || swap < memory) {
		r.add(prefix+"memory_swap", swap, "is memory and swap together, so it needs %smemory and has to be no less than that", prefix)
	}
	if reservation != 0 && (reservation < SmallestMemory || (memory != 0 && reservation > memory)) {
		r.add(prefix+"memory_reservation", reservation, "has to be between %q and %smemory", SmallestMemory, prefix)
	}
}

func (d *Docker) checkFolders(r *report) {
	r.each("docker.volumes", d.Volumes, r.volume)
	r.tmpfs("docker.tmpfs", d.Tmpfs)
	r.tmpfs("docker.services_tmpfs", d.ServicesTmpfs)
	r.optional("docker.cache_dir", d.CacheDir, r.absolute)
	r.optional("docker.volume_driver", d.VolumeDriver, r.like(namePattern, "not the name of a volume driver; use one that docker info lists"))
	r.each("docker.volumes_from", d.VolumesFrom, r.like(fromPattern, `not a container; use its name, with ":ro" or ":rw" if need be`))
}

func (d *Docker) checkNetwork(r *report) {
	r.each("docker.extra_hosts", d.ExtraHosts, r.extraHost)
	r.each("docker.dns", d.DNS, r.address)
	r.each("docker.dns_search", d.DNSSearch, r.like(domainPattern, "not a domain; use for example example.com, or an empty one for none at all"))
	if _, err := net.ParseMAC(d.MACAddress); d.MACAddress != "" && err != nil {
		r.add("docker.mac_address", d.MACAddress, "not a MAC address; use for example 92:d0:c6:0a:29:33")
	}
	if d.NetworkMTU != 0 && (d.NetworkMTU < 68 || d.NetworkMTU > 65535) {
		r.add("docker.network_mtu", d.NetworkMTU, "out of range; has to be between 68 and 65535, or 0 for Docker's default")
	}
}

// like makes a check that a value has a form.
func (r *report) like(form *regexp.Regexp, otherwise string) func(key, value string) {
	return func(key, value string) {
		if !form.MatchString(value) {
			r.add(key, value, "%s", otherwise)
		}
	}
}

// names checks the names in a table.
func (r *report) names(key string, of map[string]string, form *regexp.Regexp, otherwise string) {
	r.each(key, slices.Sorted(maps.Keys(of)), r.like(form, otherwise))
}

func (r *report) devices(key string, devices []Device) {
	for _, device := range devices {
		if !devicePattern.MatchString(string(device)) {
			r.add(key, string(device), `not a device; use "/dev/fuse", with another path and with permissions if need be: "/dev/sda:/dev/xvda:r"`)
		}
	}
}

func (r *report) gpus(key string, value GPUs) {
	if _, err := value.Parse(); value != "" && err != nil {
		r.add(key, string(value), `not a request for GPUs (%v); use for example "all" or "device=0"`, err)
	}
}

func (r *report) tmpfs(key string, mounts map[string]string) {
	for _, target := range slices.Sorted(maps.Keys(mounts)) {
		switch clean := filepath.Clean(target); {
		case !filepath.IsAbs(target) || clean == "/":
			r.add(key, target, "not a path below / in the container")
		case clean == "/builds":
			r.add(key, target, "/builds holds the checkouts; in memory, each of a job's containers would have another one")
		}
	}
}

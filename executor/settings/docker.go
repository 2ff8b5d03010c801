package settings

import (
	"runtime"
	"slices"
	"time"
)

// Docker says how the containers of a job are made. Where GitLab Runner has a key, its name and its meaning are the docker executor's.
type Docker struct {
	// Host is the socket of the Docker daemon; empty is Docker's own, as in GitLab's example of the section.
	Host string `toml:"host"`
	// Image runs jobs that name none; empty means that each job has to name one.
	Image string `toml:"image,omitempty"`
	// HelperImage runs GitLab Runner's own scripts: git, artifacts, caches.
	HelperImage string `toml:"helper_image"`
	// HelperImageFlavor chooses among GitLab's own helper images, where HelperImage names none.
	HelperImageFlavor string `toml:"helper_image_flavor,omitempty"`
	// RunnerBinary is a gitlab-runner on this host to mount into the helper container; empty means the image's own.
	RunnerBinary string `toml:"runner_binary,omitempty"`

	// PullPolicy is tried in order; a job's own pull_policy takes its place.
	PullPolicy StringOrList `toml:"pull_policy"`
	// AllowedPullPolicies are those that may be used; none means those of PullPolicy.
	AllowedPullPolicies []string `toml:"allowed_pull_policies,omitempty"`
	// AllowedImages are doublestar patterns of the images that jobs may name; none means any.
	AllowedImages []string `toml:"allowed_images,omitempty"`
	// AllowedServices is AllowedImages for services.
	AllowedServices []string `toml:"allowed_services,omitempty"`

	// User runs the job's scripts; empty means what the job says, or the image's user.
	User string `toml:"user,omitempty"`
	// AllowedUsers are the users that a job may choose; see UserAllowed.
	AllowedUsers []string `toml:"allowed_users,omitempty"`
	// GroupAdd are more groups of the job's user.
	GroupAdd []string `toml:"group_add,omitempty"`
	// DisableEntrypointOverwrite keeps the entrypoint of each image, whatever the job says.
	DisableEntrypointOverwrite bool `toml:"disable_entrypoint_overwrite,omitzero"`
	// Hostname is that of build and helper container; empty means one that is the same in each job of a slot.
	Hostname string `toml:"hostname,omitempty"`
	// ContainerLabels are put on every container; the values may refer to job variables.
	ContainerLabels map[string]string `toml:"container_labels,omitempty"`
	// LogOptions are env and labels of Docker's json-file; with some, what a job prints is kept by Docker too while its containers exist.
	LogOptions map[string]string `toml:"log_options,omitempty"`

	// Privileged gives the build container the whole host, where AllowedPrivilegedImages (none: any) match the job's image.
	Privileged              bool     `toml:"privileged,omitzero"`
	AllowedPrivilegedImages []string `toml:"allowed_privileged_images,omitempty"`
	// ServicesPrivileged is Privileged for services; nil means what Privileged says.
	ServicesPrivileged        *bool    `toml:"services_privileged,omitempty"`
	AllowedPrivilegedServices []string `toml:"allowed_privileged_services,omitempty"`
	// CapAdd and CapDrop change the capabilities of the build container.
	CapAdd  []string `toml:"cap_add,omitempty"`
	CapDrop []string `toml:"cap_drop,omitempty"`
	// SecurityOpt is for build and helper container, ServicesSecurityOpt for services. seccomp=<file> is read when a container is made.
	SecurityOpt         []string `toml:"security_opt,omitempty"`
	ServicesSecurityOpt []string `toml:"services_security_opt,omitempty"`
	// Devices of the host are the build container's, ServicesDevices those of services, by patterns of their images.
	Devices           []Device            `toml:"devices,omitempty"`
	DeviceCgroupRules []string            `toml:"device_cgroup_rules,omitempty"`
	ServicesDevices   map[string][]Device `toml:"services_devices,omitempty"`
	// GPUs are the build container's, ServiceGPUs each service's.
	GPUs        GPUs `toml:"gpus,omitempty"`
	ServiceGPUs GPUs `toml:"service_gpus,omitempty"`
	// UsernsMode, Runtime, PidMode and IPCMode are passed on to Docker; PidMode and IPCMode for the build container alone.
	UsernsMode string `toml:"userns_mode,omitempty"`
	Runtime    string `toml:"runtime,omitempty"`
	PidMode    string `toml:"pid_mode,omitempty"`
	IPCMode    string `toml:"ipcmode,omitempty"`
	// Sysctls are set in build and helper container.
	Sysctls map[string]string `toml:"sysctls,omitempty"`

	// The limits of the build container; zero means no limit. MemorySwap is memory and swap together.
	Memory            Bytes  `toml:"memory,omitzero"`
	MemorySwap        Bytes  `toml:"memory_swap,omitzero"`
	MemoryReservation Bytes  `toml:"memory_reservation,omitzero"`
	CPUs              CPUs   `toml:"cpus,omitzero"`
	CPUSetCPUs        string `toml:"cpuset_cpus,omitempty"`
	CPUSetMems        string `toml:"cpuset_mems,omitempty"`
	CPUShares         int    `toml:"cpu_shares,omitzero"`
	PidsLimit         int    `toml:"pids_limit,omitzero"`
	// MaxMemory and MaxCPUs are the most that a job may ask for by its variables; zero means that it may not ask.
	MaxMemory Bytes `toml:"max_memory,omitzero"`
	MaxCPUs   CPUs  `toml:"max_cpus,omitzero"`
	// Ulimit is by the names of ulimit in Docker, such as nofile.
	Ulimit         map[string]Ulimit `toml:"ulimit,omitempty"`
	OOMKillDisable bool              `toml:"oom_kill_disable,omitzero"`
	OOMScoreAdjust int               `toml:"oom_score_adjust,omitzero"`
	CgroupParent   string            `toml:"cgroup_parent,omitempty"`

	// The limits of each service.
	ServiceMemory            Bytes  `toml:"service_memory,omitzero"`
	ServiceMemorySwap        Bytes  `toml:"service_memory_swap,omitzero"`
	ServiceMemoryReservation Bytes  `toml:"service_memory_reservation,omitzero"`
	ServiceCPUs              CPUs   `toml:"service_cpus,omitzero"`
	ServiceCPUSetCPUs        string `toml:"service_cpuset_cpus,omitempty"`
	ServiceCPUShares         int    `toml:"service_cpu_shares,omitzero"`
	ServiceCgroupParent      string `toml:"service_cgroup_parent,omitempty"`

	// ShmSize is the size of /dev/shm; 0 means Docker's default.
	ShmSize Bytes `toml:"shm_size,omitzero"`
	// Volumes are source:path[:options], or a path in the container alone.
	Volumes []string `toml:"volumes,omitempty"`
	// ReadOnly lets jobs write nowhere in the build container but where something is mounted. GitLab Runner has no such key.
	ReadOnly bool `toml:"read_only,omitzero"`
	// Tmpfs and ServicesTmpfs are the options of memory file systems by their paths in the build container and in services.
	Tmpfs         map[string]string `toml:"tmpfs,omitempty"`
	ServicesTmpfs map[string]string `toml:"services_tmpfs,omitempty"`
	// DisableCache keeps neither checkouts nor /cache for the next job.
	DisableCache bool `toml:"disable_cache,omitzero"`
	// CacheDir is the folder of what jobs see as /cache; empty means one below StateDir.
	CacheDir string `toml:"cache_dir,omitempty"`
	// VolumeDriver and VolumeDriverOps make the volumes that are a path in the container alone.
	VolumeDriver    string            `toml:"volume_driver,omitempty"`
	VolumeDriverOps map[string]string `toml:"volume_driver_ops,omitempty"`
	// VolumesFrom are containers whose volumes the job's have too.
	VolumesFrom []string `toml:"volumes_from,omitempty"`
	// VolumeKeep leaves the nameless volumes of removed containers to the administrator.
	VolumeKeep bool `toml:"volume_keep,omitzero"`

	// ExtraHosts are name:address lines for /etc/hosts.
	ExtraHosts []string `toml:"extra_hosts,omitempty"`
	// DNS are the addresses of the name servers; none means Docker's.
	DNS []string `toml:"dns,omitempty"`
	// DNSSearch are the domains that names without a dot are looked up in; an empty one is none, as in GitLab's example of the section.
	DNSSearch []string `toml:"dns_search,omitempty"`
	// MACAddress is the build container's.
	MACAddress string `toml:"mac_address,omitempty"`
	// NetworkMTU and EnableIPv6 are of the job's network; 0 means Docker's default.
	NetworkMTU int  `toml:"network_mtu,omitzero"`
	EnableIPv6 bool `toml:"enable_ipv6,omitempty"`
	// NetworkMode is the network of all containers of all jobs: the name of one that exists, which may be Docker's own bridge, host or
	// none; empty means one of its own for each job.
	NetworkMode string `toml:"network_mode,omitempty"`
	// Links are container[:name] of containers that are not the job's; for Docker's default network alone.
	Links []string `toml:"links,omitempty"`

	// Services are started beside every job, before the job's own.
	Services []Service `toml:"services,omitempty"`
	// ServicesLimit is how many services a job may have, those of Services included; -1 means any number.
	ServicesLimit int `toml:"services_limit"`
	// WaitForServicesTimeout is in seconds, as in GitLab Runner: above 0, or -1 for no wait at all.
	WaitForServicesTimeout int `toml:"wait_for_services_timeout"`
	// PullTimeout bounds the pull of one image.
	PullTimeout Duration `toml:"pull_timeout"`
	// StartTimeout bounds the creation and start of one container.
	StartTimeout Duration `toml:"start_timeout"`
	// StopTimeout is the time between TERM and KILL for a job's processes.
	StopTimeout Duration `toml:"stop_timeout"`
}

// The pull policies of GitLab Runner.
const (
	PullAlways       = "always"
	PullIfNotPresent = "if-not-present"
	PullNever        = "never"
)

// defaultHost is where Docker Engine listens unless it is told otherwise.
const defaultHost = "unix:///var/run/docker.sock"

// defaultWaitForServices is DefaultWaitForServicesTimeout of GitLab Runner (common/consts.go), in seconds.
const defaultWaitForServices = 30

func defaultDocker() Docker {
	return Docker{
		Host:                   defaultHost,
		HelperImage:            helperImage(""),
		PullPolicy:             StringOrList{PullAlways},
		ServicesLimit:          -1,
		WaitForServicesTimeout: defaultWaitForServices,
		PullTimeout:            Duration{15 * time.Minute},
		StartTimeout:           Duration{time.Minute},
		StopTimeout:            Duration{10 * time.Second},
	}
}

// helperImage is GitLab's own for this host. Alpine's has no flavor in its name (helpers/container/helperimage of GitLab Runner).
func helperImage(flavor string) string {
	if flavor != "" && flavor != "alpine" {
		flavor += "-"
	} else {
		flavor = ""
	}
	return "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:" + flavor + helperTag(runtime.GOARCH)
}

// helperTag names an architecture in GitLab's words: x86_64 where Go says amd64 (archX8664, same package).
func helperTag(goarch string) string {
	if goarch == "amd64" {
		return "x86_64-latest"
	}
	return goarch + "-latest"
}

// complete sets what depends on what the file has, as GitLab Runner does; lines are those of the file's keys.
func (d *Docker) complete(lines map[string]int) {
	if d.Host == "" {
		d.Host = defaultHost
	}
	if _, named := lines["docker.helper_image"]; !named {
		d.HelperImage = helperImage(d.HelperImageFlavor)
	}
	if d.WaitForServicesTimeout == 0 {
		d.WaitForServicesTimeout = defaultWaitForServices
	}
}

// UserAllowed says whether a job may run as a user; "" is the image's own, who always may. The user of the settings takes the place of
// any that a job names.
func (d *Docker) UserAllowed(user string) bool {
	return user == "" || len(d.AllowedUsers) == 0 || slices.Contains(d.AllowedUsers, user)
}

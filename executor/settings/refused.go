package settings

// refused are keys that GitLab Runner has in [runners.docker] and that cannot mean here what they mean there, with the reason.
var refused = map[string]string{
	"docker.tls_cert_path":                    remoteDaemon,
	"docker.tls_verify":                       remoteDaemon,
	"docker.isolation":                        "is for containers of Windows, which this program does not run; remove it",
	"docker.service_slot_cgroup_template":     slotCgroups,
	"docker.services.suspend_data_path":       "is for jobs of Kubernetes that are suspended; remove it",
	"docker.helper_image_autoset_arch_and_os": "helper images are always chosen by the architecture of this host; remove it, or name one with helper_image",
}

// idle are keys of [[runners]] that the docker executor heeds and that have no effect for this one, with the reason.
var idle = map[string]string{
	"builds_dir":           fixedFolders,
	"cache_dir":            fixedFolders,
	"shell":                "scripts are those for bash, which sh runs where an image has no bash",
	"proxy_exec":           "GitLab Runner starts the scripts of its own executors alone in this way",
	"referees":             "GitLab Runner asks for the metrics of its own executors alone",
	"step_runner_image":    "native steps (run:) need GitLab Runner's own executors",
	"slot_cgroup_template": slotCgroups,
	"use_slot_cgroups":     slotCgroups,
}

const (
	fixedFolders = "inside the containers these are always /builds and /cache"
	remoteDaemon = "is for a daemon on another host, which does not see this host's files; the daemon is reached by its socket, see docker.host; remove it"
	slotCgroups  = "GitLab Runner numbers the slots of its own executors only; use cgroup_parent and service_cgroup_parent, and remove it"
)

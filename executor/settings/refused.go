package settings

// refused are keys that GitLab Runner has in [runners.docker] and that cannot mean here what they mean there, with the reason.
var refused = map[string]string{
	"docker.tls_cert_path":                    remoteDaemon,
	"docker.tls_verify":                       remoteDaemon,
	"docker.isolation":                        "is for containers of Windows, which this program does not run; remove it",
	"docker.service_slot_cgroup_template":     slotCgroups,
	"docker.helper_image_autoset_arch_and_os": "helper images are always chosen by the architecture of this host; remove it, or name one with helper_image",
}

const (
	remoteDaemon = "is for a daemon on another host, which does not see this host's files; the daemon is reached by its socket, see docker.host; remove it"
	slotCgroups  = "GitLab Runner numbers the slots of its own executors only; use cgroup_parent and service_cgroup_parent, and remove it"
)

//go:build parity

package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// settingsCases are about the keys of [runners.docker] that say what a job's containers may do and use.
func settingsCases(t *testing.T) []parityCase {
	t.Helper()
	script := func(image string, lines ...string) func(*host) job {
		return func(h *host) job { return h.newJob(image, lines...) }
	}
	capabilities := shown("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status", "chown 1:1 /tmp && echo chowned", "mknod /tmp/null c 1 3 && echo made")
	cgroup := func(controller, v1, v2 string) string {
		return "cat /sys/fs/cgroup/" + controller + "/" + v1 + " /sys/fs/cgroup/" + v2 + " 2>/dev/null"
	}
	asUser := func(user string) func(*host) job {
		return func(h *host) job {
			return h.newJob("", shown("id")).with("image", job{"name": busybox, "executor_opts": job{"docker": job{"user": user}}})
		}
	}
	return []parityCase{
		{name: "capabilities", job: script(busybox, capabilities)},
		{name: "capabilities dropped", docker: "cap_drop = [\"CHOWN\", \"MKNOD\"]\n", job: script(busybox, capabilities)},
		{name: "all capabilities dropped", docker: "cap_drop = [\"ALL\"]\n", job: script(jobImage, capabilities)},
		{name: "capabilities added", docker: "cap_add = [\"NET_ADMIN\", \"CAP_SYS_ADMIN\"]\n", job: script(busybox, capabilities, shown("mount -t tmpfs none /mnt && echo mounted"))},
		{name: "privileged", docker: privileged(t), job: script(busybox, capabilities, shown("ls /dev | wc -l", "mkdir /m && mount -t tmpfs none /m && echo mounted"))},
		{name: "privileged, for other images", docker: "privileged = true\nallowed_privileged_images = [\"docker:*\"]\n", job: script(busybox, capabilities)},
		{name: "security options", docker: "security_opt = [\"no-new-privileges\", \"seccomp=unconfined\"]\n", job: script(busybox, capabilities)},
		{name: "devices", docker: "devices = [\"/dev/fuse\", \"/dev/null:/dev/nothing:r\"]\ndevice_cgroup_rules = [\"c 10:* rmw\"]\n", job: script(busybox, shown(
			"ls -l /dev/fuse /dev/nothing | awk '{print $1,$5,$6,$10}'", "cat /sys/fs/cgroup/devices/devices.list"))},
		{name: "ulimit", docker: "ulimit = { nofile = \"1000:2000\", core = \"0\" }\n", job: script(jobImage, shown("ulimit -Sn", "ulimit -Hn", "ulimit -c"))},
		{name: "tmpfs", docker: "tmpfs = { \"/scratch\" = \"rw,noexec,size=1m\" }\n", job: script(busybox, shown("grep /scratch /proc/mounts", "dd if=/dev/zero of=/scratch/x bs=1M count=2 2>/dev/null || echo full"))},
		{name: "domains", docker: "dns_search = [\"a.example.com\", \"b.example.com\"]\n", job: script(busybox, shown("grep search /etc/resolv.conf"))},
		{name: "no domain at all", docker: "dns_search = [\"\"]\n", job: script(busybox, shown("grep 'search [a-z]' /etc/resolv.conf || echo none"))},
		{name: "hostname", docker: "hostname = \"ci-host\"\n", job: script(busybox, shown("hostname", "cat /etc/hostname", "echo $HOSTNAME"))},
		{name: "sysctls", docker: "sysctls = { \"net.core.somaxconn\" = \"777\", \"kernel.msgmax\" = \"8888\" }\n", job: script(busybox, shown("cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax"))},
		{name: "more groups", docker: "group_add = [\"1234\", \"daemon\"]\n", job: script(jobImage, shown("id -G"))},
		{name: "the host's processes", docker: "pid_mode = \"host\"\n", job: script(busybox, shown("readlink /proc/1/ns/pid /proc/self/ns/pid"))},
		{name: "shared memory", docker: "ipcmode = \"host\"\nshm_size = 1048576\n", job: script(busybox, shown("readlink /proc/self/ns/ipc"))},
		{name: "shared memory of a size", docker: "shm_size = 1048576\n", job: script(busybox, shown("df -k /dev/shm | tail -1 | awk '{print $2}'"))},
		{name: "processors", docker: "cpuset_cpus = \"1\"\ncpuset_mems = \"0\"\ncpu_shares = 512\ncpus = \"0.5\"\n", job: script(busybox, shown(
			"grep -E 'Cpus_allowed_list|Mems_allowed_list' /proc/self/status", cgroup("cpu", "cpu.shares", "cpu.weight"), cgroup("cpu", "cpu.cfs_quota_us", "cpu.max")))},
		{name: "memory", docker: "memory = \"64m\"\nmemory_swap = \"96m\"\nmemory_reservation = \"32m\"\noom_score_adjust = 500\n", job: script(busybox, shown(
			cgroup("memory", "memory.limit_in_bytes", "memory.max"), cgroup("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"),
			cgroup("memory", "memory.soft_limit_in_bytes", "memory.low"), "cat /proc/self/oom_score_adj"))},
		{name: "out of memory in one process", docker: "memory = \"64m\"\nmemory_swap = \"64m\"\n", job: script(busybox, "tail -c 500m /dev/zero")},
		{name: "cgroup", docker: "cgroup_parent = \"/parity\"\n", job: func(h *host) job {
			h.t.Cleanup(removeParityCgroups)
			return h.newJob(busybox, shown("sed 's/[0-9a-f]\\{64\\}/ID/' /proc/self/cgroup | sort | uniq"))
		}},
		{name: "runtime", docker: "runtime = \"runc\"\nuserns_mode = \"host\"\n", job: script(busybox, shown("cat /proc/self/uid_map"))},
		{
			name: "MAC address", docker: "mac_address = \"92:d0:c6:0a:29:33\"\n", job: script(busybox, shown("cat /sys/class/net/eth0/address")),
			differs: "the docker executor sets none with a daemon older than 25.0 (API 1.44)",
		},
		{name: "init", job: func(h *host) job {
			return h.newJob(busybox, shown("cat /proc/1/comm")).variable("FF_USE_INIT_WITH_DOCKER_EXECUTOR", "true")
		}},
		{name: "a cache that is not kept", docker: "disable_cache = true\n", job: script(userImage, shown("touch /cache/x && ls /cache", "grep -c ' /cache ' /proc/mounts"))},
		{name: "a volume where a variable says", docker: "volumes = [\"/cache\", \"/etc/os-release:/mnt/$CI_PROJECT_PATH/$NAME:ro\"]\n", job: func(h *host) job {
			return h.newJob(busybox, shown("ls -R /mnt", "echo x >/mnt/group/project/os")).variable("NAME", "os")
		}},
		{name: "volumes of the settings", docker: "volumes = [\"/cache\", \"/scratch\"]\n", job: func(h *host) job {
			return h.newJob(userImage, shown("stat -c '%a %u %n' /scratch", "echo made >/scratch/x")).afterScript(shown("cat /scratch/x"))
		}},
		{name: "volumes of images", job: func(h *host) job {
			j := h.newJob("", shown("grep -c ' /var/lib/redis ' /proc/mounts", "redis-cli -h db ping")).with("image", job{"name": redisImage, "entrypoint": []string{""}})
			return j.with("services", []job{{"name": redisImage, "alias": "db"}})
		}},
		{name: "logs with labels", docker: "log_options = { labels = \"com.gitlab.gitlab-runner.job.id\" }\n", job: script(busybox, "echo '| ran'")},
		{name: "an entrypoint that stays", docker: "disable_entrypoint_overwrite = true\n", job: func(h *host) job {
			return h.newJob("", shown("env | grep -i entry")).with("image", job{"name": entrypoint, "entrypoint": []string{""}})
		}},
		{name: "a user that is allowed", docker: "allowed_users = [\"1000\", \"0\"]\n", job: asUser("1000")},
		{name: "the image's own user", docker: "allowed_users = [\"0\"]\n", job: script(userImage, shown("id"))},
		{name: "a user that is not allowed", docker: "allowed_users = [\"1000\"]\n", job: asUser("0"), differs: usersFault},
		{name: "the user of the settings wins", docker: "user = \"1000\"\n", job: asUser("0")},
	}
}

// removeParityCgroups removes the parents that Docker has made and leaves behind; they are empty.
func removeParityCgroups() {
	for _, pattern := range []string{"/sys/fs/cgroup/parity", "/sys/fs/cgroup/*/parity"} {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			_ = os.Remove(dir)
		}
	}
}

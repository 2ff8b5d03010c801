//go:build parity

package e2e

// usersFault is why a job of ours ends otherwise.
const usersFault = "a mistake in the job's definition is the job's failure, and not tried again"

// parityCases is the table, after the docker executor's documentation: results, environment, files, images, users, limits, services, Runner's
// features.
func parityCases() []parityCase {
	script := func(image string, lines ...string) func(*host) job {
		return func(h *host) job { return h.newJob(image, lines...) }
	}
	const (
		// The container's name, and the runner's token, are each runner's own. CI_SHARED_ENVIRONMENT is exported by the Runner's scripts for
		// every custom executor. GOCACHE and GOMODCACHE are what this program is for.
		environment = "env | grep -vE '^(HOSTNAME|CI_RUNNER_SHORT_TOKEN|CI_SHARED_ENVIRONMENT|GOCACHE|GOMODCACHE)=' | sort"
	)
	return []parityCase{
		{name: "true", job: script(busybox, "true")},
		{name: "exit code", job: script(busybox, "exit 7")},
		{name: "exit code of bash", job: script(jobImage, "exit 7")},
		{name: "killed by a signal", job: script(busybox, "kill -9 $$")},
		{name: "command not found", job: script(busybox, "nosuchcommand")},
		{name: "a failing line ends the script", job: script(busybox, "echo '| before'", "false", "echo '| after'")},
		{name: "pipe fails in bash", job: script(jobImage, "false | true", "echo '| after'")},
		{name: "pipe fails in sh", job: script(busybox, "false | true", "echo '| after'")},
		{name: "environment", job: script(busybox, shown(environment))},
		{name: "environment of an image with bash", job: script(jobImage, shown(environment))},
		{name: "shell options", job: script(jobImage, shown("echo $- $SHELLOPTS $0"))},
		{name: "shell options of sh", job: script(busybox, shown("echo $- $0"))},
		{name: "files", job: script(busybox, shown("ls -lnR . | grep -v ^total | awk '{print $1,$3,$4,$5,$9}'", "pwd", "umask"))},
		{name: "git", job: script(jobImage, shown("git status --short", "git log --format='%H %an %s'", "git config --list --local | sort | grep -v token", "git branch -a"))},
		{name: "folders", job: script(busybox, shown("stat -c '%n %a %u %g' / /builds /builds/group /builds/group/project /builds/group/project.tmp /cache /tmp"))},
		{name: "standard input is empty", job: script(busybox, "cat", "echo '| after'")},
		{name: "who", job: script(busybox, shown("id", "echo $HOME"))},
		{name: "who in an image with a user", job: script(userImage, shown("id", "echo $HOME", "touch x y && ls -l x | cut -c1-10"))},
		{name: "user of the settings", docker: "user = \"1000\"\n", job: script(jobImage, shown("id -u", "touch x && echo written"))},
		{name: "limits", docker: "memory = \"64m\"\ncpus = \"0.5\"\nshm_size = 33554432\n", job: script(busybox, shown(
			"cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null", "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null", "df -k /dev/shm | tail -1 | awk '{print $2}'"))},
		{name: "out of memory", docker: "memory = \"64m\"\nmemory_swap = \"64m\"\n", job: script(busybox, "tail -c 500m /dev/zero | tail | wc -c", "echo '| survived'")},
		// With a network per job, which ours always has, Docker's own name server is asked first.
		{name: "hosts and name servers", docker: "extra_hosts = [\"db.example.com:192.0.2.10\"]\ndns = [\"192.0.2.53\"]\ndns_search = [\"example.com\"]\n", job: func(h *host) job {
			return h.newJob(busybox, shown("grep db.example.com /etc/hosts", "cat /etc/resolv.conf | grep -v '^#'")).variable("FF_NETWORK_PER_BUILD", "true")
		}},
		{name: "entrypoint of the image", job: script(entrypoint, shown("echo in", "env | grep -i entry"))},
		{name: "after_script", job: func(h *host) job {
			return h.newJob(busybox, "echo '| script'", "export A=1", "cd /tmp", "exit 3").afterScript(shown("echo status=$CI_JOB_STATUS A=$A", "pwd"))
		}},
		{name: "after_script that fails", job: func(h *host) job { return h.newJob(busybox, "true").afterScript("exit 3") }},
		{name: "unknown image", differs: usersFault, job: script("local/nosuch:image", "true")},
		{name: "image that is not allowed", differs: usersFault, docker: "allowed_images = [\"local/golang:*\"]\n", job: script(busybox, "true")},
		{name: "image without a shell", differs: usersFault, job: script(noShell, "true")},
		{name: "pull policy that is not allowed", differs: usersFault, job: func(h *host) job {
			return h.newJob(busybox, "true").with("image", job{"name": busybox, "pull_policy": []string{"always"}})
		}},
		{name: "default image", docker: "image = \"" + busybox + "\"\n", job: script("", "echo '| ran'")},
		{name: "invalid image name", differs: usersFault, job: script("Not An Image", "true")},
		{name: "timeout", job: func(h *host) job { return h.newJob(busybox, "echo '| begun'", "sleep 60").timeout(20) }},
	}
}

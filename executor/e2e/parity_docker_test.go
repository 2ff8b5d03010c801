//go:build parity

package e2e

import "testing"

// dockerCases are jobs that make images, as GitLab's documentation has it: with the daemon of the host, and with one of their own.
func dockerCases(t *testing.T) []parityCase {
	t.Helper()
	const name = "local/gitlab-go-executor/built:$CI_JOB_ID"
	build := shown("cp /bin/busybox .", `printf 'FROM scratch\nCOPY busybox /\nRUN ["/busybox", "mkdir", "/made"]\nCMD ["/busybox", "ls", "/"]\n' > Dockerfile`,
		"docker build -q -t "+name+" . >/dev/null", "docker run --rm "+name+" | grep -E 'made|busybox'", "docker rmi "+name+" >/dev/null && echo removed")
	return []parityCase{
		{name: "an image made by the host's Docker", docker: "volumes = [\"/cache\", \"/var/run/docker.sock:/var/run/docker.sock\"]\n", job: func(h *host) job {
			return h.newJob(dockerImage, build)
		}},
		{name: "an image made by a Docker of the job's own", docker: privileged(t), job: func(h *host) job {
			return h.newJob(dockerImage, build, shown("docker image ls -aq | wc -l")).with("services", []job{{"name": dockerImage, "alias": "docker"}}).
				variable("DOCKER_HOST", "tcp://docker:2375").variable("DOCKER_TLS_CERTDIR", "")
		}},
	}
}

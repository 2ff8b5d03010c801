//go:build parity

package e2e

import (
	"strings"
	"sync/atomic"
	"syscall"
)

// stopCases are jobs that somebody stops, or that run out of time.
func stopCases() []parityCase {
	const (
		cancel = syscall.SIGUSR1 // pressed in the UI, or interruptible: and a newer pipeline
		abort  = syscall.SIGUSR2 // force cancel, or the job was deleted
		begun  = "O | begun\n"
	)
	at := func(text string, s syscall.Signal) func(*host, job) result {
		return func(h *host, j job) result {
			r := h.start(j)
			r.waitFor(text)
			r.signal(s)
			return r.wait()
		}
	}
	// fetching sends the signal while GitLab is about to answer.
	fetching := func(s syscall.Signal) func(*host, job) result {
		return func(h *host, j job) result {
			var asked atomic.Bool
			answer := make(chan struct{})
			h.gitlab.atClone(func() {
				asked.Store(true)
				<-answer
			})
			r := h.start(j)
			h.eventually("GitLab is asked for the sources", asked.Load, r.log)
			r.signal(s)
			h.eventually("the Runner has heard", func() bool { return strings.Contains(r.errs.String(), "runner-job: ") }, r.errs)
			close(answer)
			return r.wait()
		}
	}
	keeps := func(j job) job {
		return j.with("artifacts", []job{{"name": "report", "paths": []string{"report"}, "when": "on_failure", "artifact_type": "archive", "artifact_format": "zip"}}).
			with("cache", []job{{"key": "kept", "paths": []string{"deps"}, "policy": "pull-push", "when": "always"}})
	}
	const asked = `sh -c 'trap "echo \"| asked\"; exit 0" TERM; echo "| begun"; while :; do sleep 0.2; done'`
	const status = "echo \"| after, $CI_JOB_STATUS\""
	return []parityCase{
		{name: "canceled in the script", shows: "| after, canceled", run: at(begun, cancel), job: func(h *host) job {
			return h.newJob(busybox, "echo '| begun'; sleep 60; echo '| end'").afterScript(status, shown("ls"))
		}},
		{name: "canceled in the script of an image with bash", shows: "| after, canceled", run: at(begun, cancel), job: func(h *host) job {
			return h.newJob(jobImage, "echo '| begun'", "sleep 60", "echo '| end'").afterScript(status)
		}},
		{
			name: "artifacts and cache of a canceled job", shows: "| cached",
			job: func(h *host) job {
				return keeps(h.newJob(busybox, "mkdir deps; echo cached >deps/a; echo bad >report; echo '| begun'; sleep 60"))
			},
			run: func(h *host, j job) result {
				r := at(begun, cancel)(h, j)
				r.Log += h.run(keeps(h.newJob(busybox, "cat deps/a | sed 's/^/| /'"))).Log
				return r
			},
		},
		{name: "each process of a canceled job is asked to end", shows: "| asked", run: at(begun, cancel), job: func(h *host) job {
			return h.newJob(busybox, asked)
		}},
		{
			name: "a command that ends well when it is asked to", run: at(begun, cancel), differs: "the script of a canceled job does not go on with its next line",
			job: func(h *host) job { return h.newJob(busybox, asked, "echo '| end'") },
		},
		{
			name: "the container of a canceled job", run: at(begun, cancel), differs: "after_script of a canceled job finds the files that the script left outside of the checkout",
			job: func(h *host) job {
				return h.newJob(busybox, "touch /tmp/kept; echo '| begun'; sleep 60").afterScript(shown("ls /tmp"))
			},
		},
		{name: "canceled in after_script", run: at("O | after\n", cancel), job: func(h *host) job {
			return h.newJob(busybox, "true").afterScript("echo '| after'; sleep 2; echo '| end'")
		}},
		{name: "canceled while its sources are fetched", shows: "failed job_canceled 0", run: fetching(cancel), job: func(h *host) job {
			return keeps(h.newJob(busybox, "echo '| script'").afterScript("echo '| after'"))
		}},
		{name: "force canceled in the script", run: at(begun, abort), job: func(h *host) job {
			return keeps(h.newJob(busybox, "echo bad >report; echo '| begun'; sleep 60").afterScript("echo '| after'"))
		}},
		{name: "force canceled while its sources are fetched", run: fetching(abort), job: func(h *host) job {
			return h.newJob(busybox, "echo '| script'")
		}},
		{name: "the Runner is stopped", run: at(begun, syscall.SIGTERM), job: func(h *host) job {
			return h.newJob(busybox, "echo '| begun'; sleep 60").afterScript("echo '| after'")
		}},
		{name: "script timeout variable with after_script", shows: "| after, timedout", job: func(h *host) job {
			return keeps(h.newJob(busybox, "echo bad >report; echo '| begun'; sleep 60").afterScript(status)).variable("RUNNER_SCRIPT_TIMEOUT", "3s")
		}},
	}
}

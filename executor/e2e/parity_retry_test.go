//go:build parity

package e2e

import "net/http"

// retryCases are jobs of a GitLab that does not answer at once.
func retryCases() []parityCase {
	const tree = "find . -path ./.git -prune -o -print | sort; git status --short --ignored; git log -1 --format=%H"
	failing := func(times int, kind func(*http.Request) bool) func(*host, job) result {
		return func(h *host, j job) result {
			h.gitlab.failNext(times, kind)
			defer h.gitlab.failNext(0, nil)
			return h.run(j)
		}
	}
	attempts := func(j job, name, n string) job {
		return j.variable(name, n).variable("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY", "false") // else 5 s
	}
	archive := []job{{"name": "default", "paths": []string{"bin"}, "when": "always", "artifact_type": "archive", "artifact_format": "zip"}}
	const requests = 3 * 5 // of Runner's artifacts-downloader, in one attempt: tries, and requests of each (network/retry_requester.go)
	reads := func(h *host) job { return h.newJob(busybox, shown("cat bin/app")) }
	// artifacts gives a case's job the artifacts of another one.
	artifacts := func(c parityCase) parityCase {
		var maker job
		reader := c.job
		c.run = failing(requests, artifactRequests)
		c.first = func(h *host) []job {
			maker = h.newJob(busybox, "mkdir bin; echo made >bin/app").with("artifacts", archive)
			return []job{maker}
		}
		c.job = func(h *host) job {
			return reader(h).with("dependencies", []job{{
				"id": maker["id"], "token": "t", "name": "make", "artifacts_file": job{"filename": "artifacts.zip", "size": 1},
			}})
		}
		return c
	}
	return []parityCase{
		{name: "sources at the second attempt", shows: "| ./README.md", run: failing(1, sourceRequests), job: func(h *host) job {
			return attempts(h.newJob(jobImage, shown(tree)), "GET_SOURCES_ATTEMPTS", "2")
		}},
		{
			name: "sources at the second attempt in a kept checkout", shows: "| ./dir/run.sh", run: failing(1, sourceRequests),
			first: func(h *host) []job {
				return []job{h.newJob(jobImage, "echo changed >>README.md; echo x >untracked; echo y >ignored; mkdir folder; echo z >folder/z; rm dir/run.sh")}
			},
			job: func(h *host) job {
				return attempts(h.newJob(jobImage, shown(tree)), "GET_SOURCES_ATTEMPTS", "2").variable("GIT_CLEAN_FLAGS", "none")
			},
		},
		{name: "sources at the third attempt, with a submodule", shows: "| part", run: failing(2, sourceRequests), job: func(h *host) job {
			return attempts(h.newJob(jobImage, shown(tree, "cat part/part.txt")), "GET_SOURCES_ATTEMPTS", "3").variable("GIT_SUBMODULE_STRATEGY", "recursive")
		}},
		{name: "no sources", run: failing(2, sourceRequests), job: func(h *host) job {
			j := attempts(h.newJob(jobImage, "echo '| ran'").afterScript("echo '| after'"), "GET_SOURCES_ATTEMPTS", "2")
			return j.with("artifacts", archive)
		}},
		{name: "sources with one attempt", run: failing(1, sourceRequests), job: func(h *host) job { return h.newJob(jobImage, "echo '| ran'") }},
		artifacts(parityCase{name: "artifacts at the second attempt", shows: "| made", job: func(h *host) job {
			return attempts(reads(h), "ARTIFACT_DOWNLOAD_ATTEMPTS", "2")
		}}),
		artifacts(parityCase{name: "artifacts with one attempt", shows: "failed script_failure 1", job: reads}),
	}
}

package e2e

import (
	"strings"
	"testing"
)

func TestArtifactsGoFromJobToJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	build := h.newJob(busybox, "mkdir bin", "echo made-here > bin/app").with("artifacts", []job{{
		"name": "default", "paths": []string{"bin"}, "when": "on_success", "artifact_type": "archive", "artifact_format": "zip",
	}})
	h.succeeded(h.run(build))
	use := h.newJob(busybox, "cat bin/app").with("dependencies", []job{{
		"id": build["id"], "token": "t", "name": "build", "artifacts_file": job{"filename": "artifacts.zip", "size": 1},
	}})
	r := h.run(use)
	h.succeeded(r)
	h.prints(r, "made-here")
}

func TestArtifactsOfAFailedJobAreKept(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(busybox, "echo broken > report", "exit 3").with("artifacts", []job{{
		"name": "default", "paths": []string{"report"}, "when": "on_failure", "artifact_type": "archive", "artifact_format": "zip",
	}})
	h.failed(h.run(j), "script_failure", 3)
	if len(h.gitlab.zips) != 1 {
		t.Errorf("%d archives arrived, want 1", len(h.gitlab.zips))
	}
}

func TestTheCacheKeywordWorks(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	cache := []job{{"key": "k", "paths": []string{"deps"}, "policy": "pull-push", "when": "on_success"}}
	h.succeeded(h.run(h.newJob(busybox, "mkdir deps", "echo from-cache > deps/a").with("cache", cache)))
	r := h.run(h.newJob(busybox, "cat deps/a").with("cache", cache))
	h.succeeded(r)
	h.says(r, "Successfully extracted cache")
	h.prints(r, "from-cache")
}

func TestVariablesReachTheJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(entrypoint, `echo "plain=$PLAIN"`, `cat "$SECRET_FILE"; echo; echo "path=$SECRET_FILE"`, `echo "masked=$PASSWORD"`, `env | grep '^SECRET_FILE='`)
	j = j.with("variables", append(j["variables"].([]job),
		variable("PLAIN", "a b'c\"d$$e"),
		job{"key": "SECRET_FILE", "value": "content of the file", "file": true},
		job{"key": "PASSWORD", "value": "masked-secret-1", "masked": true},
	))
	r := h.run(j)
	h.succeeded(r)
	h.prints(r, `plain=a b'c"d$e`, "content of the file", "path=/builds/group/project.tmp/SECRET_FILE", "masked=[MASKED]")
	h.neverSays(r, "masked-secret-1", "job-token-secret")
	for _, secret := range []string{"masked-secret-1", "job-token-secret", "content of the file"} {
		if strings.Contains(h.operatorLog(), secret) {
			t.Errorf("the operator log holds the secret %q", secret)
		}
	}
}

func TestOtherStepsOfThePayloadRunInTheBuildContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(busybox, "echo first > /tmp/first")
	j = j.with("steps", append(j["steps"].([]job), job{"name": "release", "script": []string{"cat /tmp/first", "exit 9"}, "timeout": 300, "when": "on_success"}))
	r := h.run(j)
	h.failed(r, "script_failure", 9)
	h.prints(r, "first")
}

// The Runner makes up a job of no project when it starts, where [runners.experimental.boot_verify] says so, and ends if that fails.
func TestARunnerTriesItselfWhenItStarts(t *testing.T) {
	t.Parallel()
	h := newHost(t, "image = \""+jobImage+"\"\n")
	j := h.newJob("", "go version | cut -d' ' -f1-2").with("git_info", job{}).with("job_info", job{"name": "boot-verify", "stage": "boot-verify"}).
		with("variables", []job{variable("GIT_STRATEGY", "none"), variable("GIT_CHECKOUT", "false")})
	delete(j, "image")
	r := h.run(j)
	h.succeeded(r)
	h.prints(r, "go version")
}

func TestSourcesThatCannotBeHadAtOnceAreFetchedAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.gitlab.failNext(1, sourceRequests)
	again := h.newJob(busybox, "cat README.md").variable("GET_SOURCES_ATTEMPTS", "2").variable("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY", "false")
	r := h.run(again)
	h.succeeded(r)
	h.says(r, "Deleting tracked and untracked files")
	h.prints(r, "hello")
	h.endedWith(again, "success")

	h.gitlab.failNext(1, sourceRequests)
	once := h.newJob(busybox, "cat README.md")
	h.failed(h.run(once), "script_failure", 128)
	h.endedWith(once, "script_failed")
}

//go:build parity

package e2e

import (
	"strings"
	"testing"
)

// parityImageCases are about images, with a registry that wants to know who asks.
func parityImageCases(t *testing.T) []parityCase {
	t.Helper()
	r := newRegistry(t, true)
	name := r.image("app:1", "one")
	multi := r.platforms("app:multi", map[string]string{"amd64": name, "386": r.image("app:2", "small")})
	digest := r.address + "/group/app@" + r.digest(name)
	known := login(r.address, registryUser, registryPassword)
	const (
		which       = `echo "| which=$WHICH"`
		usersFault  = "a mistake in the job's definition is the job's failure, and not tried again"
		anyPolicy   = "pull_policy = [\"if-not-present\"]\nallowed_pull_policies = [\"always\", \"if-not-present\", \"never\"]\n"
		onlyWritten = "allowed_images = [\"local/**\"]\n"
	)
	pulled := func(name string, policies ...string) func(*host) job {
		return func(h *host) job {
			return h.newJob("", which).with("image", job{"name": name, "pull_policy": policies}).with("credentials", known)
		}
	}
	with := func(base func(*host) job, change func(job) job) func(*host) job {
		return func(h *host) job { return change(base(h)) }
	}
	as := func(user, password string) func(job) job {
		return func(j job) job { return j.with("credentials", login(r.address, user, password)) }
	}
	on := func(platform string) func(job) job {
		return func(j job) job {
			j["image"].(job)["executor_opts"] = job{"docker": job{"platform": platform}}
			return j
		}
	}
	entry := func(value []string) func(*host) job {
		return func(h *host) job {
			return h.newJob("", shown("echo entry=$FROM_ENTRYPOINT")).with("image", job{"name": entrypoint, "entrypoint": value})
		}
	}
	variable := func(value string) func(job) job {
		return func(j job) job {
			return j.with("credentials", login(r.address, "somebody", "wrong-password")).variable("DOCKER_AUTH_CONFIG", value)
		}
	}
	return []parityCase{
		{name: "image pulled with the login of the job", docker: anyPolicy, job: pulled(name, "always")},
		{name: "image pulled with DOCKER_AUTH_CONFIG", docker: anyPolicy, job: with(pulled(name, "always"), variable(authConfig("https://"+r.address+"/v2/", registryUser, registryPassword)))},
		{name: "image pulled with the longer path", docker: anyPolicy, job: with(pulled(name, "always"), func(j job) job {
			return variable(authConfig(r.address, "somebody", "wrong-password"))(j).with("credentials", login(r.address+"/group", registryUser, registryPassword))
		})},
		{name: "image with DOCKER_AUTH_CONFIG that is no JSON", docker: anyPolicy, job: with(with(pulled(name, "always"), variable("secret")), as(registryUser, registryPassword))},
		{name: "image with a wrong password", docker: anyPolicy, differs: usersFault, job: with(pulled(name, "always"), as(registryUser, "wrong-password"))},
		{name: "image with no login", docker: anyPolicy, differs: usersFault, job: with(pulled(name, "always"), func(j job) job { delete(j, "credentials"); return j })},
		{name: "image with a missing tag", docker: anyPolicy, differs: usersFault, job: pulled(r.address+"/group/app:nope", "always")},
		{name: "image if not present", docker: anyPolicy, job: pulled(name, "if-not-present")},
		{name: "image never, then always", docker: anyPolicy, job: pulled(name, "never", "always")},
		{name: "image by digest", docker: anyPolicy, job: pulled(digest, "always")},
		{name: "image by tag and digest", docker: anyPolicy, job: pulled(strings.Replace(digest, "@", ":1@", 1), "if-not-present")},
		{name: "image with a variable", docker: anyPolicy, job: with(pulled("$HERE/group/app:1", "always"), func(j job) job { return j.variable("HERE", r.address) })},
		{name: "image of a platform", docker: anyPolicy, job: with(pulled(multi, "always"), on("linux/386"))},
		{name: "image of a platform by another name", docker: anyPolicy, job: with(pulled(multi, "always"), on("i386"))},
		{name: "image of a platform that it lacks", docker: anyPolicy, differs: usersFault, job: with(pulled(multi, "always"), on("linux/s390x"))},
		{name: "image of no platform", docker: anyPolicy, differs: usersFault, job: with(pulled(multi, "always"), on("no/such/platform/x"))},
		{name: "image of one platform for another", docker: anyPolicy, differs: usersFault, job: with(pulled(busybox, "never"), on("linux/s390x"))},
		{name: "default image with a variable", docker: "image = \"$REPOSITORY/busybox:test\"\n" + onlyWritten, job: func(h *host) job {
			return h.newJob("", "echo '| ran'").variable("REPOSITORY", "local/gitlab-go-executor")
		}},
		{name: "entrypoint as it is", job: entry(nil)},
		{name: "entrypoint of no words", job: entry([]string{})},
		{name: "entrypoint that is empty", job: entry([]string{""})},
		{name: "entrypoint of the job's own", job: entry([]string{"/usr/bin/env", "FROM_ENTRYPOINT=job"})},
		{name: "entrypoint that is missing", differs: usersFault, job: entry([]string{"/no/such/file"})},
	}
}

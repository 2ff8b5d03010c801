//go:build parity

package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// bucketCases are about the cache: keyword with a cache in S3. The last job runs on another host, so what it finds comes from there.
func bucketCases(t *testing.T) []parityCase {
	t.Helper()
	server := s3test.Versity(t)
	_, reached := s3test.NewProxyAt(t, server, bridge)
	cached := func(j job, key, policy string, fallback ...string) job {
		return j.with("cache", []job{{
			"key": key, "paths": []string{"deps", "file"}, "policy": policy, "when": "on_success", "fallback_keys": fallback,
		}})
	}
	pushes := func(h *host, key, content string) job {
		write := fmt.Sprintf("mkdir -p deps/sub; echo %s >deps/sub/a; chmod 0750 deps/sub/a; ln -s a deps/sub/b; echo %s >file", content, content)
		return cached(h.newJob(busybox, write), key, "pull-push")
	}
	reads := func(h *host) job {
		return h.newJob(busybox, shown("cat deps/sub/b file || ls", "ls -ln deps/sub | awk '{print $1,$3,$4,$9}'"))
	}
	const (
		found   = "| one"
		nothing = "| cat: can't open 'file': No such file or directory"
	)
	one := func(h *host) []job { return []job{pushes(h, "k", "one")} }
	pulls := func(h *host) job { return cached(reads(h), "k", "pull") }
	cases := 0
	in := func(config store.S3Config, c parityCase) parityCase {
		cases++
		path := fmt.Sprint("case-", cases)
		c.elsewhere = true
		c.sections = func(executor string) string { return runnerBucket(config, path+"-"+executor) }
		return c
	}
	// failing has as many downloads of the last job fail.
	failing := func(times int64, c parityCase) parityCase {
		proxy, config := s3test.NewProxyAt(t, server, bridge)
		c.run = func(h *host, j job) result {
			proxy.Break(s3test.Only(s3test.Reads(""), s3test.First(times, s3test.Answer(http.StatusServiceUnavailable, "SlowDown"))))
			defer proxy.Break(nil)
			return h.run(j)
		}
		return in(config, c)
	}
	return []parityCase{
		in(reached, parityCase{name: "a bucket", shows: found, first: one, job: func(h *host) job { return cached(reads(h), "k", "pull-push") }}),
		in(reached, parityCase{name: "a bucket that is only read", shows: found, job: pulls, first: func(h *host) []job {
			return []job{pushes(h, "k", "one"), cached(h.newJob(busybox, "echo two >file"), "k", "pull")}
		}}),
		in(reached, parityCase{name: "a bucket that is only written", shows: nothing, first: one, job: func(h *host) job { return cached(reads(h), "k", "push") }}),
		in(reached, parityCase{name: "a bucket with another key", shows: nothing, first: one, job: func(h *host) job { return cached(reads(h), "other", "pull") }}),
		in(reached, parityCase{
			name: "a bucket with fallback keys", shows: found,
			first: func(h *host) []job { return []job{pushes(h, "main", "one"), pushes(h, "old", "two")} },
			job:   func(h *host) job { return cached(reads(h), "feature", "pull-push", "nosuch", "main", "old") },
		}),
		in(reached, parityCase{name: "a bucket with CACHE_FALLBACK_KEY", shows: found, first: one, job: func(h *host) job {
			return cached(reads(h), "feature", "pull-push").variable("CACHE_FALLBACK_KEY", "k")
		}}),
		in(reached, parityCase{
			name: "a bucket with a key made of variables", shows: found,
			first: func(h *host) []job { return []job{pushes(h, "$CI_PROJECT_PATH-main", "one")} },
			job:   func(h *host) job { return cached(reads(h), "$CI_PROJECT_PATH-$NAME", "pull").variable("NAME", "main") },
		}),
		in(reached, parityCase{name: "a bucket with another format", shows: found, job: pulls, first: func(h *host) []job {
			return []job{pushes(h, "k", "one").variable("CACHE_COMPRESSION_FORMAT", "tarzstd")}
		}}),
		failing(1, parityCase{name: "a bucket that answers at the second try", shows: found, first: one, job: pulls}),
		failing(1000, parityCase{name: "a bucket that is gone", shows: nothing, first: one, job: func(h *host) job {
			return pulls(h).variable("RESTORE_CACHE_ATTEMPTS", "2")
		}}),
	}
}

// runnerBucket is the section of a Runner's config.toml for its own cache.
func runnerBucket(c store.S3Config, path string) string {
	return fmt.Sprintf(`[runners.cache]
Type = "s3"
Path = %q
Shared = true
[runners.cache.s3]
ServerAddress = %q
AccessKey = %q
SecretKey = %q
BucketName = %q
BucketLocation = %q
Insecure = true
`, path, c.ServerAddress, c.AccessKey, c.SecretKey, c.BucketName, c.BucketLocation)
}

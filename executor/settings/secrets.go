package settings

import (
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// secretKeys are those whose values no error shows. Some of them are no secrets by themselves: an access key, or a URL, which may hold a password.
var secretKeys = []string{
	"cache.s3.AccessKey", "cache.s3.SecretKey", "cache.s3.SessionToken", "cache.signing_key", "stats.push_gateway", "stats.traces.endpoint", "stats.traces.headers",
}

// Secret is a key of the settings that holds something secret.
type Secret struct {
	Key    string
	Values []string // in each form in which they may turn up somewhere
}

// Secrets are the secrets that the settings hold. No log may show them.
func (s *Settings) Secrets() []Secret {
	var all []Secret
	add := func(key string, values ...string) {
		if strings.Join(values, "") != "" {
			all = append(all, Secret{key, values})
		}
	}
	add("cache.s3.SecretKey", s.Cache.S3.SecretKey)
	add("cache.s3.SessionToken", s.Cache.S3.SessionToken)
	add("cache.signing_key", s.Cache.SigningKey)
	add("stats.push_gateway", store.LoginIn(s.Stats.PushGateway)...)
	add("stats.traces.endpoint", store.LoginIn(s.Stats.Traces.Endpoint)...)
	var headers []string
	for _, value := range s.Stats.Traces.Headers {
		if words := strings.Fields(value); len(words) > 0 {
			headers = append(headers, value, words[len(words)-1]) // it may be Bearer and a token
		}
	}
	add("stats.traces.headers", headers...)
	return all
}

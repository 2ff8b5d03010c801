package settings

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
)

// check reports values that have the right type and make no sense.
func (s *Settings) check(r *report) {
	r.absolute("state_dir", s.StateDir)
	r.positive("layer_idle", s.LayerIdle)
	s.Docker.check(r)
	s.Cache.check(r)
	s.Stats.check(r)
	r.oneOf("log.level", strings.ToLower(s.Log.Level), logLevels()...)
	r.oneOf("log.format", s.Log.Format, FormatText, FormatJSON)
	r.optional("log.file", s.Log.File, r.absolute)
}

// shortestKey is the length of a signing key, in characters, from which on it is not guessed even if these are only hexadecimal digits.
const shortestKey = 32

// check is that of the [cache] table.
func (c *Cache) check(r *report) {
	for i, kind := range c.Kinds {
		r.oneOf("cache.kinds", kind, KindModules, KindBuild)
		if slices.Contains(c.Kinds[:i], kind) {
			r.add("cache.kinds", kind, "each kind at most once")
		}
	}
	c.checkExtra(r)
	r.oneOf("cache.driver", c.Driver, DriverAuto, DriverImage, DriverCopy)
	r.positive("cache.restore_timeout", c.RestoreTimeout)
	r.positive("cache.save_timeout", c.SaveTimeout)
	if n := len(c.SigningKey); n > 0 && n < shortestKey {
		r.add("cache.signing_key", nil, "has %d characters; take at least %d, for example of openssl rand -hex 32", n, shortestKey)
	}
	r.optional("cache.directory.path", c.Directory.Path, r.absolute)
	if _, named := r.lines["cache.s3"]; !named && !c.Shared() {
		return
	}
	for _, p := range c.S3.Problems() {
		key := "cache.s3." + p.Key
		r.addAt(r.lines[key], key, p.Value, "%s", p.Reason)
	}
}

// optional applies a check unless the value is empty.
func (r *report) optional(key, value string, check func(key, value string)) {
	if value != "" {
		check(key, value)
	}
}

// each applies a check to every element of a list.
func (r *report) each(key string, values []string, check func(key, value string)) {
	for _, value := range values {
		check(key, value)
	}
}

func (r *report) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		r.add(key, value, "unknown value; allowed are %s", strings.Join(allowed, ", "))
	}
}

func (r *report) atLeast(key string, value, least int, meaning string) {
	if value < least {
		r.add(key, value, "too small; has to be %d or more (%s)", least, meaning)
	}
}

func (r *report) positive(key string, value Duration) {
	if value.Duration <= 0 {
		r.add(key, value, `has to be more than 0, for example "30s"`)
	}
}

// absolute refuses the root folder too: what is kept and removed there would be the host's own.
func (r *report) absolute(key, value string) {
	if !filepath.IsAbs(value) || filepath.Clean(value) == "/" || strings.ContainsRune(value, 0) {
		r.add(key, value, "has to be an absolute path below /, such as /var/lib/gitlab-go-executor")
	}
}

// logLevels returns the names of logrus's levels, and warn, which it reads too.
func logLevels() []string {
	names := []string{"warn"}
	for _, level := range logrus.AllLevels {
		names = append(names, level.String())
	}
	slices.Sort(names)
	return names
}

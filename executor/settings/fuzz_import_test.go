package settings

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// FuzzImport reads somebody's config.toml of GitLab Runner: what comes of it are TOML files, and a value that is not carried over, which may be a secret,
// is in neither comments nor errors.
func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		"[[runners]]\nname = \"one\"\nexecutor = \"docker\"\ntoken = \"hunter2\"\n[runners.docker]\nimage = \"golang:1.26\"\nfrobnicate = \"hunter2\"\nvolumes = [\"/cache\"]\n",
		"[[runners]]\nexecutor = \"docker\"\n[runners.docker]\n\"a\\u0001\\n[x]\" = 1\n[runners.cache]\nType = \"gcs\"\nPath = \"/x/\"\n[runners.cache.s3]\nBucketName = \"b\"\n",
		"[[runners]]\nexecutor = \"docker\"\nname = \"\\u001b\\n\"\n[[runners]]\nexecutor = \"docker\"\nname = \"../../etc/x\"\n[runners.docker]\nmemory = \"1g\"\n",
		"[[runners]]\nexecutor = \"shell\"\n", "concurrent = 1", "runners = 1", "[[runners]]\nexecutor = [[", "[[runners]]\nexecutor = \"docker\"\nx = [1, \"a\", {b = 1979-05-27}]\ncustom = 7\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Import(data, options)
		if err != nil {
			if strings.Contains(err.Error(), "hunter2") || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("%q", err)
			}
			return
		}
		for _, one := range all {
			for name, text := range map[string]string{"settings": one.Settings, "runner": one.Runner} {
				var into map[string]any
				if _, err := toml.Decode(text, &into); err != nil {
					t.Errorf("the %s are no TOML: %v\n%q", name, err, text)
				}
			}
			for line := range strings.Lines(one.Settings) {
				if strings.HasPrefix(line, "#") && strings.Contains(line, "hunter2") {
					t.Errorf("a comment tells a secret: %q", line)
				}
			}
			if len(all) > 1 && !strings.HasPrefix(one.Config, "/etc/gitlab-go-executor/runner-") || strings.Contains(one.Config, "/../") {
				t.Errorf("%q is not beside the settings", one.Config)
			}
		}
	})
}

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// dockerRunner is a runner that import-config makes one of ours.
const dockerRunner = `[[runners]]
executor = "docker"
[runners.docker]
image = "golang:1.26"
`

// Each piece of TOML is a settings file, or the stanza that import-config would write.
func TestSettingsThatReadersAreShownWork(t *testing.T) {
	t.Parallel()
	imported, err := settings.Import([]byte(dockerRunner), settings.ImportOptions{Program: "/usr/local/bin/gitlab-go-executor", Config: defaultConfig, Default: true})
	if err != nil {
		t.Fatal(err)
	}
	ours, stanzas := 0, 0
	for _, p := range readerPages(t) {
		for _, b := range p.blocks {
			switch {
			case b.lang != "toml":
			case strings.Contains(b.text, "[[runners]]"):
				stanzas++
				var got, want map[string]any
				if _, err := toml.Decode(b.text, &got); err != nil {
					t.Errorf("%s:%d: %v", p.name, b.line, err)
				}
				if _, err := toml.Decode(imported[0].Runner, &want); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s:%d: the stanza is\n%v\nimport-config makes\n%v", p.name, b.line, got, want)
				}
			default:
				ours++
				file := filepath.Join(t.TempDir(), "config.toml")
				if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := settings.Load(file); err != nil {
					t.Errorf("%s:%d: %v", p.name, b.line, err)
				}
			}
		}
	}
	if ours < 5 || stanzas != 1 {
		t.Errorf("%d pieces of settings, %d stanzas", ours, stanzas)
	}
}

// exampleKeys are the keys of config.example.toml, of which its own tests know that they are all.
func exampleKeys(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repository, "config.example.toml"))
	if err != nil {
		t.Fatal(err)
	}
	keys, prefix := map[string]bool{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if found := regexp.MustCompile(`^#?\[?\[([a-z0-9_.]+)\]\]?$`).FindStringSubmatch(line); found != nil {
			prefix = found[1] + "."
			keys[found[1]] = true
		}
		if found := regexp.MustCompile(`^#?([A-Za-z0-9_]+) =`).FindStringSubmatch(line); found != nil {
			keys[prefix+found[1]] = true
		}
	}
	return keys
}

func TestSettingsThatAreNamedExist(t *testing.T) {
	t.Parallel()
	keys := exampleKeys(t)
	named := regexp.MustCompile(`^(?:docker|cache|stats|log)\.[A-Za-z0-9_.]+`)
	found := 0
	for _, p := range readerPages(t) {
		for i, line := range p.prose {
			for _, text := range codes(line) {
				if key := named.FindString(text); key != "" && key != "cache.miss" { // which is an event of traces
					found++
					if !keys[key] {
						t.Errorf("%s:%d: there is no setting %s", p.name, i+1, key)
					}
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d settings are named", found)
	}
}

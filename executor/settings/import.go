package settings

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Imported is what one runner of the docker executor becomes here.
type Imported struct {
	Name string
	// Config is where Settings belongs.
	Config string
	// Settings is our settings file. It begins with comments about what could not be carried over.
	Settings string
	// Runner takes the place of the runner's [[runners]] in the config.toml of GitLab Runner.
	Runner string
	// Open is how many keys have to be decided about before Load accepts Settings.
	Open int
}

// ImportOptions say where things are on this host.
type ImportOptions struct {
	Source string // the config.toml, for comments
	// Program is this program, Config the settings file that it is told to read; Default says that it does so untold. Where there are
	// several runners, their settings lie beside that file, by their names.
	Program, Config string
	Default         bool
}

// Import reads the config.toml of a GitLab Runner, whatever else is in it, and gives what each of its runners of the docker executor
// becomes. The texts hold the secrets of the file; errors and comments never do. A value that Load refuses is carried over all the same:
// a host must not become more open because one pattern of a list was not understood.
func Import(data []byte, o ImportOptions) ([]Imported, error) {
	var file struct {
		Runners []map[string]any `toml:"runners"`
	}
	if err := toml.Unmarshal(data, &file); err != nil {
		var at toml.ParseError // which may hold a piece of a secret
		errors.As(err, &at)
		return nil, fmt.Errorf("%s:%d: not valid TOML, or no config.toml of GitLab Runner", o.Source, at.Position.Line)
	}
	var docker []map[string]any
	var others []string
	for _, r := range file.Runners {
		if executor, _ := r["executor"].(string); executor == "docker" {
			docker = append(docker, r)
		} else {
			others = append(others, fmt.Sprintf("%q", executor))
		}
	}
	var all []Imported
	for n, r := range docker {
		mine := o
		if name, _ := r["name"].(string); len(docker) > 1 {
			mine.Config, mine.Default = filepath.Join(filepath.Dir(o.Config), fmt.Sprintf("runner-%d-%s.toml", n+1, notFileName.ReplaceAllString(name, "-"))), false
		}
		one, err := importRunner(r, mine)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no [[runners]] with executor = \"docker\" (those there are: %s); name another file", o.Source, strings.Join(others, ", "))
	}
	return all, nil
}

var notFileName = regexp.MustCompile(`[^a-zA-Z0-9._-]+`)

// importing is the work on one runner.
type importing struct {
	lost []string // comments: what could not be carried over
	note []string // comments: what is good to know
}

func importRunner(r map[string]any, o ImportOptions) (Imported, error) {
	name, _ := r["name"].(string)
	one := Imported{Name: name, Config: o.Config}
	var i importing
	section, _ := r["docker"].(map[string]any)
	cache, _ := r["cache"].(map[string]any)
	ours := map[string]any{"docker": i.pick("docker.", section, reflect.TypeFor[Docker]())}
	if s3 := i.s3(cache); len(s3) > 0 {
		ours["cache"] = map[string]any{"s3": s3}
	}
	if _, named := ours["docker"].(map[string]any)["helper_image"]; !named {
		i.note = append(i.note, "helper_image: name the image of your GitLab Runner's version, to be sure that both fit")
	}
	body, err := encode(ours)
	if err != nil {
		return one, err
	}
	if one.Runner, err = i.stanza(r, o); err != nil {
		return one, err
	}
	open := unreadable(body)
	one.Open = len(open)
	one.Settings = fmt.Sprintf("# Settings of gitlab-go-executor, from the runner %q of %s. config.example.toml explains every key.\n", name, o.Source) +
		comment("Could not be carried over:", i.lost) + comment("Good to know:", i.note) + comment("To be decided before this file can be used:", open) + "\n" + body
	return one, nil
}

// pick takes the keys of a table that a struct of ours has.
func (i *importing) pick(prefix string, from map[string]any, into reflect.Type) map[string]any {
	out := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(from)) {
		field := fieldOf(reflect.New(into).Elem(), key)
		pointer := field.IsValid() && field.Kind() == reflect.Pointer // for which false is not nothing
		switch {
		case empty(from[key]) && !pointer: // the Runner writes some keys without being told to
		case field.IsValid():
			out[key] = from[key]
		case refused[prefix+key] != "":
			i.lost = append(i.lost, prefix+key+": "+refused[prefix+key])
		default:
			i.lost = append(i.lost, prefix+key+": this program has no such key")
		}
	}
	return out
}

// s3 makes a store of the bucket that the runner has for the cache keyword.
func (i *importing) s3(cache map[string]any) map[string]any {
	if empty(cache) {
		return nil
	}
	kind, _ := cache["Type"].(string)
	bucket, _ := cache["s3"].(map[string]any)
	if kind != "s3" || len(bucket) == 0 {
		i.lost = append(i.lost, fmt.Sprintf("[runners.cache] of Type %q: Go's caches are shared in a bucket of S3, or not at all; see [cache.s3]", kind))
		return nil
	}
	i.note = append(i.note, "[cache.s3] is for Go's caches; the cache keyword of projects stays with [runners.cache] of the Runner, in the same bucket. Who can write there can write Go's caches too, unless there is a signing_key")
	s3 := i.pick("cache.s3.", bucket, reflect.TypeFor[store.S3Config]())
	if path, _ := cache["Path"].(string); strings.Trim(path, "/") != "" {
		s3["Prefix"] = strings.Trim(path, "/")
	}
	return s3
}

// stanza is the runner as one of the custom executor, with all that is not the docker executor's.
func (i *importing) stanza(r map[string]any, o ImportOptions) (string, error) {
	r = maps.Clone(r)
	delete(r, "docker")
	for _, key := range slices.Sorted(maps.Keys(idle)) {
		if !empty(r[key]) {
			i.lost = append(i.lost, key+" of [[runners]]: "+idle[key])
		}
		delete(r, key)
	}
	r["executor"] = "custom"
	if _, said := r["safe_directory_checkout"]; !said {
		r["safe_directory_checkout"] = true
	}
	if _, said := r["custom_build_dir"]; !said {
		r["custom_build_dir"] = map[string]any{"enabled": true}
	}
	custom := map[string]any{"graceful_kill_timeout": 60, "force_kill_timeout": 10}
	for _, stage := range []string{"config", "prepare", "run", "cleanup"} {
		args := []string{stage}
		if !o.Default {
			args = []string{"--config", o.Config, stage}
		}
		custom[stage+"_exec"], custom[stage+"_args"] = o.Program, args
	}
	r["custom"] = custom
	return encode(map[string]any{"runners": []map[string]any{r}})
}

// unreadable is why Load refuses a file.
func unreadable(body string) []string {
	var problems *Problems
	var out []string
	if _, err := parse("", []byte(body)); errors.As(err, &problems) {
		for _, p := range problems.All {
			out = append(out, p.Key+": "+p.Reason)
		}
	}
	return out
}

func encode(v any) (string, error) {
	var text bytes.Buffer
	encoder := toml.NewEncoder(&text)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("the settings cannot be written as TOML: %w", err)
	}
	return text.String(), nil
}

// comment makes comments of a heading and what there is below it; with a list that is empty there is nothing.
func comment(heading string, lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	out := "#\n# " + heading + "\n"
	for _, line := range lines {
		out += "#   " + strings.Join(strings.FieldsFunc(line, isNoText), " ") + "\n"
	}
	return out
}

// isNoText is for blanks and for what a comment cannot hold: a key in quotes may have any character.
func isNoText(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }

// empty says whether a value says nothing.
func empty(value any) bool {
	v := reflect.ValueOf(value)
	if !v.IsValid() || v.IsZero() {
		return true
	}
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

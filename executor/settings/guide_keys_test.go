package settings

import (
	"errors"
	"go/ast"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// everything is the example file with all keys uncommented: a settings file with each key there is.
func everything(t *testing.T) string {
	t.Helper()
	return commented.ReplaceAllString(readExample(t), "$1")
}

// problemsWith are those of everything with one more key in a table.
func problemsWith(t *testing.T, header, key, value string) []Problem {
	t.Helper()
	text := everything(t)
	if !strings.Contains(text, "\n"+header+"\n") {
		t.Fatalf("%s has no %s", example, header)
	}
	_, err := load(t, strings.Replace(text, "\n"+header+"\n", "\n"+header+"\n"+key+" = "+value+"\n", 1))
	var problems *Problems
	if errors.As(err, &problems) {
		return problems.All
	}
	return nil
}

// checkKeys compares a table of the guide with the keys that a struct of ours and one of GitLab Runner's have, and with what Load says.
func checkKeys(t *testing.T, heading, header string, ours []string, theirs map[string]string) {
	t.Helper()
	prefix := strings.Trim(header, "[]") + "."
	all := map[string]bool{}
	for _, key := range ours {
		all[key] = true
	}
	for key := range theirs {
		all[key] = true
	}
	for key := range refused {
		if name, ok := strings.CutPrefix(key, prefix); ok && !strings.Contains(name, ".") {
			all[name] = true
		}
	}
	for key, row := range namesEach(t, readGuide(t, heading), all) {
		here, value := row.cells["here"], theirs[key]
		if value == "" {
			value = `"a"`
		}
		wrong := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s:%d: %s is said to be %q; "+format, append([]any{guide, row.line, key, here}, args...)...)
		}
		mine := slices.Contains(ours, key)
		switch {
		case here == refuses && mine:
			wrong("Load takes it")
		case here == refuses:
			found := problemsWith(t, header, key, value)
			if len(found) != 1 || found[0].Reason != row.cells["note"] {
				wrong("Load says %v", found)
			}
		case !mine:
			wrong("Load says %v", problemsWith(t, header, key, value))
		case here != works && here != differs && here != onlyHere:
			wrong("which is none of the words of the guide")
		case (here == onlyHere) == (theirs[key] != ""):
			wrong("GitLab Runner's own keys are %v", slices.Sorted(maps.Keys(theirs)))
		case here != works && row.cells["note"] == "":
			wrong("how?")
		}
	}
}

func TestTheGuideSaysWhatBecomesOfEachKey(t *testing.T) {
	t.Parallel()
	if _, err := load(t, everything(t)); err != nil {
		t.Fatal(err) // in which each key of ours has a value that is fine
	}
	theirs := runnerKeys(t, "common/config.go", "DockerConfig")
	maps.Copy(theirs, runnerKeys(t, "helpers/docker/credentials.go", "Credentials"))
	var ours []string
	for _, key := range keys("", reflect.TypeFor[Docker]()) {
		if !strings.Contains(key, ".") {
			ours = append(ours, key)
		}
	}
	checkKeys(t, dockerTable, "[docker]", ours, theirs)
	checkKeys(t, servicesTable, "[[docker.services]]", keys("", reflect.TypeFor[Service]()), runnerKeys(t, "common/config.go", "Service"))
}

func TestTheGuideSaysWhatBecomesOfEachKeyOfTheRunner(t *testing.T) {
	t.Parallel()
	all := map[string]bool{}
	for _, name := range []string{"RunnerConfig", "RunnerCredentials", "RunnerSettings"} {
		for key := range runnerKeys(t, "common/config.go", name) {
			all[key] = true
		}
	}
	for _, executor := range []string{"autoscaler", "instance", "kubernetes", "machine", "parallels", "ssh", "virtualbox"} {
		if !all[executor] {
			t.Errorf("GitLab Runner has no executor %s any more", executor)
		}
		delete(all, executor)
	}
	for key, row := range namesEach(t, readGuide(t, runnersTable), all) {
		here, why := row.cells["here"], idle[key]
		if (here == noEffect) != (why != "" || key == "docker") || !strings.Contains(row.cells["note"], why) {
			t.Errorf("%s:%d: %s: %s, %s; import-config says %q", guide, row.line, key, here, row.cells["note"], why)
		}
	}
}

func TestTheGuideIsAboutTheRunnerThatIsTested(t *testing.T) {
	t.Parallel()
	version, err := os.ReadFile(runnerFile(t, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimSpace(string(version)), ".")
	if want := "GitLab Runner " + strings.Join(parts[:min(2, len(parts))], ".") + "'s"; !strings.Contains(string(text), want) {
		t.Errorf("%s does not say %q", guide, want)
	}
}

func TestTheGuideSaysWhatBecomesOfEachFlag(t *testing.T) {
	t.Parallel()
	all := map[string]bool{}
	for _, d := range parseGo(t, runnerFile(t, "helpers/featureflags/flags.go")).Decls {
		if constants, ok := d.(*ast.GenDecl); ok {
			for _, text := range quoted(constants) {
				if strings.HasPrefix(text, "FF_") && !strings.Contains(text, " ") && text != "FF_TEST_FEATURE" {
					all[text] = true
				}
			}
		}
	}
	namesEach(t, readGuide(t, flagsTable), all)
}

func TestTheGuideKnowsEachVariableThatRunnerHeeds(t *testing.T) {
	t.Parallel()
	rows := namesEach(t, readGuide(t, variablesTable), nil)
	found := 0
	ast.Inspect(parseGo(t, runnerFile(t, "common/build_settings.go")), func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if called, ok := call.Fun.(*ast.Ident); ok && called.Name == "validate" {
			found++
			if _, has := rows[quoted(call)[0]]; !has {
				t.Errorf("%s: %s has no row", guide, quoted(call)[0])
			}
		}
		return true
	})
	if found == 0 {
		t.Error("GitLab Runner reads its variables elsewhere")
	}
}

// TestTheGuideNamesTestsThatThereAre also checks that what is said to work is shown by no case that ends otherwise than under the docker
// executor.
func TestTheGuideNamesTestsThatThereAre(t *testing.T) {
	t.Parallel()
	tests, cases := repositoryTests(t)
	words := []string{works, differs, noEffect, doesNotWork}
	for _, heading := range []string{runnersTable, flagsTable, keywordsTable, variablesTable} {
		rows := readGuide(t, heading)
		namesEach(t, rows, nil)
		for _, row := range rows {
			here, shown := row.cells["here"], row.cells["shown by"]
			if !slices.Contains(words, here) || (here != works && here != doesNotWork && row.cells["note"] == "") {
				t.Errorf("%s:%d: %q, which is none of the words of the guide, or wants a note", guide, row.line, here)
			}
			names := codes(shown)
			if shown != "not tested" && code.ReplaceAllString(shown, "x") != strings.TrimSuffix(strings.Repeat("x, ", len(names)), ", ") {
				t.Errorf("%s:%d: %q is neither a list of tests nor \"not tested\"", guide, row.line, shown)
			}
			for _, name := range names {
				differing, isCase := cases[name]
				if !tests[name] && !isCase {
					t.Errorf("%s:%d: there is no test %q", guide, row.line, name)
				}
				if differing && here == works {
					t.Errorf("%s:%d: %s works, and the case %q differs", guide, row.line, row.names, name)
				}
			}
		}
	}
}

// TestGitLabsOwnExampleOfTheSectionMovesOver takes the example of GitLab Runner's documentation, which is in many a config.toml.
func TestGitLabsOwnExampleOfTheSectionMovesOver(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(runnerFile(t, "docs/configuration/advanced-configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "### The `[[runners.docker.services]]` section")
	_, text, _ = strings.Cut(text, "```toml\n")
	text, _, found := strings.Cut(text, "```")
	if !found || !strings.Contains(text, "[runners.docker]") {
		t.Fatalf("the example is elsewhere: %.200s", text)
	}
	_, err = load(t, strings.ReplaceAll(text, "runners.docker", "docker"))
	var problems *Problems
	if !errors.As(err, &problems) || len(problems.All) != 2 || problems.All[0].Key != "docker.tls_cert_path" || problems.All[1].Key != "docker.links" {
		t.Errorf("want two problems, with a remote daemon's certificates and with links in a network of the job's own; got\n%v", err)
	}
	got, err := load(t, "[docker]\nhost = \"\"")
	if err != nil || got.Docker.Host != Default().Docker.Host {
		t.Errorf("no host: %+v, %v", got, err)
	}
}

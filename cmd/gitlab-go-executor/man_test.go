package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs the program with arguments.
func call(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEachCommandHasAManPageUnlessItIsInternal(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := filepath.Join(t.TempDir(), "man1")
	call(t, "man", dir)
	for _, command := range []string{"", "-serve", "-prune", "-stats-explain", "-completion-bash", "-run"} {
		page, err := os.ReadFile(filepath.Join(dir, "gitlab-go-executor"+command+".1"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), `"Nov 2023"`) || !strings.Contains(string(page), ".SH SYNOPSIS") || strings.Contains(string(page), "Auto generated") {
			t.Errorf("page of %q:\n%s", command, page)
		}
	}
	for _, command := range []string{"inside", "man"} {
		if pages, _ := filepath.Glob(filepath.Join(dir, "*-"+command+"*")); len(pages) > 0 {
			t.Errorf("internal commands have pages: %v", pages)
		}
	}
}

func TestCompletionKnowsCommandsAndFlagsButNotInternalOnes(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if script := call(t, "completion", shell); !strings.Contains(script, "__complete") {
			t.Errorf("%s: %s", shell, script)
		}
	}
	commands := call(t, "__complete", "")
	for _, command := range []string{"serve\t", "prune\t", "stats\t", "prepare\t"} {
		if !strings.Contains(commands, command) {
			t.Errorf("%q is not completed:\n%s", command, commands)
		}
	}
	for _, command := range []string{"inside\t", "man\t"} {
		if strings.Contains("\n"+commands, "\n"+command) {
			t.Errorf("%q is completed:\n%s", command, commands)
		}
	}
	if flags := call(t, "__complete", "prune", "--"); !strings.Contains(flags, "--older-than\t") || !strings.Contains(flags, "--config\t") {
		t.Errorf("flags of prune:\n%s", flags)
	}
	if files := call(t, "__complete", "serve", "--config", ""); !strings.Contains(files, "toml\n:8\n") {
		t.Errorf("settings are not completed by their ending:\n%s", files)
	}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// allCommands are those that people may call, without the program itself.
func allCommands() (all []*cobra.Command) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				all = append(all, sub)
				walk(sub)
			}
		}
	}
	walk(newRootCommand())
	return all
}

// pathOf is a command's name without the program's.
func pathOf(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}

var usageOfFlag = regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`)

// flagsOf are those of a command's own usage text, or of another's.
func flagsOf(c *cobra.Command) []string { return flagsIn(c.LocalNonPersistentFlags().FlagUsages()) }

func flagsIn(usage string) (names []string) {
	for _, found := range usageOfFlag.FindAllStringSubmatch(usage, -1) {
		names = append(names, found[1])
	}
	return names
}

func TestEachCommandAndFlagIsDocumented(t *testing.T) {
	t.Parallel()
	p := readPage(t, operatorPage)
	above := strings.Join(p.section(t, "Commands"), "\n")
	intro, _, _ := strings.Cut(above, "\n### ")
	headings := map[string]string{} // by command
	for _, line := range p.section(t, "Commands") {
		if found := headingLine.FindStringSubmatch(line); found != nil {
			for _, name := range codes(found[2]) {
				headings[name] = found[2]
			}
		}
	}
	for _, c := range allCommands() {
		heading, flags := headings[pathOf(c)], flagsOf(c)
		delete(headings, pathOf(c))
		switch {
		case heading == "" && len(flags) == 0 && strings.Contains(intro, "`"+pathOf(c)+"`"):
		case heading == "":
			t.Errorf("%s does not tell of %s", p.name, pathOf(c))
		case len(flags) > 0:
			same(t, p.name+", "+heading, p.firstCells(t, heading, "flag"), flags)
		}
	}
	for name := range headings {
		t.Errorf("%s tells of %s, and there is no such command", p.name, name)
	}
	for _, flag := range flagsIn(newRootCommand().PersistentFlags().FlagUsages()) {
		if !strings.Contains(intro, "`"+flag) {
			t.Errorf("%s does not tell of %s", p.name, flag)
		}
	}
}

// others are the programs of others that readers are told to call.
var others = []string{"apt", "curl", "docker", "du", "git", "grep", "install", "journalctl", "readlink", "rm", "systemctl"}

var (
	shellWord   = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`)
	unquoted    = strings.NewReplacer("'", "", `"`, "")
	makeTarget  = regexp.MustCompile(`(?m)^([a-z/-]+):`)
	redirection = regexp.MustCompile(`^[0-9]?[<>]`)
)

// checkLine says what is wrong with a line for a shell.
func checkLine(line string) error {
	var command []string
	var problems []error
	end := func() {
		if len(command) > 0 {
			problems = append(problems, checkCommand(command))
		}
		command = nil
	}
	for _, word := range shellWord.FindAllString(line, -1) {
		switch {
		case strings.HasPrefix(word, "#"):
			end()
			return errors.Join(problems...)
		case word == "|", word == "&&", word == ";":
			end()
		case redirection.MatchString(word), len(command) == 0 && word == "sudo":
		default:
			command = append(command, unquoted.Replace(word))
		}
	}
	end()
	return errors.Join(problems...)
}

func checkCommand(words []string) error {
	switch name := words[0]; {
	case filepath.Base(name) == "gitlab-go-executor":
		return checkOurs(words[1:])
	case name == "make":
		makefile, err := os.ReadFile(filepath.Join(repository, "Makefile"))
		if err != nil {
			return err
		}
		for _, target := range words[1:] {
			if !slices.ContainsFunc(makeTarget.FindAllStringSubmatch(string(makefile), -1), func(found []string) bool { return found[1] == target }) {
				return fmt.Errorf("make has no target %s", target)
			}
		}
	case strings.HasPrefix(name, "scripts/"), strings.HasPrefix(name, "/usr/share/gitlab-go-executor/"): // where packages have them
		info, err := os.Stat(filepath.Join(repository, "scripts", filepath.Base(name)))
		if err == nil && info.Mode()&0o111 == 0 {
			err = fmt.Errorf("%s cannot be run", name)
		}
		return err
	case !slices.Contains(others, name):
		return fmt.Errorf("what is %s?", name)
	}
	return nil
}

// checkOurs has the command take its flags and arguments, and does not run it.
func checkOurs(args []string) error {
	c, rest, err := newRootCommand().Find(args)
	if err != nil {
		return err
	}
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	if err := c.ParseFlags(rest); err != nil {
		return fmt.Errorf("%s: %w", c.CommandPath(), err)
	}
	return c.ValidateArgs(c.Flags().Args())
}

func TestCommandsThatReadersAreToldToCallExist(t *testing.T) {
	t.Parallel()
	found := 0
	for _, p := range readerPages(t) {
		for _, b := range p.blocks {
			for i, line := range strings.Split(b.text, "\n") {
				ours := strings.HasPrefix(strings.TrimSpace(line), "gitlab-go-executor ")
				if b.lang != "sh" && (b.lang != "" || !ours) {
					continue
				}
				found++
				if err := checkLine(line); err != nil {
					t.Errorf("%s:%d: %v", p.name, b.line+i, err)
				}
			}
		}
		for i, line := range p.prose {
			if strings.Count(line, "`")%2 != 0 {
				t.Errorf("%s:%d: a text in backticks goes on in the next line, where no test finds it", p.name, i+1)
			}
			for _, text := range codes(line) {
				if err := checkCode(text); err != nil {
					t.Errorf("%s:%d: `%s`: %v", p.name, i+1, text, err)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d lines for a shell", found)
	}
}

// foreign are flags of others that are named alone.
var foreign = []string{"--executor custom", "--help", "--version"}

// checkCode looks at a text in backticks that is a call of ours, or a flag.
func checkCode(text string) error {
	words := strings.Fields(text)
	isCommand := func(c *cobra.Command) bool {
		return len(words) > 1 && c.Name() == words[0] && strings.HasPrefix(words[1], "--")
	}
	switch {
	case len(words) > 0 && (words[0] == "gitlab-go-executor" || words[0] == "make" && len(words) > 1 || strings.HasPrefix(words[0], "scripts/")):
		return checkLine(text)
	case strings.HasPrefix(text, "--") && !slices.Contains(foreign, text):
		known := []string{"--config"}
		for _, c := range allCommands() {
			known = append(known, flagsOf(c)...)
		}
		if !slices.Contains(known, words[0]) {
			return errors.New("no command has this flag")
		}
	case slices.ContainsFunc(allCommands(), isCommand):
		return checkOurs(words)
	}
	return nil
}

// What checkLine has to find, lest it finds nothing at all.
func TestWhatIsWrongWithALineForAShellIsFound(t *testing.T) {
	t.Parallel()
	for line, wrong := range map[string]bool{
		"gitlab-go-executor stats --by project --since 7d": false, "sudo bin/gitlab-go-executor try ~/src/app --runs 2 # how fast?": false,
		"git ls-remote URL >refs && gitlab-go-executor prune --store --project 42 --refs refs": false, "make demo": false,
		"gitlab-go-executor stat": true, "gitlab-go-executor prune --old 720h": true, "gitlab-go-executor prune --older-than month": true,
		"gitlab-go-executor stats explain": true, "git ls-remote URL | gitlab-go-executor purge": true, "make dmeo": true, "scripts/setpu.sh": true, "gti status": true,
	} {
		if err := checkLine(line); (err != nil) != wrong {
			t.Errorf("%s: %v", line, err)
		}
	}
}

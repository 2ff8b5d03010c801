package goenv

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// cSide takes the fingerprint of all that the C compiler and the linker read: "" if cc, what go env has for CC, does not run.
func (m machine) cSide(ctx context.Context, cc, goroot string) (string, error) {
	command := words(cc)
	if len(command) == 0 {
		return "", nil
	}
	if command[0] = m.lookPath(command[0]); command[0] == "" {
		return "", nil
	}
	about, err := m.run(ctx, nil, append(command, "--version")...)
	if errors.Is(err, errUnusable) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	reads, err := m.compilerReads(ctx, command)
	if err != nil {
		return "", err
	}
	dirs := slices.Concat(m.cDirs, m.path(), reads, []string{filepath.Dir(command[0])})
	for _, dir := range dirs[:len(dirs):len(dirs)] { // a walk follows no link
		if target, err := filepath.EvalSymlinks(dir); err == nil {
			dirs = append(dirs, target)
		}
	}
	skip := slices.Clone(noCDirs)
	if target, err := filepath.EvalSymlinks(goroot); err == nil { // Go's own key has its version
		skip = append(skip, target)
	}
	return machineC{dirs: dirs, skip: skip, about: about}.fingerprint(ctx)
}

// compilerReads asks a compiler, gcc or one like it, for the folders of its headers and libraries. One that does not answer has none.
func (m machine) compilerReads(ctx context.Context, command []string) (dirs []string, err error) {
	for _, ask := range [][]string{{"-E", "-v", "-xc", "/dev/null"}, {"-print-search-dirs"}} {
		out, err := m.run(ctx, nil, append(command[:len(command):len(command)], ask...)...)
		if err != nil && !errors.Is(err, errUnusable) {
			return nil, err
		}
		dirs = append(dirs, searchDirs(out)...)
	}
	return dirs, nil
}

// searchDirs reads folders from what gcc and clang print: lines between "search starts here:" and "End of search list.", and after
// "libraries: =".
func searchDirs(out string) (dirs []string) {
	headers := false
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		list, isList := strings.CutPrefix(line, "libraries: =")
		switch {
		case isList:
			dirs = append(dirs, filepath.SplitList(list)...)
		case strings.HasSuffix(line, "search starts here:"):
			headers = true
		case line == "End of search list.":
			headers = false
		case headers:
			dirs = append(dirs, strings.TrimSpace(line))
		}
	}
	return slices.DeleteFunc(dirs, func(dir string) bool { return !filepath.IsAbs(dir) })
}

// words splits a command as cmd/go does (cmd/internal/quoted.Split): quotes around a word, and nothing else.
func words(command string) (found []string) {
	const blanks = " \t\r\n"
	for command = strings.TrimLeft(command, blanks); command != ""; command = strings.TrimLeft(command, blanks) {
		ends, from := blanks, 0
		if command[0] == '"' || command[0] == '\'' {
			ends, from = command[:1], 1
		}
		end := strings.IndexAny(command[from:], ends)
		if end < 0 {
			return append(found, command[from:])
		}
		found = append(found, command[from:from+end])
		command = command[min(from+end+from, len(command)):]
	}
	return found
}

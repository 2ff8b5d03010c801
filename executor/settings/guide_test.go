package settings

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// guide is where an administrator looks up what becomes of what the docker executor can be told.
const guide = "../../docs/docker-executor.md"

// The headings of its tables.
const (
	dockerTable    = "`[runners.docker]`"
	servicesTable  = "`[[runners.docker.services]]`"
	runnersTable   = "`[[runners]]`"
	flagsTable     = "Feature flags"
	keywordsTable  = "Keywords of `.gitlab-ci.yml`"
	variablesTable = "Variables"
)

// The words of its column "here".
const (
	works, differs, refuses = "works", "differs", "refused"
	noEffect, onlyHere      = "no effect", "only here"
	doesNotWork             = "does not work"
)

// guideRow is a row of the guide.
type guideRow struct {
	line  int
	names []string          // those in backticks in the first column, or the text
	cells map[string]string // by the heads of their columns
}

var code = regexp.MustCompile("`([^`]+)`")

// codes are the words in backticks.
func codes(cell string) []string {
	var all []string
	for _, found := range code.FindAllStringSubmatch(cell, -1) {
		all = append(all, found[1])
	}
	return all
}

// readGuide gives the rows of the table below a heading.
func readGuide(t *testing.T, heading string) []guideRow {
	t.Helper()
	data, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	var rows []guideRow
	var heads []string
	at := ""
	for i, line := range strings.Split(string(data), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			at, heads = title, nil
		}
		if at != heading || !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for n := range cells {
			cells[n] = strings.TrimSpace(cells[n])
		}
		if heads == nil {
			heads = cells
			continue
		}
		if len(cells) != len(heads) {
			t.Fatalf("%s:%d: %d cells, want %d", guide, i+1, len(cells), len(heads))
		}
		row := guideRow{line: i + 1, names: codes(cells[0]), cells: map[string]string{}}
		if row.names == nil {
			row.names = []string{cells[0]}
		}
		for n, head := range heads {
			row.cells[head] = cells[n]
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table below %q", guide, heading)
	}
	return rows
}

// namesEach checks that the rows name each of some things once, and nothing else, and gives the rows by their names.
func namesEach(t *testing.T, rows []guideRow, want map[string]bool) map[string]guideRow {
	t.Helper()
	byName := map[string]guideRow{}
	for _, row := range rows {
		for _, name := range row.names {
			if _, twice := byName[name]; twice {
				t.Errorf("%s:%d: %s has two rows", guide, row.line, name)
			}
			if want != nil && !want[name] {
				t.Errorf("%s:%d: there is no %s", guide, row.line, name)
			}
			byName[name] = row
		}
	}
	for name := range want {
		if _, found := byName[name]; !found {
			t.Errorf("%s: %s has no row", guide, name)
		}
	}
	return byName
}

// runnerFile is a file of the source of the GitLab Runner that the tests drive.
func runnerFile(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "gitlab.com/gitlab-org/gitlab-runner").Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("where is GitLab Runner's source? %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), filepath.FromSlash(name))
}

func parseGo(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// runnerKeys are the keys of a struct of GitLab Runner's, each with a value of its type as TOML. Structs in it are not looked into.
func runnerKeys(t *testing.T, file, name string) map[string]string {
	t.Helper()
	keys := map[string]string{}
	ast.Inspect(parseGo(t, runnerFile(t, file)), func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			if field.Tag == nil {
				continue
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			key, _, _ := strings.Cut(reflect.StructTag(tag).Get("toml"), ",")
			if key != "" && key != "-" {
				keys[key] = someValue(field.Type)
			}
		}
		return false
	})
	if len(keys) == 0 {
		t.Fatalf("%s of GitLab Runner has no struct %s", file, name)
	}
	return keys
}

// someValue is a value of a type as TOML has it.
func someValue(of ast.Expr) string {
	switch v := of.(type) {
	case *ast.StarExpr:
		return someValue(v.X)
	case *ast.ArrayType:
		return "[" + someValue(v.Elt) + "]"
	case *ast.MapType:
		return "{ a = " + someValue(v.Value) + " }"
	case *ast.Ident:
		switch v.Name {
		case "bool":
			return "true"
		case "int", "int64":
			return "1"
		}
	}
	return `"a"`
}

// quoted are the strings in an expression.
func quoted(n ast.Node) []string {
	var all []string
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				all = append(all, text)
			}
		}
		return true
	})
	return all
}

// repositoryTests are the tests of this repository, and of the cases that are compared with the docker executor whether these differ.
func repositoryTests(t *testing.T) (tests map[string]bool, cases map[string]bool) {
	t.Helper()
	tests, cases = map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("../*/*_test.go")
	above, errAbove := filepath.Glob("../*_test.go")
	if err != nil || errAbove != nil {
		t.Fatal(err, errAbove)
	}
	for _, file := range slices.Concat(files, above) {
		parsed := parseGo(t, file)
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = true
			}
		}
		if strings.HasPrefix(filepath.Base(file), "parity_") {
			addCases(parsed, cases)
		}
	}
	return tests, cases
}

// addCases finds the cases in a file: what is made of a name and more.
func addCases(in *ast.File, cases map[string]bool) {
	ast.Inspect(in, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		fields := map[string]ast.Expr{}
		for _, element := range lit.Elts {
			if kv, ok := element.(*ast.KeyValueExpr); ok {
				if key, ok := kv.Key.(*ast.Ident); ok {
					fields[key.Name] = kv.Value
				}
			}
		}
		if fields["name"] != nil && fields["job"] != nil {
			for _, name := range quoted(fields["name"]) {
				cases[name] = fields["differs"] != nil
			}
		}
		return true
	})
}

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
)

// What only the source knows: fields of log lines, variables, tests.

// sourceFiles parses the program's Go files, or its tests.
func sourceFiles(t *testing.T, tests bool) (files []*ast.File) {
	t.Helper()
	for _, top := range []string{"cmd", "executor", "cache"} {
		err := fs.WalkDir(os.DirFS(filepath.Join(repository, top)), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") != tests {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(repository, top, name), nil, parser.SkipObjectResolution)
			files = append(files, file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// fieldNames are the names of fields that package oplog gives.
var fieldNames = map[string]string{
	"FieldJob": oplog.FieldJob, "FieldProject": oplog.FieldProject, "FieldStage": oplog.FieldStage, "FieldOutcome": oplog.FieldOutcome, "FieldReason": oplog.FieldReason,
}

// nameIn is the string that an expression is, if it is one or a field of oplog.
func nameIn(e ast.Expr) string {
	switch v := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(v.Value); err == nil && v.Kind == token.STRING {
			return text
		}
	case *ast.SelectorExpr:
		return fieldNames[v.Sel.Name]
	}
	return ""
}

// loggedFields are the fields that lines of the operator log get: WithField, logrus.Fields, and what a function with the latter puts
// into maps.
func loggedFields(files []*ast.File) map[string]bool {
	fields := map[string]bool{logrus.FieldKeyTime: true, logrus.FieldKeyLevel: true, logrus.FieldKeyMsg: true}
	note := func(e ast.Expr) {
		if name := nameIn(e); name != "" {
			fields[name] = true
		}
	}
	for _, file := range files {
		for _, d := range file.Decls {
			function, ok := d.(*ast.FuncDecl)
			if !ok || function.Body == nil {
				continue
			}
			hasFields := false
			ast.Inspect(function, func(n ast.Node) bool {
				switch v := n.(type) {
				case *ast.CompositeLit:
					of, ok := v.Type.(*ast.SelectorExpr)
					hasFields = hasFields || ok && of.Sel.Name == "Fields"
				case *ast.CallExpr:
					called, ok := v.Fun.(*ast.SelectorExpr)
					if ok && called.Sel.Name == "WithField" {
						note(v.Args[0])
					}
					fields[logrus.ErrorKey] = fields[logrus.ErrorKey] || ok && called.Sel.Name == "WithError"
				}
				return true
			})
			if !hasFields {
				continue
			}
			ast.Inspect(function, func(n ast.Node) bool {
				switch v := n.(type) {
				case *ast.KeyValueExpr:
					note(v.Key)
				case *ast.IndexExpr:
					note(v.Index)
				}
				return true
			})
		}
	}
	return fields
}

func TestEachFieldOfTheOperatorLogIsDocumented(t *testing.T) {
	t.Parallel()
	var there []string
	for name := range loggedFields(sourceFiles(t, false)) {
		there = append(there, name)
	}
	same(t, operatorPage, readPage(t, operatorPage).firstCells(t, "The operator log", "field"), there)
}

func TestEachVariableForAuthorsIsDocumented(t *testing.T) {
	t.Parallel()
	variable := regexp.MustCompile(`^GO_EXECUTOR_[A-Z_]+$`)
	var there []string
	for _, file := range sourceFiles(t, false) {
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok {
				if name := nameIn(lit); variable.MatchString(name) && !slices.Contains(there, name) {
					there = append(there, name)
				}
			}
			return true
		})
	}
	same(t, authorPage, readPage(t, authorPage).firstCells(t, "Variables", "variable"), there)
	for _, p := range readerPages(t) {
		for _, name := range regexp.MustCompile(`GO_EXECUTOR_[A-Z_]+`).FindAllString(strings.Join(p.prose, "\n"), -1) {
			if !slices.Contains(there, name) {
				t.Errorf("%s has %s, and there is no such variable", p.name, name)
			}
		}
	}
}

func TestTestsThatAreSaidToShowSomethingExist(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	for _, file := range sourceFiles(t, true) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				tests[f.Name.Name] = true
			}
		}
	}
	for _, p := range readerPages(t) {
		for i, line := range p.prose {
			for _, name := range regexp.MustCompile("`(Test[A-Z]\\w+)`").FindAllStringSubmatch(line, -1) {
				if !tests[name[1]] {
					t.Errorf("%s:%d: there is no test %s", p.name, i+1, name[1])
				}
			}
		}
	}
	for _, row := range readPage(t, securityPage).rows(t, "Threats", "who") {
		if len(row) != 4 || !strings.HasPrefix(row[3], "`Test") {
			t.Errorf("%s: no test shows what stops %s", securityPage, row)
		}
	}
}

// What shows a promise is run by the command that is said to: the tests of faults are not among those of make test.
func TestEachPromiseHasACommandThatShowsIt(t *testing.T) {
	t.Parallel()
	for _, row := range readPage(t, reliabilityPage).rows(t, "Promises", "promise") {
		faults := strings.Contains(row[1], "`TestFault")
		if len(row) != 4 || !strings.HasPrefix(row[3], "`make ") || faults != (row[3] == "`make test-faults`") {
			t.Errorf("%s: %s", reliabilityPage, row)
		}
	}
}

package crash

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What imports nothing cannot kill anything, nor ask the environment whether it shall.
func TestAProgramWithoutTheTagKnowsOfNoCrash(t *testing.T) {
	t.Parallel()
	released, err := build.Default.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"at.go", "crash.go"}; !slices.Equal(released.GoFiles, want) || len(released.Imports) > 0 {
		t.Errorf("a release has the files %v, which import %v; want %v, which import nothing", released.GoFiles, released.Imports, want)
	}
	found := false
	ast.Inspect(parse(t, "at.go"), func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "At" {
			found = true
			if len(f.Body.List) > 0 {
				t.Error("At does something")
			}
		}
		return true
	})
	if !found {
		t.Error("there is no At")
	}
}

func TestEachPointIsReachedByProductionCode(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, folder := range []string{"cmd", "executor", "cache"} {
		usedBelow(t, filepath.Join("..", "..", folder), used)
	}
	names := constants(t)
	if len(names) != len(Points()) || len(names) < 50 {
		t.Errorf("%d constants, %d points", len(names), len(Points()))
	}
	seen := map[Point]bool{}
	for _, step := range Points() {
		name := names[step.Point]
		if name == "" || seen[step.Point] {
			t.Errorf("%q is no constant, or is listed twice", step.Point)
		}
		seen[step.Point] = true
		if !used[name] {
			t.Errorf("no production code crashes at %s", name)
		}
		delete(used, name)
		if step.Of == "" || step.After == "" || step.Before == "" {
			t.Errorf("%s says too little: %+v", name, step)
		}
	}
	if len(used) > 0 {
		t.Errorf("these are no points: %v", used)
	}
}

// usedBelow notes what of this package production code names, and sees that it names nothing but At and points.
func usedBelow(t *testing.T, dir string, used map[string]bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || filepath.Base(filepath.Dir(path)) == "crash" {
			return err
		}
		points := map[*ast.SelectorExpr]bool{}
		ast.Inspect(parse(t, path), func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if f := ofCrash(n.Fun); f != nil && f.Sel.Name == "At" && len(n.Args) == 1 {
					points[f] = true
					if p := ofCrash(n.Args[0]); p != nil {
						points[p], used[p.Sel.Name] = true, true
					}
				}
			case *ast.SelectorExpr:
				if ofCrash(n) != nil && !points[n] {
					t.Errorf("%s names crash.%s other than in crash.At(crash.Point)", path, n.Sel.Name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ofCrash(e ast.Expr) *ast.SelectorExpr {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok && x.Name == "crash" {
			return s
		}
	}
	return nil
}

// constants are the names of the points.
func constants(t *testing.T) map[Point]string {
	t.Helper()
	names := map[Point]string{}
	ast.Inspect(parse(t, "crash.go"), func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			value := strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
			names[Point(value)] = v.Names[0].Name
		}
		return true
	})
	return names
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

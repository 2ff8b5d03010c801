package outcome

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The comment of each reason names its outcome.
func TestReasonsListsEachConstantUnderTheOutcomeOfItsComment(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "outcome.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Comment == nil {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if spec.Type.(*ast.Ident).Name == "Outcome" {
			if _, listed := Reasons()[Outcome(value)]; !listed {
				t.Errorf("the outcome %s is not listed", value)
			}
			return true
		}
		of, _, _ := strings.Cut(spec.Comment.Text(), ":")
		if !slices.Contains(Reasons()[Outcome(of)], Reason(value)) {
			t.Errorf("the reason %s is not listed under %s", value, of)
		}
		return true
	})
	listed := len(Reasons()) - 1 // None is no reason
	for _, reasons := range Reasons() {
		listed += len(reasons)
	}
	if found != listed || found < 20 {
		t.Errorf("%d constants, %d are listed", found, listed)
	}
}

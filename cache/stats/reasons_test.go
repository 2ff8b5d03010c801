package stats

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// constants are the values of the constants of a type in a Go file: this package must not import those that are above it.
func constants(t *testing.T, file, typeName string) (values []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.Ident); ok && of.Name == typeName && len(spec.Values) == 1 {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	return values
}

func TestEachWordOfTheLedgerHasASentence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, typeName string
		words          map[string]string
	}{
		{"../reason.go", "Reason", cacheReasons},
		{"../../executor/outcome/outcome.go", "Outcome", outcomes},
	} {
		values := constants(t, c.file, c.typeName)
		for _, word := range values {
			if c.words[word] == "" {
				t.Errorf("%s: %q has no sentence", c.file, word)
			}
		}
		if len(values) != len(c.words) || len(values) < 7 {
			t.Errorf("%s has %d words, and there are sentences for %d", c.file, len(values), len(c.words))
		}
	}
	// Whatever is in the ledger of a newer release, what is said of it is ours.
	if got := CacheReason("<b>newer") + Outcome("<b>newer"); strings.Contains(got, "newer") || CacheReason("") == CacheReason("<b>newer") {
		t.Errorf("words that nobody knows: %q", got)
	}
}

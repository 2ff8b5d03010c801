package e2e

import "testing"

// A version that is not what go.sum says (a tag that was moved, or a commit whose go.sum was wrong) was cached by an earlier job of the tier.
func TestAModuleThatGoSumContradictsIsFetchedAnew(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	g.ran(g.goJob("go build ./..."))
	moved := newModProxy(t)
	moved.add(t, "example.com/gamma", "v1.0.0", map[string]string{"gamma.go": "package gamma\n\nconst Three = 3\n"})
	moved.add(t, "example.com/beta", "v1.0.0", map[string]string{"beta.go": "package beta\n\nimport \"example.com/gamma\"\n\nconst Two = gamma.Three - 1\n"}, "example.com/gamma@v1.0.0")
	moved.add(t, "example.com/alpha", "v1.0.0", map[string]string{"alpha.go": "package alpha\n\nconst Version = \"moved\"\n"})
	g.proxy = moved
	g.change(map[string]string{"go.sum": moved.goSum()})
	r := g.run(g.goJob("go run ."))
	g.succeeded(r)
	g.says(r, "moved 5")
}

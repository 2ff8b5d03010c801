package executor

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// advertised is what git ls-remote prints for refs.
func advertised(refs ...string) string {
	var list strings.Builder
	for _, ref := range refs {
		list.WriteString(strings.Repeat("0a", 20) + "\t" + ref + "\n")
	}
	return list.String()
}

func TestTheTiersOfRefsThatThereAreStay(t *testing.T) {
	t.Parallel()
	list := advertised(
		"HEAD", "refs/heads/main", "refs/heads/fix/a-b", "refs/merge-requests/5/head", "refs/merge-requests/6/merge", "refs/pipelines/9", "refs/tags/v1", "refs/tags/v1^{}",
	)
	tiers, err := tiersOf(strings.NewReader(list))
	if err != nil {
		t.Fatal(err)
	}
	tierOf := func(refType, ref string) string {
		p := runner.Payload{GitInfo: runner.GitInfo{RepoURL: "https://gitlab.example.com/g/p.git", RefType: refType, Ref: ref}}
		return p.Identity().Tier // of a job, whatever the tests of runner say
	}
	for _, there := range [][2]string{
		{"branch", "main"},
		{"branch", "fix/a-b"},
		{"tag", "v1"},
		{"branch", "refs/merge-requests/5/head"},
		{"branch", "refs/merge-requests/6/head"},
		{"branch", "refs/merge-requests/5/merge"},
		{"branch", "refs/merge-requests/5/train"},
		{"branch", "refs/pipelines/9"},
	} {
		if !tiers[tierOf(there[0], there[1])] {
			t.Errorf("%v would go", there)
		}
	}
	for _, gone := range [][2]string{{"tag", "main"}, {"branch", "v1"}, {"branch", "fix"}, {"branch", "fix/a/b"}, {"branch", "refs/merge-requests/55/head"}} {
		if tiers[tierOf(gone[0], gone[1])] {
			t.Errorf("%v would stay", gone)
		}
	}
	if !tiers[runner.ProtectedTier] {
		t.Error("the protected tier would go")
	}
}

func TestAListOfRefsThatCannotBeAllIsRefused(t *testing.T) {
	t.Parallel()
	main := advertised("refs/heads/main")
	for name, c := range map[string]struct {
		list io.Reader
		says string
	}{
		"empty":            {strings.NewReader(""), "names no branch"},
		"tags alone":       {strings.NewReader(advertised("refs/tags/v1")), "names no branch"},
		"what git says":    {strings.NewReader(main + "fatal: unable to access 'https://gitlab.example.com/g/p.git/'\n"), `line 2 of the list of refs, "fatal:`},
		"names alone":      {strings.NewReader("refs/heads/main\n"), "<sha>, tab, <ref name>"},
		"an empty line":    {strings.NewReader(main + "\n" + main), "line 2"},
		"not readable":     {iotest.ErrReader(errors.New("input/output error")), "input/output error"},
		"broken off":       {io.MultiReader(strings.NewReader(main), iotest.ErrReader(io.ErrUnexpectedEOF)), "unexpected EOF"},
		"cut off, no name": {strings.NewReader(main + strings.Repeat("0a", 20) + "\t"), "line 2"},
	} {
		if tiers, err := tiersOf(c.list); err == nil || !strings.Contains(err.Error(), c.says) || tiers != nil {
			t.Errorf("%s: %v, %v", name, tiers, err)
		}
	}
}

package dashboard

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzName shows a name that anybody may have given: no longer than there is room, without what steers text or cannot be seen; and a link that is
// made of it stays on these pages.
func FuzzName(f *testing.F) {
	for _, seed := range []string{"main", "日本", "\x1b[2J\n", "a\u202eb", "e" + strings.Repeat("\u0301", 9), "\xff", "..", ".", "../..", "?range=all&x=<script>", "//evil.example.com", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		shown := clean(name, shortName)
		if utf8.RuneCountInString(shown) > shortName+1 || !utf8.ValidString(shown) {
			t.Errorf("%q is shown as %q", name, shown)
		}
		marks := 0
		for _, r := range shown {
			if marks++; !unicode.In(r, unicode.Mn, unicode.Me) {
				marks = 0
			}
			if !unicode.IsGraphic(r) || marks > mostMarks {
				t.Fatalf("%q is shown as %q", name, shown)
			}
		}
		page, err := url.Parse("https://dashboard.example.com/base/")
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range []string{address("7d", name), jobAddress("", name, name)} {
			to, err := page.Parse(link)
			if err != nil || to.Host != page.Host || link != "" && !strings.HasPrefix(to.EscapedPath(), "/base/") {
				t.Errorf("%q links to %v, %v", name, to, err)
			}
		}
		query, err := url.ParseQuery(strings.TrimPrefix(address("7d", name), "?"))
		if err != nil || query.Get("project") != name {
			t.Errorf("the project %q is asked for as %q, %v", name, query.Get("project"), err)
		}
		if _, err := viewOf(url.Values{"range": {name}}, time.Unix(0, 0)); err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q", err)
		}
	})
}

package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"
)

func TestNamesThatDoHarmAreTextLikeAnyOther(t *testing.T) {
	t.Parallel()
	pages := func(word string) (found []answer) {
		open := newLedger(t, hostile(1, word), cold(2, 2*time.Hour), cold(3, 2*time.Hour))
		s := serve(t, open, Facts{Host: word, Version: word, StoreName: word, StoreHealth: Health{Up: new(false), Reason: word, Problem: word}})
		for _, path := range []string{"/", "/?range=all&project=" + url.QueryEscape(word), "/?range=" + url.QueryEscape(word), "/job/gitlab.example.com/1", "/job/" + url.PathEscape("a"+word) + "/" + url.PathEscape("b"+word)} {
			found = append(found, get(t, s, path))
		}
		return found
	}
	harmless := pages("harmless")
	for i, status := range []int{http.StatusOK, http.StatusOK, http.StatusBadRequest, http.StatusOK, http.StatusNotFound} {
		if harmless[i].status != status {
			t.Fatalf("page %d: %d, want %d", i, harmless[i].status, status)
		}
	}
	for name, word := range harm {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, page := range pages(word) {
				if page.status != harmless[i].status {
					t.Errorf("page %d: %d", i, page.status)
				}
				if got, want := skeleton(page.Node), skeleton(harmless[i].Node); !slices.Equal(got, want) {
					t.Errorf("page %d has other elements than with a harmless name:\n%v\n%v", i, got, want)
				}
				for e := range page.Descendants() {
					if e.Type == html.ElementNode && e.Data == "a" {
						if to := attr(e, "href"); !strings.HasPrefix(to, "?") && !strings.HasPrefix(to, "./") && !strings.HasPrefix(to, "../../") && to != "#main" &&
							!strings.HasPrefix(to, "https://gitlab.example.com/") {
							t.Errorf("page %d leads to %q", i, to)
						}
					}
				}
				for _, r := range read(page.Node) {
					if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
						t.Errorf("page %d has the character %U", i, r)
						break
					}
				}
				if len(page.body) > 500_000 {
					t.Errorf("page %d has %d bytes", i, len(page.body))
				}
			}
		})
	}
}

func TestPagesCanBeReadAloud(t *testing.T) {
	t.Parallel()
	s := serve(t, openMonth(t), troubled())
	for _, path := range []string{"/?range=30d", "/job/gitlab.example.com/5013", "/none"} {
		page := get(t, s, path)
		ids := map[string]bool{}
		for e := range page.Descendants() {
			if id := attr(e, "id"); id != "" {
				if ids[id] {
					t.Errorf("%s: %s is the id of two", path, id)
				}
				ids[id] = true
			}
		}
		level := 0
		for e := range page.Descendants() {
			if e.Type != html.ElementNode {
				continue
			}
			for _, ref := range strings.Fields(attr(e, "aria-labelledby") + " " + attr(e, "for")) {
				if !ids[ref] {
					t.Errorf("%s: nothing is called %s", path, ref)
				}
			}
			switch e.Data {
			case "html":
				if attr(e, "lang") != "en" {
					t.Errorf("%s: its language is %q", path, attr(e, "lang"))
				}
			case "h1", "h2", "h3":
				now := int(e.Data[1] - '0')
				if now > level+1 {
					t.Errorf("%s: %q is a %s below an h%d", path, read(e), e.Data, level)
				}
				level = now
			case "th":
				if attr(e, "scope") == "" {
					t.Errorf("%s: %q heads neither row nor column", path, read(e))
				}
			case "table":
				if len(elements(e, "caption", "")) != 1 || len(elements(e, "thead", "")) != 1 {
					t.Errorf("%s: a table has no caption or head: %.200s", path, read(e))
				}
			case "svg":
				named := attr(e, "role") == "img" && attr(e, "aria-labelledby") != "" && len(elements(e, "desc", "")) == 1
				if inner := e.Parent.Data == "g"; !named && attr(e, "aria-hidden") != "true" && !inner {
					t.Errorf("%s: a picture has no words: %v in %s", path, e.Attr, e.Parent.Data)
				}
			}
		}
		for _, tag := range []string{"h1", "main", "header", "footer", "title"} {
			if n := len(elements(page.Node, tag, "")); tag != "title" && n != 1 || n == 0 {
				t.Errorf("%s: %d times %s", path, n, tag)
			}
		}
	}
	month := get(t, s, "/?range=30d")
	days := "from " + now.AddDate(0, 0, -30).Format(time.DateOnly) + " to " + now.Format(time.DateOnly) + ". "
	for _, chart := range elements(month.Node, "svg", "chart") {
		if text := read(elements(chart, "desc", "")[0]); !strings.Contains(text, days) || !strings.Contains(text, "between") {
			t.Errorf("a chart is told as %q", text)
		}
		if rows := elements(elements(chart.Parent, "details", "")[0], "tr", ""); len(rows) != 1+31 {
			t.Errorf("its figures have %d rows", len(rows))
		}
	}
}

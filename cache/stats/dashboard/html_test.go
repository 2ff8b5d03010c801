package dashboard

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Pages, taken apart.

// answer is a page as it came.
type answer struct {
	*html.Node
	status int
	header http.Header
	body   string
}

func get(t *testing.T, s *httptest.Server, path string) answer {
	t.Helper()
	got, err := http.Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := html.Parse(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	return answer{doc, got.StatusCode, got.Header, string(body)}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// elements are those of a tag and, unless that is empty, of a class.
func elements(n *html.Node, tag, class string) (found []*html.Node) {
	for e := range n.Descendants() {
		if e.Type == html.ElementNode && e.Data == tag && (class == "" || slices.Contains(strings.Fields(attr(e, "class")), class)) {
			found = append(found, e)
		}
	}
	return found
}

// byID is the element that others refer to.
func byID(t *testing.T, n *html.Node, id string) *html.Node {
	t.Helper()
	for e := range n.Descendants() {
		if e.Type == html.ElementNode && attr(e, "id") == id {
			return e
		}
	}
	t.Fatalf("nothing has the id %s", id)
	return nil
}

// read is the text of an element, as a reader sees it.
func read(n *html.Node) string {
	var b strings.Builder
	for e := range n.Descendants() {
		if e.Type == html.TextNode {
			b.WriteString(e.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ") // which makes gaps plain, too
}

// list is the text of all elements of a tag and class.
func list(n *html.Node, tag, class string) (texts []string) {
	for _, e := range elements(n, tag, class) {
		texts = append(texts, read(e))
	}
	return texts
}

// cells are the rows of the table in the section of a heading, without the line of its head.
func cells(t *testing.T, n *html.Node, heading string) (rows [][]string) {
	t.Helper()
	for i, tr := range elements(byID(t, n, heading).Parent, "tr", "") {
		if i == 0 {
			continue
		}
		var cells []string
		for e := range tr.ChildNodes() {
			cells = append(cells, read(e))
		}
		rows = append(rows, cells)
	}
	return rows
}

// skeleton is the elements of a page with the names of their attributes: all of it that is no text.
func skeleton(n *html.Node) []string {
	var parts []string
	for e := range n.Descendants() {
		if e.Type == html.ElementNode {
			part := e.Data
			for _, a := range e.Attr {
				part += " " + a.Key
			}
			parts = append(parts, part)
		}
	}
	return parts
}

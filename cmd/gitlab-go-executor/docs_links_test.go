package main

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link       = regexp.MustCompile(`\]\(([^()\s]*)\)`)
	noWord     = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
	manyDashes = regexp.MustCompile(`-{2,}`)
)

// anchors are the headings of a page as GitLab makes anchors of them (docs.gitlab.com/user/markdown, Heading IDs and links).
func (p page) anchors() map[string]bool {
	all := map[string]bool{}
	for _, line := range p.prose {
		if found := headingLine.FindStringSubmatch(line); found != nil {
			id := strings.ReplaceAll(noWord.ReplaceAllString(strings.ToLower(found[2]), ""), " ", "-")
			id = manyDashes.ReplaceAllString(id, "-")
			first := id
			for n := 1; all[id]; n++ {
				id = fmt.Sprintf("%s-%d", first, n)
			}
			all[id] = true
		}
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages := map[string]page{}
	for _, p := range allPages(t) {
		pages[p.name] = p
	}
	for _, p := range pages {
		for i, line := range p.prose {
			for _, found := range link.FindAllStringSubmatch(line, -1) {
				if err := leads(pages, p, found[1]); err != nil {
					t.Errorf("%s:%d: %s: %v", p.name, i+1, found[1], err)
				}
			}
		}
	}
}

// leads says why a link does not lead anywhere. What is elsewhere is not asked for.
func leads(pages map[string]page, from page, target string) error {
	u, err := url.Parse(target)
	if err != nil || u.Scheme == "https" {
		return err
	}
	if u.Scheme != "" || target == "" {
		return fmt.Errorf("neither https nor a file of the repository")
	}
	name := from.name
	if u.Path != "" {
		name = path.Join(path.Dir(from.name), u.Path)
	}
	if _, err := os.Stat(filepath.Join(repository, name)); err != nil {
		return err
	}
	if u.Fragment != "" && !pages[name].anchors()[u.Fragment] {
		return fmt.Errorf("%s has no heading for it", name)
	}
	return nil
}

// Who begins with the README finds each page.
func TestTheReadmeLeadsToEachPage(t *testing.T) {
	t.Parallel()
	readme := strings.Join(readPage(t, "README.md").prose, "\n")
	for _, p := range readerPages(t) {
		if p.name != "README.md" && !strings.Contains(readme, "]("+p.name+")") {
			t.Errorf("README.md does not lead to %s", p.name)
		}
	}
	if lines := strings.Count(readme, "\n"); lines > 150 {
		t.Errorf("README.md has %d lines; what is there to be looked up belongs in docs", lines)
	}
}

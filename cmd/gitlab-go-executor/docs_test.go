package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The documentation is tested here, where all that it tells of can be asked: commands and flags, settings, metrics, words and columns. What
// .gitlab-ci.yml files it shows, executor/e2e runs.

// repository is the top of the repository.
const repository = "../.."

// Pages that tests look things up in.
const (
	administratorPage = "docs/administrator.md"
	authorPage        = "docs/author.md"
	designPage        = "docs/design.md"
	operatorPage      = "docs/operator.md"
	reliabilityPage   = "docs/reliability.md"
	securityPage      = "docs/security.md"
)

// page is a Markdown file.
type page struct {
	name   string   // from the top of the repository
	prose  []string // its lines; those of code blocks are empty
	blocks []block
}

// block is a block of code.
type block struct {
	line int
	lang string // empty if it is indented, or says none
	text string
}

func readPage(t *testing.T, name string) page {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	p := page{name: name}
	fenced, before := false, ""
	for i, line := range strings.Split(string(data), "\n") {
		indented := !fenced && strings.HasPrefix(line, "    ")
		switch fence, isFence := strings.CutPrefix(line, "```"); {
		case isFence:
			fenced = !fenced
			if fenced {
				p.blocks = append(p.blocks, block{line: i + 2, lang: fence})
			}
			line = ""
		case indented && before == "":
			p.blocks = append(p.blocks, block{line: i + 1})
		}
		if (fenced || indented) && line != "" {
			p.blocks[len(p.blocks)-1].text += line + "\n"
			line = ""
		}
		if indented {
			before = ""
		} else {
			before = line
		}
		p.prose = append(p.prose, line)
	}
	if fenced {
		t.Fatalf("%s: a block of code has no end", name)
	}
	return p
}

// readerPages are those that are not about test data.
func readerPages(t *testing.T) []page {
	t.Helper()
	return slices.DeleteFunc(allPages(t), func(p page) bool { return strings.HasPrefix(p.name, "testdata/") })
}

func allPages(t *testing.T) (pages []page) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(repository), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "bin" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case !d.IsDir() && path.Ext(name) == ".md":
			pages = append(pages, readPage(t, name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 8 {
		t.Fatalf("only %d pages", len(pages))
	}
	return pages
}

var headingLine, inlineCode = regexp.MustCompile(`^(#+) (.*)$`), regexp.MustCompile("`([^`]+)`")

// codes are the texts in backticks.
func codes(text string) (all []string) {
	for _, found := range inlineCode.FindAllStringSubmatch(text, -1) {
		all = append(all, found[1])
	}
	return all
}

// section gives the lines below a heading, up to the next one of its level or above.
func (p page) section(t *testing.T, heading string) []string {
	t.Helper()
	begin, level := -1, 0
	for i, line := range p.prose {
		found := headingLine.FindStringSubmatch(line)
		switch {
		case found == nil:
		case begin < 0 && found[2] == heading:
			begin, level = i+1, len(found[1])
		case begin >= 0 && len(found[1]) <= level:
			return p.prose[begin:i]
		}
	}
	if begin < 0 {
		t.Fatalf("%s has no heading %q", p.name, heading)
	}
	return p.prose[begin:]
}

// rows are the cells of the table whose head begins with a word, in a section.
func (p page) rows(t *testing.T, heading, head string) (rows [][]string) {
	t.Helper()
	inside := false
	for _, line := range p.section(t, heading) {
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == head:
			inside = true
		case inside && !strings.HasPrefix(cells[0], "---"):
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table %q below %q", p.name, head, heading)
	}
	return rows
}

// firstCells are the codes in the first cells of a table.
func (p page) firstCells(t *testing.T, heading, head string) (all []string) {
	t.Helper()
	for _, row := range p.rows(t, heading, head) {
		all = append(all, codes(row[0])...)
	}
	return all
}

// same compares what is documented with what there is, whatever the order.
func same(t *testing.T, where string, documented, there []string) {
	t.Helper()
	documented, there = slices.Sorted(slices.Values(documented)), slices.Sorted(slices.Values(there))
	for _, word := range there {
		if !slices.Contains(documented, word) {
			t.Errorf("%s does not have %q", where, word)
		}
	}
	for i, word := range documented {
		if !slices.Contains(there, word) {
			t.Errorf("%s has %q, and there is no such thing", where, word)
		}
		if i > 0 && documented[i-1] == word {
			t.Errorf("%s has %q twice", where, word)
		}
	}
}

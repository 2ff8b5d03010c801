package kind

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MarshalIndex writes items as text: one line each, sorted by ID, "ID class detail size" with one blank between and "-" for an
// empty detail.
func MarshalIndex(items []Item) []byte {
	sorted := slices.SortedFunc(slices.Values(items), byID)
	out := make([]byte, 0, 160*len(items)) // two hashes, a class, a size
	for _, item := range sorted {
		detail := item.Detail
		if detail == "" {
			detail = "-"
		}
		out = append(out, item.ID...)
		out = append(append(out, ' '), item.Class...)
		out = append(append(out, ' '), detail...)
		out = strconv.AppendInt(append(out, ' '), item.Size, 10)
		out = append(out, '\n')
	}
	return out
}

func byID(a, b Item) int { return strings.Compare(a.ID, b.ID) }

// ParseIndex reads what MarshalIndex wrote and nothing else: an index may come from a store that others write to, and the names of
// files are made of its IDs.
func ParseIndex(data []byte) ([]Item, error) {
	text := string(data)
	items := make([]Item, 0, strings.Count(text, "\n"))
	for text != "" {
		line, rest, ended := strings.Cut(text, "\n")
		item, err := parseItem(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("index, line %d: %w", len(items)+1, err)
		case !ended:
			return nil, fmt.Errorf("index, line %d: cut off", len(items)+1)
		case len(items) > 0 && items[len(items)-1].ID >= item.ID:
			return nil, fmt.Errorf("index, line %d: out of order", len(items)+1)
		}
		items = append(items, item)
		text = rest
	}
	return items, nil
}

func parseItem(line string) (Item, error) {
	id, line, _ := strings.Cut(line, " ")
	class, line, _ := strings.Cut(line, " ")
	detail, size, ok := strings.Cut(line, " ")
	if !ok {
		return Item{}, errors.New("want four fields")
	}
	switch detail {
	case "-":
		detail = ""
	case "":
		return Item{}, errors.New("want a detail, or - for none")
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != size {
		return Item{}, fmt.Errorf("%q is no size", size)
	}
	item := Item{ID: id, Class: Class(class), Detail: detail, Size: n}
	return item, item.check()
}

// check says what is wrong with an item of which files' names will be made.
func (i Item) check() error {
	switch i.Class {
	case Package, TestLog, Index, OtherRun:
		if isHash(i.ID) && isHash(i.Detail) {
			return nil
		}
	case Module, ModFile:
		if _, ok := parseVersion(i.ID); ok && (i.Detail == "" || i.Detail == detailInfo) {
			return nil
		}
	case Checksum:
		if isChecksum(i) {
			return nil
		}
	default:
		if className.MatchString(string(i.Class)) && word.MatchString(i.ID) && (i.Detail == "" || word.MatchString(i.Detail)) {
			return nil
		}
	}
	return fmt.Errorf("%.300q with %.300q cannot be of class %.100q", i.ID, i.Detail, i.Class)
}

var (
	className = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
	word      = regexp.MustCompile(`^[[:graph:]]{1,1000}$`) // in an index
)

// Foreign says that an item is of a class that this release does not know: a later one, which shares the store, has made it. Such an item has
// its place in the index, which bits of use go by. What it is is not known, so no file's name is made of it, and its layer is for that release
// alone to rewrite.
func (i Item) Foreign() bool {
	switch i.Class {
	case Module, ModFile, Checksum, Package, TestLog, Index, OtherRun:
		return false
	}
	return true
}

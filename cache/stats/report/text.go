package report

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Names of jobs, refs, packages and the like are their authors' and may hold anything. What is printed is made harmless for its medium here.

// pageWidth is how wide what people read is, in columns of a terminal.
const pageWidth = 100

// printable shows what a terminal would obey, or not show, as an escape: control characters, invisible ones, those that turn the direction of
// writing, and bytes that are no text.
func printable(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// columns is how wide a text is on a terminal.
func columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch kind := width.LookupRune(r).Kind(); {
	case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r): // marks on the character before
		return 0
	case kind == width.EastAsianWide, kind == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// fit cuts the middle out of a text that is too wide: how a path begins and ends says most.
func fit(s string, most int) string {
	if columns(s) <= most {
		return s
	}
	runes := []rune(s)
	head, tail := 0, len(runes)
	for used := 1; head < tail; { // the ellipsis takes one
		next, at := runes[head], head
		if len(runes)-tail <= head {
			next, at = runes[tail-1], tail-1
		}
		if used += columnsOf(next); used > most {
			break
		}
		if at == head {
			head++
		} else {
			tail--
		}
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// padLeft and padRight fill up to a width.
func padLeft(s string, to int) string  { return strings.Repeat(" ", max(to-columns(s), 0)) + s }
func padRight(s string, to int) string { return s + strings.Repeat(" ", max(to-columns(s), 0)) }

// wrap breaks a text between words, so that it fits the page. Lines after the first have an indent of their own.
func wrap(s, first, others string) string {
	var b strings.Builder
	line, empty := first, true
	for word := range strings.FieldsSeq(s) {
		switch {
		case empty:
			line += word
		case columns(line)+1+columns(word) > pageWidth:
			b.WriteString(line + "\n")
			line = others + word
		default:
			line += " " + word
		}
		empty = false
	}
	return b.String() + line + "\n"
}

// plainJSON escapes in JSON what JSON allows and terminals do not. Outside of strings JSON is ASCII, so each of these is in one.
func plainJSON(data []byte) []byte {
	var b []byte
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r < utf8.RuneSelf && r != 0x7f, strconv.IsPrint(r):
			b = append(b, data[:size]...)
		case r > 0xffff:
			r -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		data = data[size:]
	}
	return b
}

// csvText is a text that no spreadsheet takes for a formula (owasp.org/www-community/attacks/CSV_Injection).
func csvText(s string) string {
	s = printable(s)
	if strings.IndexAny(s, "=+-@＝＋－＠") == 0 {
		return "'" + s
	}
	return s
}

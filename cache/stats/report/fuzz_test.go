package report

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzText shows people a name that anybody may have given: in one line, without anything that a terminal would obey or hide, in no more
// columns than there are; as JSON it is the same name; and no spreadsheet calculates it.
func FuzzText(f *testing.F) {
	for _, seed := range []string{
		"main", "größe/日本", "\x1b[2J\r\n", "a\u202eb", "e\u0301\u0301\u0301", "\xff\xfe", "=1+1", "＝1", "\U0001f600\U000e0001", "\u2028", "", "-", "�", `\x00`,
	} {
		f.Add(seed, 12)
	}
	f.Fuzz(func(t *testing.T, name string, most int) {
		shown := printable(name)
		for _, r := range shown {
			if !strconv.IsPrint(r) {
				t.Fatalf("%q is shown as %q", name, shown)
			}
		}
		if !utf8.ValidString(shown) || printable(shown) != shown {
			t.Errorf("%q is shown as %q, and that as %q", name, shown, printable(shown))
		}
		most = 1 + int(uint(most)%pageWidth)
		if cut := fit(shown, most); columns(cut) > most {
			t.Errorf("%q has %d columns, and %d is the most", cut, columns(cut), most)
		} else if columns(padLeft(cut, most)) != most || columns(padRight(cut, most)) != most {
			t.Errorf("%q is not filled up to %d", cut, most)
		}
		if cell := csvText(name); cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") || strings.ContainsAny(cell, "\n\x1b") {
			t.Errorf("%q is the cell %q", name, cell)
		}
		if lines := wrap(name, "", "  "); !strings.HasSuffix(lines, "\n") || strings.Join(strings.Fields(lines), "") != strings.Join(strings.Fields(name), "") {
			t.Errorf("%q is wrapped as %q", name, lines)
		}
		data, err := json.Marshal(map[string]string{name: name})
		if err != nil {
			t.Fatal(err)
		}
		plain := plainJSON(data)
		var want, got map[string]string
		if json.Unmarshal(data, &want) != nil || json.Unmarshal(plain, &got) != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is written as %s", data, plain)
		}
		for _, r := range string(plain) {
			if !strconv.IsPrint(r) {
				t.Fatalf("%q is written as %q", name, plain)
			}
		}
	})
}

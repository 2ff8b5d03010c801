package report

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// hostile is what a job's author may call it.
const hostile = "a\x1b]0;title\x07\x00\u009b31m\u202egnp.exe\u200b\r\n\t\"'<&>\U000e0041\xff\xc3"

func TestNothingThatATerminalObeysIsPrinted(t *testing.T) {
	t.Parallel()
	got := printable(hostile)
	if want := `a\x1b]0;title\a\x00\u009b31m\u202egnp.exe\u200b\r\n\t"'<&>\U000e0041\xff\xc3`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if clean := "tüst/ünïcode 東京 😀 \ufffd"; printable(clean) != clean {
		t.Errorf("got %q", printable(clean))
	}

	data, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	plain := plainJSON(data)
	if strings.ContainsFunc(string(plain), func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q", plain)
	}
	var back, same string
	if err := json.Unmarshal(plain, &back); err != nil {
		t.Fatal(err)
	}
	if _ = json.Unmarshal(data, &same); back != same {
		t.Errorf("%q became %q", same, back)
	}
}

func TestNoTextIsASpreadsheetsFormula(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`=HYPERLINK("http://x")`: `'=HYPERLINK("http://x")`, "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "＝1": "'＝1", "\t=1": `\t=1`, "\r=1": `\r=1`,
		"feature/x": "feature/x", "a=b": "a=b", "": "", "…": "…",
	} {
		if got := csvText(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestWhatIsTooWideLosesItsMiddle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"group/app", 9, "group/app"},
		{"group/app", 8, "gro…/app"},
		{"group/app", 2, "…p"},
		{"東京東京", 8, "東京東京"},
		{"東京東京", 7, "東…東京"},
		{"東京東京", 4, "…京"},
	} {
		if got := fit(c.text, c.most); got != c.want || columns(got) > c.most {
			t.Errorf("%s in %d: got %q, %d wide, want %q", c.text, c.most, got, columns(got), c.want)
		}
	}
}

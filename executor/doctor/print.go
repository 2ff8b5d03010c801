package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Print shows findings to people: a line for each, what remedies it below.
func Print(w io.Writer, found []Finding) error {
	states, names := 0, 0
	for _, f := range found {
		states, names = max(states, len(f.State)), max(names, len(f.Check))
	}
	var text strings.Builder
	for i, f := range found {
		name := f.Check
		if i > 0 && found[i-1].Check == name {
			name = ""
		}
		fmt.Fprintf(&text, "%-*s  %-*s  %s\n", states, f.State, names, name, f.Finding)
		if f.Remedy != "" {
			fmt.Fprintf(&text, "%*s  remedy: %s\n", states+names+2, "", f.Remedy)
		}
	}
	fmt.Fprintf(&text, "\n%s\n", summary(found))
	_, err := io.WriteString(w, text.String())
	return err
}

// summary is the last line.
func summary(found []Finding) string {
	faults, warnings := Count(found)
	switch {
	case faults == 0 && warnings == 0:
		return "Nothing is wrong."
	case faults == 0:
		return fmt.Sprintf("Nothing is wrong; %s.", count(warnings, "warning"))
	case warnings == 0:
		return fmt.Sprintf("Wrong: %s.", count(faults, "thing"))
	}
	return fmt.Sprintf("Wrong: %s; %s.", count(faults, "thing"), count(warnings, "warning"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// PrintJSON shows findings to programs: one object.
func PrintJSON(w io.Writer, found []Finding) error {
	faults, warnings := Count(found)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		Wrong    int       `json:"wrong"`
		Warnings int       `json:"warnings"`
		Findings []Finding `json:"findings"`
	}{faults, warnings, found})
}

// oneLine makes one line of a text, part of which may be of a server, a file or a program: nothing in it moves a terminal's cursor.
func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)), " ")
}

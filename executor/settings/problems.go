package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Problem is one thing that is wrong in a settings file.
type Problem struct {
	// File and Line say where; Line is 0 when it is unknown.
	File string
	Line int
	// Key is the dotted key, such as docker.memory; empty for a syntax error.
	Key string
	// Value is what the file has, as TOML; empty when showing it would not help.
	Value string
	// Reason says what is wrong and what is allowed.
	Reason string
}

// String returns the problem as one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key)
		if p.Value != "" {
			b.WriteString(" = " + p.Value)
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Reason)
	return b.String()
}

// Problems is everything that is wrong in a settings file, in the order of its lines.
type Problems struct {
	All []Problem
}

// Error returns one line for each problem.
func (p *Problems) Error() string {
	lines := make([]string, len(p.All))
	for i, problem := range p.All {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// report collects the problems of one file. It knows the lines of the file's keys, and their values as written: a user
// who wrote 1024 should not be told about "1k".
type report struct {
	file  string
	lines map[string]int
	raw   map[string]any
	found []Problem
}

// add records a problem with a key. The value shown is what the file has, save for a list or a table: there it is the bad element.
// A nil value is not shown.
func (r *report) add(key string, value any, format string, args ...any) {
	written, ok := r.raw[key]
	_, list := written.([]any)
	_, table := written.(map[string]any)
	if ok && (value == nil || (!list && !table)) {
		value = written
	}
	r.addAt(r.lines[key], key, value, format, args...)
}

// addAt is add for a line that the key does not give.
func (r *report) addAt(line int, key string, value any, format string, args ...any) {
	if slices.Contains(secretKeys, key) {
		value = nil
	}
	r.found = append(r.found, Problem{File: r.file, Line: line, Key: key, Value: show(value), Reason: fmt.Sprintf(format, args...)})
}

// err returns what was found as a *Problems, or nil.
func (r *report) err() error {
	if len(r.found) == 0 {
		return nil
	}
	slices.SortStableFunc(r.found, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return &Problems{All: r.found}
}

// longestValue is how much of a value an error shows, in characters.
const longestValue = 80

// show returns a value as TOML has it, on one line and cut to a readable length.
func show(value any) string {
	if value == nil {
		return ""
	}
	text := []rune(literal(value))
	if len(text) > longestValue {
		return string(text[:longestValue]) + "…"
	}
	return string(text)
}

// literal returns a value as TOML has it.
func literal(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case time.Time:
		return v.Format(time.RFC3339)
	case Bytes, CPUs, Duration:
		return fmt.Sprintf("%q", fmt.Sprint(v))
	case []any:
		parts := make([]string, len(v))
		for i, element := range v {
			parts[i] = "[…]" // no key takes a list in a list
			if _, nested := element.([]any); !nested {
				parts[i] = literal(element)
			}
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		return "{…}"
	case []map[string]any:
		return "[{…}]"
	default:
		return fmt.Sprint(v)
	}
}

package settings

import (
	"bytes"
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// table is a TOML table whose values are not decoded yet. Each is decoded on its own, since the library stops at the
// first error and a user wants to see all.
type table map[string]toml.Primitive

// decoder fills a struct from a file, one key at a time.
type decoder struct {
	meta   toml.MetaData
	data   []byte
	known  []string // every key that there is, dotted
	within span     // the lines of the one of several tables of a name that is being read
	*report
}

// decode fills settings from the content of a file. A key with a problem keeps the value that settings has.
func decode(data []byte, into *Settings, to *report) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // the library counts its offsets without this mark
	to.lines, to.raw = map[string]int{}, map[string]any{}
	var root table
	meta, err := toml.Decode(string(data), &root)
	if err != nil {
		to.syntax(err)
		return
	}
	target := reflect.ValueOf(into).Elem()
	d := &decoder{meta: meta, data: data, known: keys("", target.Type()), report: to}
	d.fill("", root, target)
}

// syntax records why a file is no TOML.
func (r *report) syntax(err error) {
	var at toml.ParseError
	if !errors.As(err, &at) {
		r.addAt(0, "", nil, "%v", err)
		return
	}
	r.addAt(at.Position.Line, "", nil, "not valid TOML: %s", strings.TrimSuffix(at.Message, "."))
}

// fill sets the fields of a struct from a table.
func (d *decoder) fill(prefix string, from table, into reflect.Value) {
	for name, value := range from {
		key := prefix + toml.Key{name}.String() // quotes a name with a dot in it
		// An empty key has no line in the library, its table has.
		d.lines[key] = cmp.Or(d.within.or(d.line(value)), d.lines[strings.TrimSuffix(prefix, ".")])
		field := fieldOf(into, name)
		switch {
		case !field.IsValid():
			d.unknown(prefix, key)
		case isTable(field.Type()):
			inner, ok := d.table(value)
			if !ok {
				d.add(key, d.plain(value), "has to be a table; write [%s] on a line of its own and its keys below", key)
				continue
			}
			d.fill(key+".", inner, field)
		case isTables(field.Type()):
			d.tables(key, value, field)
		default:
			d.leaf(key, value, field)
		}
	}
}

// leaf sets one field, and only as a whole: a list with one bad element is not half taken over.
func (d *decoder) leaf(key string, value toml.Primitive, field reflect.Value) {
	d.raw[key] = d.plain(value)
	fresh := reflect.New(field.Type())
	err := d.meta.PrimitiveDecode(value, fresh.Interface())
	if _, ok := d.raw[key].(map[string]any); !ok && field.Kind() == reflect.Map {
		err = errors.New("no table") // of which the library makes an empty one
	}
	var refused toml.ParseError // in which the library wraps what a leaf type of ours says, but no wrong type
	switch {
	case err == nil:
		field.Set(fresh.Elem())
	case errors.As(err, &refused):
		d.add(key, nil, "%s", refused.Message)
	default:
		d.add(key, nil, "wrong type; has to be %s", kindName(field.Type()))
	}
}

// unknown records a key that does not exist. Its value is not shown: a misspelt key may hold a secret.
func (d *decoder) unknown(prefix, key string) {
	plain := number.ReplaceAllString(key, "")
	if why := refused[plain]; why != "" {
		d.add(key, nil, "%s", why)
		return
	}
	prefix = number.ReplaceAllString(prefix, "")
	if near := nearest(plain, d.known); near != "" {
		d.add(key, nil, "unknown key; did you mean %s?", near)
		return
	}
	var siblings []string
	for _, known := range d.known {
		if rest, ok := strings.CutPrefix(known, prefix); ok && !strings.Contains(rest, ".") {
			siblings = append(siblings, rest)
		}
	}
	where := "at the top level of the file"
	if prefix != "" {
		where = "in [" + strings.TrimSuffix(prefix, ".") + "]"
	}
	d.add(key, nil, "unknown key; the keys %s are %s", where, strings.Join(siblings, ", "))
}

// locator is refused by every value: the library tells the position of a value in its errors only.
type locator struct{}

// UnmarshalTOML fails.
func (*locator) UnmarshalTOML(any) error { return errors.New("for its position") }

// line returns the line of a value, or 0. The offset is used, as the line that the library reports for a string over
// several lines is the last one. A table that only its sub-tables imply has no position; its first key has.
func (d *decoder) line(value toml.Primitive) int {
	var at toml.ParseError
	if errors.As(d.meta.PrimitiveDecode(value, &locator{}), &at) && at.Position.Line > 0 {
		return 1 + bytes.Count(d.data[:min(at.Position.Start, len(d.data))], []byte("\n"))
	}
	first := 0
	inner, _ := d.table(value)
	for _, child := range inner {
		if line := d.line(child); first == 0 || (line > 0 && line < first) {
			first = line
		}
	}
	return first
}

// table returns a value that is a table. The library makes an empty map of any other value, and no error.
func (d *decoder) table(value toml.Primitive) (table, bool) {
	if _, ok := d.plain(value).(map[string]any); !ok {
		return nil, false
	}
	var inner table
	err := d.meta.PrimitiveDecode(value, &inner)
	return inner, err == nil
}

// plain returns a value as the library parsed it.
func (d *decoder) plain(value toml.Primitive) any {
	var v any
	if err := d.meta.PrimitiveDecode(value, &v); err != nil {
		return nil // an interface takes every value, so this does not happen
	}
	return v
}

// keys returns the dotted keys of a struct, tables included, sorted.
func keys(prefix string, of reflect.Type) []string {
	var all []string
	for i := range of.NumField() {
		key := prefix + tagName(of.Field(i))
		all = append(all, key)
		switch t := of.Field(i).Type; {
		case isTable(t):
			all = append(all, keys(key+".", t)...)
		case isTables(t):
			all = append(all, keys(key+".", t.Elem())...)
		}
	}
	slices.Sort(all)
	return all
}

// fieldOf returns the field of a struct that a key sets, or the zero Value. Unlike the library's, it is exact.
func fieldOf(in reflect.Value, name string) reflect.Value {
	for i := range in.NumField() {
		if tagName(in.Type().Field(i)) == name {
			return in.Field(i)
		}
	}
	return reflect.Value{}
}

// tagName returns the key of a field.
func tagName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
	return name
}

// isTable says whether a field is a table, rather than a leaf that happens to be a struct.
func isTable(of reflect.Type) bool {
	return of.Kind() == reflect.Struct && !reflect.PointerTo(of).Implements(reflect.TypeFor[toml.Unmarshaler]())
}

// kindName returns what a user has to write for a field of a plain type.
func kindName(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Pointer:
		return kindName(of.Elem())
	case reflect.String:
		return "a string in quotes"
	case reflect.Int:
		return "a whole number without quotes"
	case reflect.Bool:
		return "true or false, without quotes"
	case reflect.Map:
		if of.Elem().Kind() == reflect.Slice {
			return `a table of lists of strings, such as { "a" = ["b"] }`
		}
		return `a table of strings, such as { "a" = "b" }`
	case reflect.Slice:
		return `a list of strings, such as ["a", "b"]`
	default:
		return of.String()
	}
}

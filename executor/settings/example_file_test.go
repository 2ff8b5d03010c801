package settings

import (
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// example is where a reader finds every key explained.
const example = "../../config.example.toml"

// commented is a line that is commented out, rather than a comment: nothing between "#" and the text, or the inner
// line of a list.
var commented = regexp.MustCompile(`(?m)^#([a-z\[\]]|[A-Z][A-Za-z0-9]* =|  ")`)

// assignment is a key, commented out or not, and header a table.
var assignment, header = regexp.MustCompile(`^#?([A-Za-z0-9_]+) =`), regexp.MustCompile(`^#?\[?\[([a-z0-9_.]+)\]\]?$`)

func readExample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheExampleAsItStandsIsTheDefault(t *testing.T) {
	t.Parallel()
	got, err := Load(example)
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestTheExampleExplainsEveryKeyAndNoOther(t *testing.T) {
	t.Parallel()
	var got []string
	prefix := ""
	for line := range strings.Lines(readExample(t)) {
		if match := header.FindStringSubmatch(strings.TrimSpace(line)); match != nil {
			prefix = match[1] + "."
			got = append(got, match[1])
		}
		if match := assignment.FindStringSubmatch(line); match != nil {
			got = append(got, prefix+match[1])
		}
	}
	slices.Sort(got)
	if want := keys("", reflect.TypeFor[Settings]()); !slices.Equal(got, want) {
		t.Errorf("the example has the keys\n%v\nthe settings have\n%v", got, want)
	}
}

func TestTheExampleWithEverythingUncommentedLoadsAndShowsTheDefaults(t *testing.T) {
	t.Parallel()
	text := commented.ReplaceAllString(readExample(t), "$1")
	got, err := load(t, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	showsDefaults(t, "", reflect.ValueOf(*got), reflect.ValueOf(*Default()))
}

// showsDefaults checks that the example shows the default of a key that has one, and a value for every other.
func showsDefaults(t *testing.T, prefix string, got, defaults reflect.Value) {
	t.Helper()
	for i := range got.NumField() {
		key := prefix + tagName(got.Type().Field(i))
		value, byDefault := got.Field(i), defaults.Field(i)
		switch {
		case isTable(value.Type()):
			showsDefaults(t, key+".", value, byDefault)
		case key == "docker.helper_image" && runtime.GOARCH != "amd64": // the example shows the most common one
		case byDefault.IsZero() && value.IsZero() && value.Kind() != reflect.Bool:
			t.Errorf("%s: the example shows no value", key)
		case !byDefault.IsZero() && !reflect.DeepEqual(value.Interface(), byDefault.Interface()):
			t.Errorf("%s: the example shows %v, the default is %v", key, value, byDefault)
		}
	}
}

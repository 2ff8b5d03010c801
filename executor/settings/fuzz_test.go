package settings

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// FuzzLoad feeds Load with anything: it never panics, reports problems as *Problems, and what it accepts survives
// being written and read again.
func FuzzLoad(f *testing.F) {
	data, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(commented.ReplaceAll(data, []byte("$1")))
	for _, seed := range []string{"[docker]\n\"\" = 1", "[[docker]]\nmemory = '''\nx'''", "\ufeffa.b.c = {d = [1, 2]}", "docker = 1\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := parse("config.toml", data)
		if err != nil {
			var problems *Problems
			if !errors.As(err, &problems) || err.Error() == "" {
				t.Fatalf("not a list of problems: %v", err)
			}
			return
		}
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := first.Write(path); err != nil {
			t.Fatalf("accepted, but not written: %v", err)
		}
		again, err := Load(path)
		if err != nil {
			t.Fatalf("written, but not accepted: %v", err)
		}
		// A list given as empty is left out when written, and read as nil.
		if third := filepath.Join(t.TempDir(), "config.toml"); again.Write(third) != nil {
			t.Fatal("not written a second time")
		} else if last, err := Load(third); err != nil || !reflect.DeepEqual(last, again) {
			t.Fatalf("%v: got %+v, want %+v", err, last, again)
		}
	})
}

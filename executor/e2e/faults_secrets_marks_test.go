//go:build faults

package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// marks are secrets that can be told from each other wherever they turn up, in each form that something may have brought them into.
type marks struct {
	values map[string]string // kind → secret
	forms  map[string][][]byte
	mu     sync.Mutex
	found  map[sighting]bool
}

// sighting is a kind of secret at a place.
type sighting struct{ place, kind string }

func newMarks() *marks {
	return &marks{values: map[string]string{}, forms: map[string][][]byte{}, found: map[sighting]bool{}}
}

// of gives the secret of a kind. All of it but its ends stays as it is in URLs, in JSON and between quotes.
func (m *marks) of(kind string) string {
	if m.values[kind] == "" {
		m.know(kind, "Zq"+kind+"x"+rand.Text())
	}
	return m.values[kind]
}

// know has a secret looked for that the test has not made.
func (m *marks) know(kind, secret string) {
	m.values[kind] = secret
	forms := [][]byte{[]byte(secret)}
	for shift := range 3 { // what stands before it moves it against base64's groups of three bytes
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("-", shift) + secret))
		forms = append(forms, []byte(encoded[shift+1:len(encoded)-2]))
	}
	m.forms[kind] = forms
}

// look notes which secrets are in something, and says whether there are any.
func (m *marks) look(place string, data []byte) (found bool) {
	for kind, forms := range m.forms {
		if slices.ContainsFunc(forms, func(form []byte) bool { return bytes.Contains(data, form) }) {
			m.mu.Lock()
			m.found[sighting{place, kind}] = true
			m.mu.Unlock()
			found = true
		}
	}
	return found
}

// lookBelow looks into the files of a folder, their names and what links say, and into layers. skip says what not to enter.
func (m *marks) lookBelow(t *testing.T, name, folder string, skip func(path string) bool) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		within, _ := filepath.Rel(folder, path)
		place := name + "/" + within
		switch {
		case err != nil:
			return err
		case skip(path) && d.IsDir():
			return fs.SkipDir
		case skip(path):
			return nil
		}
		m.look(place, []byte(within))
		switch {
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(path)
			m.look(place, []byte(to))
			return err
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			if m.look(place, data) && othersRead(path) {
				t.Errorf("others than root can read %s, which holds a secret", place)
			}
			if bytes.HasPrefix(data, []byte("hsqs")) {
				m.lookIntoLayer(t, place, path)
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// othersRead says whether the modes of a file and of the folder that it is in let others read it.
func othersRead(path string) bool {
	file, err := os.Stat(path)
	folder, err2 := os.Stat(filepath.Dir(path))
	return err != nil || err2 != nil || file.Mode().Perm()&0o077 != 0 && folder.Mode().Perm()&0o077 != 0
}

// lookIntoLayer looks into what a layer holds.
func (m *marks) lookIntoLayer(t *testing.T, place, file string) {
	t.Helper()
	content := filepath.Join(t.TempDir(), "layer")
	if out, err := exec.Command("unsquashfs", "-no-progress", "-d", content, file).CombinedOutput(); err != nil {
		t.Errorf("unsquashfs: %v\n%s", err, out)
		return
	}
	m.lookBelow(t, place, content, func(string) bool { return false })
}

// allowed is where a secret may be, and why. Both are patterns of path.Match, of which * also stands for what has slashes.
type allowed struct{ place, kinds, reason string }

// judge fails the test for each secret that is where none may be, and for each exception that nothing needs any more.
func (m *marks) judge(t *testing.T, exceptions []allowed) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	used := map[string]bool{}
	for _, s := range slices.SortedFunc(maps.Keys(m.found), func(a, b sighting) int { return strings.Compare(a.place+a.kind, b.place+b.kind) }) {
		i := slices.IndexFunc(exceptions, func(e allowed) bool {
			return like(e.place, s.place) && slices.ContainsFunc(strings.Fields(e.kinds), func(kind string) bool { return like(kind, s.kind) })
		})
		if i < 0 {
			t.Errorf("the secret %q is in %s", s.kind, s.place)
			continue
		}
		used[exceptions[i].place] = true
	}
	for _, e := range exceptions {
		if !used[e.place] {
			t.Errorf("no secret was found in %s, so that nothing shows that it would be found elsewhere; or the exception is not needed any more (%s)", e.place, e.reason)
		}
	}
}

// like says whether a text is of a pattern, in which * stands for anything.
func like(pattern, text string) bool {
	begin, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, begin)
	for ok && rest != "" {
		if like(rest, text) {
			return true
		}
		if text == "" {
			return false
		}
		text = text[1:]
	}
	return ok
}

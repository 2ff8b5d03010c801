package cache

import (
	"encoding/json"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// Each figure is another one, so that none can take the place of another unseen.
func TestWhatCameFromTheStoreIsHitToo(t *testing.T) {
	t.Parallel()
	saved := Saved{Refused: map[string]int{"hash": 1}}
	for name, class := range map[string]kind.Class{"modules": kind.Module, "build": kind.Package} {
		items := func(ids ...string) (all []kind.Item) {
			for _, id := range ids {
				all = append(all, kind.Item{ID: id, Class: class})
			}
			return all
		}
		s := &saving{
			kind: kind.Named(name), saved: &saved, opened: map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": true, "f": true, "g": true},
			base: []indexed{{items: items("a", "b", "idle")}, {held: held{FromStore: true}, items: items("c", "d", "e", "f", "a")}},
		}
		s.count(kind.Harvest{New: []string{"g"}, Refused: map[string]int{"hash": 2}, Compiled: []string{"p"}})
	}
	figures := func() string {
		data, err := json.Marshal([]any{saved.Modules, saved.Build, saved.Refused["hash"], len(saved.Compiled)})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if got := figures(); got != `[{"wanted":7,"hit_host":2,"hit_store":4,"missed":1},{"available":7,"hit":6,"new":1},5,1]` {
		t.Error(got)
	}

	saved = Saved{Refused: map[string]int{}}
	for _, name := range []string{"modules", "build"} { // nobody has watched
		(&saving{kind: kind.Named(name), saved: &saved}).count(kind.Harvest{New: []string{"g"}})
	}
	if got := figures(); got != `[{"wanted":null,"hit_host":null,"hit_store":null,"missed":1},{"available":0,"hit":null,"new":1},0,0]` {
		t.Error(got)
	}
}

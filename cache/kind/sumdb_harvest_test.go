package kind

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// after gives a job over what this one and those before it have saved, in a container of its own.
func (j *job) after(t *testing.T, saved ...Item) *job {
	t.Helper()
	from := j.modRoot
	j = newJob(t)
	unpack(t, Modules(), from, saved, j.mods)
	j.known = map[string]Item{}
	for _, item := range saved {
		item.content = "" // an index does not tell it
		j.known[item.ID] = item
	}
	return j
}

// checksums is what a job's harvest takes of a database, from what the job wrote and the base did not have.
func (j *job) checksums(db sumServer) []Item {
	j.t.Helper()
	wrote := slices.DeleteFunc(changed(j.t, j.mods), func(name string) bool {
		info, err := os.Lstat(filepath.Join(j.mods, name))
		j.must(err)
		return info.ModTime().Equal(moduleTime)
	})
	h, err := modules{verifier: db.key}.Harvest(j.t.Context(), j.input(j.modRoot, wrote...))
	j.must(err)
	if len(h.Refused) != 0 || len(h.New) != 0 || len(ids(h.Items, Checksum)) != len(h.Items) || !slices.IsSortedFunc(h.Items, byID) {
		j.t.Errorf("saved %v, new %v, refused %v", ids(h.Items), h.New, h.Refused)
	}
	return h.Items
}

// paths are those of files of the job's modules.
func (j *job) paths(names []string) []string {
	for i, name := range names {
		names[i] = filepath.Join(j.mods, name)
	}
	return names
}

// anyOrder says that jobs over what is saved ask nothing for the paths, in whatever order they need them.
func (j *job) anyOrder(t *testing.T, db sumServer, saved []Item, paths ...string) {
	t.Helper()
	backwards := slices.Clone(paths)
	slices.Reverse(backwards)
	orders := [][]string{paths, backwards}
	for _, path := range paths {
		orders = append(orders, []string{path})
	}
	next := j.after(t, saved...) // they ask nothing, so they change nothing
	for _, order := range orders {
		c := next.client(db)
		if c.lookup(order...); len(c.asked) != 0 {
			t.Errorf("for %v a job asks for %v", order, c.asked)
		}
	}
}

// The answers of a proxy are of different days, and so the tree that each of them came with. What Go wants to see depends on the order.
func TestTheNextJobAsksTheChecksumDatabaseNothing(t *testing.T) {
	t.Parallel()
	db := newSumServer(t)
	names, stale := []string{"a", "b", "c", "d"}, map[string][]byte{}
	var paths []string
	for i, name := range names {
		db.grow(t, name, 100*i+200)
		path := "example.com/" + name
		paths = append(paths, path)
		stale["/lookup/"+path+"@v1.0.0"] = db.get(t, "/lookup/"+path+"@v1.0.0")
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}} {
		first := newJob(t)
		c := first.client(db)
		c.stale = stale
		for _, i := range order {
			c.lookup(paths[i])
		}
		saved := first.checksums(db)
		first.anyOrder(t, db, saved, paths...)
		second := first.after(t, saved...)
		second.run("touch", append([]string{"-c"}, second.paths(changed(t, second.mods))...)...) // copies all of it up
		if again := second.checksums(db); len(again) != 0 {
			t.Errorf("the second job saves %v", ids(again))
		}
	}
}

// The toolchain is from the first job of a project, a tool from one of months later.
func TestAnswersOfSeveralJobsGoTogether(t *testing.T) {
	t.Parallel()
	const toolchain = "example.com/x7" // far from the end of any tree
	db := newSumServer(t)
	db.grow(t, "x", 300)
	first := newJob(t)
	first.client(db).lookup(toolchain)
	saved := first.checksums(db)
	db.grow(t, "y", 400)

	second := first.after(t, saved...)
	second.client(db).lookup(toolchain, "example.com/tool")
	for _, item := range second.checksums(db) {
		saved = slices.DeleteFunc(saved, func(old Item) bool { return old.ID == item.ID }) // it is on top
		saved = append(saved, item)
	}
	second.anyOrder(t, db, saved, toolchain, "example.com/tool")

	// A job that saw only one of them leaves the other as it is.
	db.grow(t, "z", 400)
	third := second.after(t, saved...)
	third.must(os.RemoveAll(filepath.Join(third.mods, sumdbFolder, "sum.example.com", "tile")))
	third.client(db).lookup("example.com/other")
	if got := ids(third.checksums(db)); !slices.Contains(got, "sumdb/sum.example.com/lookup/example.com/other@v1.0.0") ||
		slices.Contains(got, "sumdb/sum.example.com/lookup/example.com/tool@v1.0.0") {
		t.Errorf("saved %v", got)
	}
}

// A wrong tile or record would fail the next job with a security error, or have it ask again.
func TestNoJobPlantsAnswersOfTheChecksumDatabase(t *testing.T) {
	t.Parallel()
	db := newSumServer(t)
	db.grow(t, "x", 300)
	const old, good, record = "example.com/x7", "example.com/good", "lookup/example.com/good@v1.0.0"
	edit := func(name string, with func(data string) string) func(*job) {
		return func(j *job) {
			file := sumdbFolder + "sum.example.com/" + name
			data, err := os.ReadFile(filepath.Join(j.mods, file))
			j.must(err)
			j.write(j.mods, file, with(string(data)))
		}
	}
	add := func(name, content string) func(*job) {
		return func(j *job) { j.write(j.mods, sumdbFolder+name, content) }
	}
	flip := func(data string) string { return string(data[0]^1) + data[1:] }
	honest := newJob(t)
	honest.client(db).lookup(good, old)
	all := map[string]Item{}
	for _, item := range honest.checksums(db) {
		all[item.ID] = item
	}
	if len(all) != 5 {
		t.Fatalf("%v", slices.Collect(maps.Keys(all)))
	}
	other := string(db.get(t, "/lookup/example.com/x1@v1.0.0"))
	db.grow(t, "z", 1)
	newest := string(db.get(t, "/lookup/example.com/z@v1.0.0"))
	for name, test := range map[string]struct {
		spoil func(j *job)
		taken int
	}{
		"a forged tile":                  {edit("tile/8/0/001.p/45", flip), 0},
		"a forged full tile":             {edit("tile/8/0/000", flip), 3}, // which only the old record needs
		"a tile that is too short":       {edit("tile/8/1/000.p/1", func(data string) string { return data[1:] }), 0},
		"a tile of no tree":              {add("sum.example.com/tile/8/0/005", strings.Repeat("x", 8<<10)), 5},
		"another sum":                    {edit(record, func(data string) string { return strings.Replace(data, "h1:mod", "h1:nod", 1) }), 4},
		"another record under its name":  {edit(record, func(string) string { return other }), 4},
		"another number":                 {edit(record, func(data string) string { return strings.Replace(data, "300", "299", 1) }), 4},
		"a tree that is not signed":      {edit(record, func(data string) string { return strings.Replace(data, "tree\n301", "tree\n302", 1) }), 4},
		"signatures of strangers":        {edit(record, func(data string) string { return data + strings.Repeat("— stranger AAAAAAAA\n", 50) }), 5},
		"a record as big as a disk":      {func(j *job) { j.replace(j.mods, sumdbFolder+"sum.example.com/"+record, holes) }, 4},
		"a record that is a link":        {func(j *job) { j.replace(j.mods, sumdbFolder+"sum.example.com/"+record, linkOut) }, 4},
		"a tile that is a FIFO":          {func(j *job) { j.replace(j.mods, sumdbFolder+"sum.example.com/tile/8/1/000.p/1", fifo) }, 0},
		"another server":                 {add("sum.example.org/tile/8/0/000", "x"), 5},
		"a name that leads out":          {add("sum.example.com/lookup/example.com/x@v1.0.0/y", "x"), 5},
		"a newer tree and nothing of it": {add("sum.example.com/lookup/example.com/z@v1.0.0", newest), 5},
		"tiles without a record":         {func(j *job) { j.must(os.RemoveAll(j.mods + "/" + sumdbFolder + "sum.example.com/lookup")) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			j.must(os.CopyFS(j.mods, os.DirFS(honest.mods)))
			test.spoil(j)
			items := j.checksums(db)
			for _, item := range items {
				if all[item.ID] != item {
					t.Errorf("took another %s: %q", item.ID, item.content)
				}
			}
			if len(items) != test.taken {
				t.Errorf("took %v", ids(items))
			}
			j.after(t, items...).client(db).lookup(good, old)
		})
	}
}

func TestThereIsAnEndToTheRecordsOfAJob(t *testing.T) {
	t.Parallel()
	j, db := newJob(t), newSumServer(t)
	names := make([]string, 0, 4*maxRecords)
	for _, server := range []string{"sum.another.com", "sum.example.com"} {
		for i := range 2 * maxRecords {
			names = append(names, fmt.Sprintf("%s%s/lookup/example.com/a@v1.0.%d-%s", sumdbFolder, server, i, server[4:5]))
		}
	}
	d, err := newDatabase(j.modRoot, db.key, j.input(j.modRoot, names...))
	j.must(err)
	if len(d.mods) != maxRecords || !strings.HasSuffix(d.mods[0].Version, "-e") {
		t.Errorf("%d records are looked at, the first is of %s", len(d.mods), d.mods[0])
	}
}

package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

// maxInfo bounds a .info: the proxy's have some 300 bytes.
const maxInfo = 64 << 10

// Harvest looks at every version of which the job changed a file.
func (m modules) Harvest(ctx context.Context, in Input) (Harvest, error) {
	h := Harvest{Refused: tally{}}
	found := changedVersions(in.Changed, h.Refused)
	budget := newBudget()
	db, err := newDatabase(in.Root, m.verifier, in)
	if err != nil {
		return Harvest{}, err
	}
	err = each(ctx, len(found), func(ctx context.Context, i int) error {
		v := found[i]
		v.ctx, v.root, v.sums, v.database, v.budget = ctx, in.Root, in.Sums, db, budget
		return v.harvest(in.Known)
	})
	if err != nil {
		return Harvest{}, err
	}
	if h.Items, err = db.harvest(ctx, in); err != nil {
		return Harvest{}, err
	}
	var total int64
	for _, v := range found {
		if v.fetched {
			h.New = append(h.New, v.id)
		}
		if v.item.ID != "" && total+v.item.Size > maxTotal {
			v.item, v.refused = Item{}, append(v.refused, refusal(RefusedSize))
		}
		for _, r := range v.refused {
			h.Refused[string(r)]++
		}
		if v.item.ID != "" {
			h.Items = append(h.Items, v.item)
			total += v.item.Size
		}
	}
	slices.SortFunc(h.Items, byID)
	return h, nil
}

// version is a module version of which the job changed something.
type version struct {
	mod     module.Version
	id      string
	changed map[string]bool // the parts of which something changed

	ctx      context.Context
	root     *os.Root
	sums     Sums
	database *database
	budget   *budget

	// what came out
	fetched bool
	item    Item // without an ID if none is accepted
	refused []refusal
}

// changedVersions groups changed files, by ID. Those of more than maxItems versions are left out here, before they cost memory.
func changedVersions(changed []string, refused tally) []*version {
	byMod := map[module.Version]*version{}
	for _, name := range changed {
		mod, part := parsePart(name)
		if part == "" {
			if !isModuleByproduct(name) {
				refused[RefusedName]++
			}
			continue
		}
		if byMod[mod] == nil {
			if len(byMod) == maxItems {
				refused[RefusedSize]++
				continue
			}
			byMod[mod] = &version{mod: mod, id: mod.String(), changed: map[string]bool{}}
		}
		byMod[mod].changed[part] = true
	}
	found := make([]*version, 0, len(byMod))
	for _, v := range byMod {
		found = append(found, v)
	}
	slices.SortFunc(found, func(a, b *version) int { return strings.Compare(a.id, b.id) })
	return found
}

// isModuleByproduct tells files of Go that are saved never, or, of the checksum database, only if they are proven, which is nobody's
// fault: locks, lists, what was being downloaded, what it knows of branches and tags, and cloned repositories, in whose configuration
// may be credentials.
func isModuleByproduct(name string) bool {
	rest, ok := strings.CutPrefix(name, "cache/")
	if !ok {
		return false
	}
	if rest == "lock" || strings.HasPrefix(rest, "vcs/") || strings.HasPrefix(name, sumdbFolder) {
		return true
	}
	_, file, ok := strings.Cut(rest, "/@v/")
	if !ok {
		return false
	}
	for _, suffix := range []string{".lock", ".partial", ".tmp", ".info"} {
		if strings.HasSuffix(file, suffix) {
			return true
		}
	}
	return file == "list"
}

// harvest fills in what came out. An error is ctx's, or a disk's.
func (v *version) harvest(known map[string]Item) error {
	had, isKnown := known[v.id]
	v.look(isKnown)
	mayAddInfo := had.Detail != detailInfo && v.changed[partInfo]
	if isKnown && had.Class == Module && !mayAddInfo {
		return nil
	}
	item, err := v.accept()
	if err != nil {
		return err
	}
	isMore := item.Class == Module && had.Class == ModFile || item.Detail == detailInfo && had.Detail == ""
	isLess := item.Class == ModFile && had.Class == Module
	if !isKnown || isMore && !isLess {
		v.item = item
	}
	return nil
}

// look says whether the job fetched something of the version. A file that only chmod or chown copied up still has the time of the layer
// it is from. A .info with nothing beside it is no module's that the job fetched: Go writes one for the main module, with what git says
// of it (modload/build.go, since 1.24), in every job.
func (v *version) look(isKnown bool) {
	if _, err := v.root.Lstat(partFile(v.mod, partMod)); errors.Is(err, fs.ErrNotExist) && !v.changed[partZip] {
		return
	}
	for _, part := range []string{partInfo, partMod, partZip} {
		if v.changed[part] {
			info, err := v.root.Lstat(partFile(v.mod, part))
			copied := isKnown && err == nil && info.ModTime().Equal(moduleTime)
			v.fetched = v.fetched || !copied
		}
	}
}

// note keeps a refusal and gives back any other error.
func (v *version) note(err error) error {
	var r refusal
	if errors.As(err, &r) {
		v.refused = append(v.refused, r)
		return nil
	}
	return err
}

// accept makes the item of what is proven to be right; without an ID if nothing is. A module without a right .mod is not taken: nothing
// loads a module without it, so that Go always fetches it first, and one that differs has been tampered with.
func (v *version) accept() (Item, error) {
	item := Item{ID: v.id, Class: ModFile}
	if v.mod.Path != toolchain {
		size, err := v.goMod()
		if err != nil {
			return Item{}, v.missing(err, v.changed[partMod] || v.changed[partZip] || v.changed[partZipHash] || v.changed[partTree])
		}
		item.Size += size
	}
	size, err := v.zipAndTree()
	if err == nil {
		item.Class = Module
		item.Size += size
	} else {
		err = v.missing(err, v.changed[partZip] || v.changed[partZipHash] || v.changed[partTree])
		if err != nil || v.mod.Path == toolchain {
			return Item{}, err
		}
	}
	size, err = v.info()
	if err != nil {
		return item, v.missing(err, v.changed[partInfo])
	}
	item.Detail = detailInfo
	item.Size += size
	return item, nil
}

// missing notes a refusal, unless something is just not there and the job did not try to have it there.
func (v *version) missing(err error, tried bool) error {
	if err == refusal(RefusedIncomplete) && !tried { //nolint:errorlint // refusals come bare
		return nil
	}
	return v.note(err)
}

// goMod gives the size of the .mod if it is right.
func (v *version) goMod() (int64, error) {
	data, err := read(v.root, partFile(v.mod, partMod), modzip.MaxGoMod)
	if err == nil {
		err = v.budget.take(int64(len(data)))
	}
	if err != nil {
		return 0, err
	}
	sum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
	if err == nil && !v.vouched("/go.mod", sum) {
		err = refusal(RefusedSum)
	}
	return int64(len(data)), err
}

// info gives the size of the .info if it is one of this version. Nobody vouches for it; it tells the time of the version, and where
// it is from.
func (v *version) info() (int64, error) {
	data, err := read(v.root, partFile(v.mod, partInfo), maxInfo)
	if err != nil {
		return 0, err
	}
	var info struct{ Version string }
	if json.Unmarshal(data, &info) != nil || info.Version != v.mod.Version {
		return 0, refusal(RefusedFormat)
	}
	return int64(len(data)), nil
}

// vouched says whether go.sum or the checksum database has this sum for the version, or with suffix "/go.mod" for its go.mod. Where
// go.sum files disagree the latter decides: Go would fail a job of the other one with a security error.
func (v *version) vouched(suffix, sum string) bool {
	agreed := false
	for _, line := range v.sums[v.mod.Path+" "+v.mod.Version+suffix] {
		if !strings.HasPrefix(line, "h1:") {
			continue // by an algorithm of the future, which Go ignores as well
		}
		if line != sum {
			agreed = false
			break
		}
		agreed = true
	}
	return agreed || v.database.has(v.mod, suffix, sum)
}

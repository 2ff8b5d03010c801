package kind

import (
	"context"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/tlog"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// Go asks the checksum database about what is in no go.sum, toolchains above all, in every job that finds no answers in GOMODCACHE. So
// the answers are kept: a record and the tiles that prove it are all that Go wants to see, whatever tree it knows of otherwise. Records
// are written anew with the head of one tree, the newest. As a job gets them, each has the head of its day, and Go compares any two heads in the
// order in which it happens to meet them, with tiles that an earlier job, in another order, did not need.

// maxRecords bounds the records that a harvest looks at; each brings three tiles at most. A linter with all that it requires has 850.
const maxRecords = 2048

// sumdbPrefix begins the ID of a Checksum, which is the file's name below cache/download. No module path begins like that.
const (
	sumdbPrefix = "sumdb/"
	sumdbFolder = download + sumdbPrefix
)

func recordID(server string, mod module.Version) string {
	path, errPath := module.EscapePath(mod.Path)
	version, errVersion := module.EscapeVersion(mod.Version)
	if errPath != nil || errVersion != nil {
		return ""
	}
	return sumdbPrefix + server + "/lookup/" + path + "@" + version
}

func tileID(server string, tile tlog.Tile) string { return sumdbPrefix + server + "/" + tile.Path() }

// parseChecksum tells which database's file an ID names: the record of mod, or a tile if mod is empty.
func parseChecksum(id string) (server string, mod module.Version, ok bool) {
	rest, ok := strings.CutPrefix(id, sumdbPrefix)
	server, name, _ := strings.Cut(rest, "/")
	if !ok || module.CheckPath(server) != nil {
		return "", module.Version{}, false
	}
	if name, isRecord := strings.CutPrefix(name, "lookup/"); isRecord {
		path, version, _ := strings.Cut(name, "@")
		mod, ok = unescape(path, version)
		return server, mod, ok
	}
	tile, err := tlog.ParseTilePath(name)
	return server, module.Version{}, err == nil && tile.H == tileHeight && tile.L >= 0
}

// isChecksum says whether an item is one that a harvest could have made.
func isChecksum(item Item) bool {
	_, mod, ok := parseChecksum(item.ID)
	if !ok || mod.Path == "" {
		return ok && item.Detail == ""
	}
	size, err := strconv.ParseInt(item.Detail, 10, 64)
	return err == nil && size > 0 && strconv.FormatInt(size, 10) == item.Detail
}

// recorded are the versions whose records the job wrote, and then those whose records the base has.
func (d *database) recorded(in Input) []module.Version {
	var mods []module.Version
	seen := map[module.Version]bool{}
	add := func(id string) {
		server, mod, ok := parseChecksum(id)
		if ok && server == d.server && mod.Path != "" && !seen[mod] && len(mods) < maxRecords {
			seen[mod] = true
			mods = append(mods, mod)
		}
	}
	for _, name := range in.Changed {
		add(strings.TrimPrefix(name, download))
	}
	for _, id := range slices.Sorted(maps.Keys(in.Known)) {
		add(id)
	}
	return mods
}

// keepRecord notes a record as one that came with the tree in which it has been proven.
func (d *database) keepRecord(mod module.Version, r *record, h head) {
	data, err := tlog.FormatRecord(r.id, r.text)
	if err != nil {
		return // it was parsed, so it can be formatted
	}
	d.keep(Item{ID: recordID(d.server, mod), Detail: strconv.FormatInt(h.tree.N, 10)}, append(data, h.note...))
}

func (d *database) keepTile(tile tlog.Tile, data []byte) {
	d.keep(Item{ID: tileID(d.server, tile)}, data)
}

func (d *database) keep(item Item, data []byte) {
	item.Class, item.Size, item.content = Checksum, int64(len(data)), string(data)
	d.proven[item.ID] = item
}

// harvest gives what is proven and not known yet. What the base has is proven too: a job may need it together with what is new.
func (d *database) harvest(ctx context.Context, in Input) ([]Item, error) {
	if !slices.ContainsFunc(in.Changed, func(name string) bool { return strings.HasPrefix(name, sumdbFolder) }) {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.load()
	for _, mod := range d.mods {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		d.prove(mod)
	}
	var items []Item
	for _, item := range d.proven {
		if had, ok := in.Known[item.ID]; !ok || had.Detail != item.Detail {
			items = append(items, item)
		}
	}
	return items, nil
}

// checksumFile is the file of a Checksum: of a harvest, what was proven; of a layer, what is there.
func checksumFile(root *os.Root, item Item) (layer.File, error) {
	name := download + item.ID
	if item.content == "" {
		return moduleFile(root, name)
	}
	return layer.File{Name: name, Mode: 0o444, ModTime: moduleTime, Size: item.Size, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(item.content)), nil
	}}, nil
}

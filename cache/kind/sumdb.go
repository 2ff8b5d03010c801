package kind

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// sumGolangOrg is the key of Go's checksum database (knownGOSUMDB in cmd/go/internal/modfetch).
const sumGolangOrg = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

// database is what a job has of the checksum database: records, each with the head of a tree that is signed, and tiles, which show
// records to be in a tree (golang.org/design/25530-sumdb). All of it is checked against the key, so that it does not matter who wrote
// the files, and nobody else is asked. Earlier trees are not known: the job's own, which is outside GOMODCACHE, would prove no more.
type database struct {
	root   *os.Root
	server string
	keys   note.Verifiers
	mods   []module.Version // whose records may be there

	mu      sync.Mutex // is held while anything below is used
	records map[module.Version]*record
	heads   map[string]head // by the note they were read from
	newest  head
	tiles   map[tlog.Tile]string // what was read, proven or not; nothing if there is none
	proven  map[string]Item      // records and tiles, by ID
}

// record is what the database says of a version.
type record struct {
	id     int64
	text   []byte
	head   head // of the tree that it came with
	tried  bool
	proven bool
}

// head is a tree of which the database has signed the hash.
type head struct {
	tree tlog.Tree
	note []byte // as it stands behind a record
}

// newDatabase reads nothing yet.
func newDatabase(root *os.Root, key string, in Input) (*database, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return nil, err
	}
	d := &database{root: root, server: verifier.Name(), keys: note.VerifierList(verifier)}
	d.mods = d.recorded(in)
	return d, nil
}

// has says whether the database has this sum for the version, or with suffix "/go.mod" for its go.mod.
func (d *database) has(mod module.Version, suffix, sum string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.prove(mod)
	return r != nil && slices.Contains(strings.Split(string(r.text), "\n"), mod.Path+" "+mod.Version+suffix+" "+sum)
}

// prove gives the record of a version if tiles show it to be in a tree: in the newest one that there is a head of, which is where Go has
// compared all others with, else in that which it came with.
func (d *database) prove(mod module.Version) *record {
	d.load()
	r := d.records[mod]
	if r == nil {
		return nil
	}
	if !r.tried {
		r.tried = true
		for _, h := range []head{d.newest, r.head} {
			if r.proven = d.holds(h.tree, r); r.proven {
				d.keepRecord(mod, r, h)
				break
			}
		}
	}
	if !r.proven {
		return nil
	}
	return r
}

// holds says whether a record is in a tree.
func (d *database) holds(tree tlog.Tree, r *record) bool {
	if r.id < 0 || r.id >= tree.N {
		return false
	}
	hashes, err := tlog.TileHashReader(tree, tileReader{d}).ReadHashes([]int64{tlog.StoredHashIndex(0, r.id)})
	return err == nil && hashes[0] == tlog.RecordHash(r.text)
}

// load reads the records, and which tree is the newest.
func (d *database) load() {
	if d.records != nil {
		return
	}
	d.records, d.heads = map[module.Version]*record{}, map[string]head{}
	d.tiles, d.proven = map[tlog.Tile]string{}, map[string]Item{}
	for _, mod := range d.mods {
		r := d.read(mod)
		if r == nil {
			continue
		}
		d.records[mod] = r
		if r.head.tree.N > d.newest.tree.N {
			d.newest = r.head
		}
	}
}

// maxChecksum bounds a file of the database: a tile has 8 KiB at most, a record some hundred bytes.
const maxChecksum = 16 << 10

// read gives a record whose tree is signed, and which is about the version: one under another's name would fail a job.
func (d *database) read(mod module.Version) *record {
	data, err := read(d.root, download+recordID(d.server, mod), maxChecksum)
	if err != nil {
		return nil
	}
	id, text, signed, err := tlog.ParseRecord(data)
	if err != nil || !bytes.HasPrefix(text, []byte(mod.Path+" "+mod.Version+" h1:")) {
		return nil
	}
	h, ok := d.heads[string(signed)]
	if !ok {
		if h, err = d.open(signed); err != nil {
			return nil
		}
		d.heads[string(signed)] = h
	}
	return &record{id: id, text: text, head: h}
}

// open checks the signature of a head. Signatures of others, of which there may be many, are left out.
func (d *database) open(signed []byte) (head, error) {
	n, err := note.Open(signed, d.keys)
	if err != nil {
		return head{}, err
	}
	tree, err := tlog.ParseTree([]byte(n.Text))
	if err != nil {
		return head{}, err
	}
	clean, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs})
	return head{tree, clean}, err
}

// tileHeight is that of cmd/go's tiles (golang.org/x/mod/sumdb.NewClient).
const tileHeight = 8

var errOffline = errors.New("the job did not fetch it")

// tileReader reads what the job has of a tree, as a tlog.TileReader.
type tileReader struct{ *database }

func (tileReader) Height() int { return tileHeight }

func (t tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		if data[i] = t.tile(tile); len(data[i]) == 0 {
			return nil, errOffline
		}
	}
	return data, nil
}

// SaveTiles is told what has been proven.
func (t tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, tile := range tiles {
		t.keepTile(tile, data[i])
	}
}

// tile gives the file of a tile. Of one that was not full yet Go keeps the widths that it asked for; a wider one begins with the narrower.
func (d *database) tile(tile tlog.Tile) []byte {
	if data, ok := d.tiles[tile]; ok {
		return []byte(data)
	}
	for wider := tile; wider.W <= 1<<tile.H; wider.W++ {
		data, err := read(d.root, download+tileID(d.server, wider), maxChecksum)
		if err == nil && len(data) == wider.W*tlog.HashSize {
			d.tiles[tile] = string(data[:tile.W*tlog.HashSize])
			return []byte(d.tiles[tile])
		}
	}
	d.tiles[tile] = ""
	return nil
}

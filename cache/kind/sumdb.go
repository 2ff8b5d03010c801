package kind

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/tlog"
)

// sumGolangOrg is the key of Go's checksum database (knownGOSUMDB in cmd/go/internal/modfetch).
const sumGolangOrg = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

// proof proves sums by what a job fetched of the checksum database: a record, the signed head of a tree, and the tiles that show the
// record to be in the tree (golang.org/design/25530-sumdb). All of it is checked against the key, so that it does not matter who wrote
// the files, and nothing else is asked.
type proof struct {
	root     *os.Root
	verifier string
}

// has says whether the checksum database has this sum for the version, or with suffix "/go.mod" for its go.mod. Each question has a client of its own:
// it needs only the tiles of the tree that the record came with, whatever the order in which the job asked.
func (p proof) has(mod module.Version, suffix, sum string) bool {
	lines, err := sumdb.NewClient(fetched(p)).Lookup(mod.Path, mod.Version+suffix)
	return err == nil && slices.Contains(lines, mod.Path+" "+mod.Version+suffix+" "+sum)
}

// fetched is the sumdb.ClientOps of a client that has a job's files and no network.
type fetched proof

// maxRecord bounds a file of the database: a tile has 8 KiB at most, a record some hundred bytes.
const maxRecord = 64 << 10

// errOffline answers all that is not among the files.
var errOffline = errors.New("the job did not fetch it")

func (f fetched) ReadRemote(string) ([]byte, error) { return nil, errOffline }

// ReadConfig knows no earlier tree: the job's own, which is outside GOMODCACHE, would prove no more.
func (f fetched) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(f.verifier), nil
	}
	return nil, nil
}

// ReadCache reads a file as cmd/go names it. Of a tile that was not full yet Go keeps the widths that it asked for; a wider one begins with
// the narrower.
func (f fetched) ReadCache(file string) ([]byte, error) {
	data, err := f.read(file)
	if err == nil {
		return data, nil
	}
	server, name, _ := strings.Cut(file, "/tile/")
	tile, notTile := tlog.ParseTilePath("tile/" + name)
	if notTile != nil || tile.W == 1<<tile.H {
		return nil, err
	}
	for wider := tile; wider.W < 1<<tile.H-1; {
		wider.W++
		if data, err := f.read(server + "/" + wider.Path()); err == nil && len(data) == wider.W*tlog.HashSize {
			return data[:tile.W*tlog.HashSize], nil
		}
	}
	return nil, err
}

const sumdbFolder = download + "sumdb/"

func (f fetched) read(file string) ([]byte, error) { return read(f.root, sumdbFolder+file, maxRecord) }

// WriteConfig forgets the tree: the next question begins anew.
func (f fetched) WriteConfig(string, []byte, []byte) error { return nil }

// WriteCache has nothing to do: all that there is was read from the files.
func (f fetched) WriteCache(string, []byte) {}

// Log says nothing: what is not proven is refused, and counted.
func (f fetched) Log(string) {}

// SecurityError says nothing either: the client fails after it.
func (f fetched) SecurityError(string) {}

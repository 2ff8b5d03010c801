package kind

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

// Doubt takes from the modules in dir, a job's mount, what the job's go.sum contradicts, of those in ids, and gives what it took. An earlier commit of the tier
// may have had another go.sum, or a tag was moved: Go would fail the job with a security error, and what is not there it fetches anew. The tree goes as well: once
// there is a sum beside it again, Go takes it for that of the zip (DownloadDir in cmd/go/internal/modfetch).
// Layers are the trees that the mount shows: where two of them hold different content of a version, the mount shows the files of both, beside the sum of one.
func Doubt(dir string, layers []*os.Root, ids []string, sums Sums) (taken []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for _, id := range ids {
		mod, ok := parseVersion(id)
		if !ok || mod.Path == toolchain {
			continue // the checksum database has vouched for what no go.sum has
		}
		var parts []string
		if wrongModule(root, layers, mod, sums) {
			parts = []string{partZipHash, partZip, partTree}
		}
		if wrongModFile(root, mod, sums) {
			parts = append(parts, partMod)
		}
		for _, part := range parts {
			if err := root.RemoveAll(partFile(mod, part)); err != nil {
				return taken, err
			}
		}
		if len(parts) > 0 {
			taken = append(taken, id)
		}
	}
	return taken, nil
}

// wrongModule says whether a version's zip has a sum that go.sum contradicts, or different ones in several layers.
func wrongModule(root *os.Root, layers []*os.Root, mod module.Version, sums Sums) bool {
	name := partFile(mod, partZipHash)
	hash, err := read(root, name, 1<<10)
	if err != nil {
		return !errors.Is(err, refusal(RefusedIncomplete))
	}
	for _, l := range layers {
		other, err := read(l, name, 1<<10)
		if err == nil && !bytes.Equal(other, hash) {
			return true
		}
	}
	return contradicted(sums[mod.Path+" "+mod.Version], string(hash))
}

func wrongModFile(root *os.Root, mod module.Version, sums Sums) bool {
	lines := sums[mod.Path+" "+mod.Version+"/go.mod"]
	if len(lines) == 0 {
		return false
	}
	data, err := read(root, partFile(mod, partMod), modzip.MaxGoMod)
	if err != nil {
		return !errors.Is(err, refusal(RefusedIncomplete))
	}
	sum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	return err != nil || contradicted(lines, sum)
}

// contradicted says whether lines of go.sum files name other sums than this one, and none names it.
func contradicted(lines []string, sum string) bool {
	others := slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "h1:") && line != sum })
	return others && !slices.Contains(lines, sum)
}

package kind

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Harvest reads the changed entries, then the outputs that they name. An output is hashed even where the base has it: a job can put a
// symbolic link in the place of a folder of the base, and then none of its files has changed.
func (b build) Harvest(ctx context.Context, in Input) (Harvest, error) {
	h := Harvest{Refused: tally{}}
	actions, err := readActions(ctx, in, h.Refused)
	if err != nil {
		return Harvest{}, err
	}
	actions = slices.DeleteFunc(actions, func(a action) bool {
		item, known := in.Known[a.id]
		same := known && item.Detail == a.output
		if same && b.Counts(item.Class) && a.written {
			h.New = append(h.New, a.id)
		}
		return same
	})
	outputs, err := b.readOutputs(ctx, in.Root, actions)
	if err != nil {
		return Harvest{}, err
	}
	b.accept(&h, actions, outputs, min(cmp.Or(in.MaxSize, maxTotal), maxTotal))
	slices.Sort(h.New)
	slices.Sort(h.Compiled)
	return h, nil
}

// accept decides about entries whose outputs have been read, up to limit bytes. A compile run makes just one entry with a package archive: Go
// caches the archive once it is whole (updateBuildID in cmd/go/internal/work), and of the other things that it caches for a package, such as
// what was printed, facts for vet and generated sources, none is an archive. So archives are what "compiled" counts.
func (b build) accept(h *Harvest, actions []action, outputs map[string]*output, limit int64) {
	refused := tally(h.Refused)
	owned := map[string]bool{}
	var total int64
	for _, a := range actions {
		out := outputs[a.output]
		if b.Counts(out.class) {
			h.New = append(h.New, a.id)
		}
		if out.pkg != "" {
			h.Compiled = append(h.Compiled, out.pkg)
		}
		size := int64(actionSize)
		if !owned[a.output] {
			size += out.size
		}
		err := out.refused
		switch {
		case err != nil:
		case out.size != a.size, total+size > limit:
			err = refusal(RefusedSize)
		}
		if err != nil {
			_ = refused.note(err) // a refusal it is
			continue
		}
		owned[a.output] = true
		total += size
		h.Items = append(h.Items, Item{ID: a.id, Class: out.class, Detail: a.output, Size: size})
	}
}

// action is an entry <id>-a that a job left.
type action struct {
	id, output string
	size       int64 // that the output has to have
	// written says that Go wrote the entry. One that only chmod or chown copied up still has the time of the layer it is from, and
	// says nothing of what the job compiled.
	written bool
	refused error
}

// readActions reads the changed entries, by ID.
func readActions(ctx context.Context, in Input, refused tally) ([]action, error) {
	var actions []action
	for _, name := range in.Changed {
		switch hash, suffix := parseEntry(name); {
		case suffix == "a" && len(actions) == maxItems:
			refused[RefusedSize]++
		case suffix == "a":
			actions = append(actions, action{id: hash})
		case suffix == "" && !isByproduct(name):
			refused[RefusedName]++
		}
	}
	slices.SortFunc(actions, func(a, b action) int { return strings.Compare(a.id, b.id) })
	err := each(ctx, len(actions), func(_ context.Context, i int) error { return actions[i].read(in.Root) })
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(actions, func(a action) bool {
		return a.refused != nil && refused.note(a.refused) == nil
	}), nil
}

// isByproduct tells files of Go that are never saved: testexpire.txt would expire everybody's cached tests, and what fuzzing found
// is no cache.
func isByproduct(name string) bool {
	return name == "README" || name == trimFile || name == "testexpire.txt" || strings.HasPrefix(name, "fuzz/")
}

// actionSize is that of "v1 <action> <output> <size, 20 wide> <unix nanoseconds, 20 wide>\n" (entrySize in cmd/go/internal/cache).
const actionSize = 175

// read fills in what the entry says. An error is the disk's.
func (a *action) read(root *os.Root) error {
	f, info, err := open(root, actionFile(a.id))
	if err != nil {
		return a.judged(err)
	}
	defer f.Close()
	if info.Size() != actionSize {
		return a.judged(refusal(RefusedFormat))
	}
	data := make([]byte, actionSize)
	if _, err := io.ReadFull(f, data); err != nil {
		return err
	}
	a.written = !info.ModTime().Equal(buildTime)
	return a.judged(a.parse(string(data)))
}

// judged keeps a refusal and gives back any other error.
func (a *action) judged(err error) error {
	var r refusal
	if errors.As(err, &r) {
		a.refused = r
		return nil
	}
	return err
}

// parse takes only what Go itself would write; Go reads more than that.
func (a *action) parse(line string) error {
	fields := strings.Fields(line)
	if len(fields) != 5 || !isHash(fields[2]) {
		return refusal(RefusedFormat)
	}
	size, errSize := strconv.ParseInt(fields[3], 10, 64)
	written, errWritten := strconv.ParseInt(fields[4], 10, 64)
	if errSize != nil || errWritten != nil || size < 0 || written < 0 ||
		fmt.Sprintf("v1 %s %s %20d %20d\n", a.id, fields[2], size, written) != line {
		return refusal(RefusedFormat)
	}
	a.output, a.size = fields[2], size
	return nil
}

// output is the content of a <hash>-d.
type output struct {
	class   Class
	size    int64
	pkg     string // of a Package: which, if that can be told
	refused error
}

// readOutputs reads what the entries name, each once.
func (b build) readOutputs(ctx context.Context, root *os.Root, actions []action) (map[string]*output, error) {
	outputs := map[string]*output{}
	var hashes []string
	for _, a := range actions {
		if outputs[a.output] == nil {
			outputs[a.output] = &output{}
			hashes = append(hashes, a.output)
		}
	}
	budget := newBudget()
	return outputs, each(ctx, len(hashes), func(ctx context.Context, i int) error {
		out := outputs[hashes[i]]
		err := out.read(ctx, root, hashes[i], b.classOf, budget)
		var r refusal
		if errors.As(err, &r) {
			out.refused, err = r, nil
		}
		return err
	})
}

// read tells what the output is, and refuses it unless its content hashes to its name.
func (o *output) read(ctx context.Context, root *os.Root, hash string, classOf func(start []byte) Class, budget *budget) error {
	name := outputFile(hash)
	info, err := root.Lstat(name)
	if err != nil {
		return judge(err)
	}
	folder := info.IsDir()
	if folder {
		inside, err := executable(root, hash)
		if err != nil {
			return err
		}
		name += "/" + inside
	}
	f, info, err := open(root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	start := make([]byte, 16)
	n, err := io.ReadFull(f, start)
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) { //nolint:errorlint // io.EOF comes bare, and means an empty file
		return err
	}
	start = start[:n]
	o.size, o.class = info.Size(), OtherRun
	if !folder {
		o.class = classOf(start)
	}
	if o.size > maxFile {
		return refusal(RefusedSize)
	}
	if err := budget.take(o.size); err != nil {
		return err
	}
	if o.class == Package {
		o.pkg = packageOf(f, o.size)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, reading{ctx, io.MultiReader(bytes.NewReader(start), f)}); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != hash {
		return refusal(RefusedHash)
	}
	return nil
}

// classOf knows outputs by how they begin: archives (cmd/internal/archive), indexes of any version (cmd/go/internal/modindex) and
// logs of what a test opened (testlogMagic in cmd/go/internal/test). What a tool keeps is none of these, whatever it looks like.
func (b build) classOf(start []byte) Class {
	switch {
	case b.extra != "":
		return OtherRun
	case bytes.HasPrefix(start, []byte("!<arch>\n")):
		return Package
	case bytes.HasPrefix(start, []byte("go index v")):
		return Index
	case bytes.HasPrefix(start, []byte("# test log\n")):
		return TestLog
	}
	return OtherRun
}

package kind

import (
	"os"
	"slices"
	"testing"
)

// Go fails a job whose module cache has another sum than go.sum, and looks at a tree no more once the sum beside its zip is right.
func TestWhatGoSumContradictsIsTakenFromTheJobAndNothingElse(t *testing.T) {
	t.Parallel()
	const wrong = "h1:AAAAIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4="
	id, key := spoilt.String(), spoilt.Path+" "+spoilt.Version
	for what, test := range map[string]struct {
		change func(j *job, other *job)
		taken  bool
		gone   []string
	}{
		"nothing is wrong":                      {func(*job, *job) {}, false, nil},
		"go.sum says nothing":                   {func(j, _ *job) { j.sums = nil }, false, nil},
		"go.sum has a sum of the future":        {func(j, _ *job) { j.sums[key] = []string{"h2:x"} }, false, nil},
		"two go.sum files, one of which agrees": {func(j, _ *job) { j.sums[key] = append(j.sums[key], wrong) }, false, nil},
		"go.sum says otherwise":                 {func(j, _ *job) { j.sums[key] = []string{wrong} }, true, []string{partZip, partZipHash, partTree}},
		"go.sum says otherwise of the go.mod":   {func(j, _ *job) { j.sums[key+"/go.mod"] = []string{wrong} }, true, []string{partMod}},
		"another layer holds something else":    {func(_, other *job) { other.write(other.mods, partFile(spoilt, partZipHash), wrong) }, true, []string{partZip, partZipHash, partTree}},
		"another layer holds it not":            {func(_, other *job) { other.must(os.RemoveAll(other.mods + "/cache")) }, false, nil},
		"it has no sum":                         {func(j, _ *job) { part(partZipHash, gone)(j) }, false, []string{partZipHash}},
		"its sum is a link":                     {func(j, _ *job) { part(partZipHash, linkOut)(j) }, true, []string{partZip, partZipHash, partTree}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			j, other := newJob(t), newJob(t)
			j.fetch(spoilt, source(spoilt))
			other.fetch(spoilt, source(spoilt))
			test.change(j, other)
			taken, err := Doubt(j.mods, []*os.Root{other.modRoot}, []string{id, "not a version", "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", "example.com/absent@v1.0.0"}, j.sums)
			if err != nil || slices.Contains(taken, id) != test.taken || len(taken) > 1 {
				t.Errorf("taken %v, %v", taken, err)
			}
			for _, part := range []string{partZip, partZipHash, partMod, partInfo, partTree} {
				if _, err := j.modRoot.Lstat(partFile(spoilt, part)); (err != nil) != slices.Contains(test.gone, part) {
					t.Errorf("%s: %v", part, err)
				}
			}
		})
	}
}

package checkout

import (
	"slices"
	"strings"
)

// sums gathers the lines of go.sum files.
type sums struct {
	lines map[string][]string
	known map[string]bool // files that exist; with git, that are tracked: another job may have left others
	count int
}

func newSums(names []string) *sums {
	s := &sums{lines: map[string][]string{}, known: map[string]bool{}}
	for _, name := range names {
		if strings.HasSuffix(name, ".sum") {
			s.known[name] = true
		}
	}
	return s
}

// read adds a go.sum file. A line that is none is not read by Go either, which says so.
func (s *sums) read(r reader, name string) {
	if !s.known[name] {
		return
	}
	full := s.count >= maxSums
	for line := range strings.Lines(string(r.text(name))) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		key, sum := f[0]+" "+f[1], f[2]
		if !validSumKey(key) || !validSum(sum) || slices.Contains(s.lines[key], sum) {
			continue
		}
		if s.count++; s.count > maxSums {
			break
		}
		s.lines[key] = append(s.lines[key], sum)
	}
	if !full && s.count >= maxSums {
		r.problems.add("The go.sum files have more than %d lines; the modules of the others are not saved.", maxSums)
	}
}

package settings

import (
	"slices"
	"strings"
)

// longestName bounds the work on a file that is no settings file at all.
const longestName = 64

// nearest returns the known key that a user may have meant, or nothing: the same name in another table, or a name a
// slip or two away.
func nearest(key string, known []string) string {
	name := lastPart(key)
	if len(name) > longestName {
		return ""
	}
	best, fewest := "", 1+min(2, len(name)/3)
	for _, candidate := range known {
		if strings.EqualFold(lastPart(candidate), name) {
			return candidate
		}
		if parent(candidate) != parent(key) {
			continue
		}
		if slips := distance(strings.ToLower(name), lastPart(candidate)); slips < fewest {
			best, fewest = candidate, slips
		}
	}
	return best
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

func parent(key string) string { return key[:strings.LastIndexByte(key, '.')+1] }

// distance returns how many letters have to be added, dropped or changed to make one word of the other, where swapping
// two neighbours, the commonest slip, counts once.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	var before []int
	last := make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row := make([]int, len(t)+1)
		row[0] = i
		for j := 1; j <= len(t); j++ {
			change := last[j-1]
			if s[i-1] != t[j-1] {
				change++
			}
			row[j] = slices.Min([]int{change, last[j] + 1, row[j-1] + 1})
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(t)]
}

package settings

import (
	"strings"

	"github.com/agext/levenshtein"
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
	best, fewest := "", 1+min(2, len(name)/2) // two letters that changed places are two edits
	for _, candidate := range known {
		if strings.EqualFold(lastPart(candidate), name) {
			return candidate
		}
		if parent(candidate) != parent(key) {
			continue
		}
		if slips := levenshtein.Distance(strings.ToLower(name), lastPart(candidate), nil); slips < fewest {
			best, fewest = candidate, slips
		}
	}
	return best
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

func parent(key string) string { return key[:strings.LastIndexByte(key, '.')+1] }

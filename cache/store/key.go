package store

import (
	"fmt"
	"regexp"
	"strings"
)

// The longest key that every store can hold: S3 has 1024 bytes for the key with its prefix, and both Linux and MinIO, which keeps a
// file for an object, have 255 for a name.
const (
	maxKey     = 900
	maxElement = 255
)

// element is a part of a key between slashes. These characters mean the same in a path, a URL and a shell. A leading dot is a store's
// own: it keeps out "." and "..", and what is being written.
var element = regexp.MustCompile(`^[A-Za-z0-9_+-][A-Za-z0-9._+-]*$`)

func validElement(name string) bool { return len(name) <= maxElement && element.MatchString(name) }

// CheckKey says what is wrong with a key. No store takes a key that is not like this.
func CheckKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("a key of %d bytes is too long for a store: %d is the most (%.60q…)", len(key), maxKey, key)
	}
	for name := range strings.SplitSeq(key, "/") {
		if !validElement(name) {
			return fmt.Errorf("%.300q is no key of a store: %.300q has to be 1 to %d of the characters A-Z a-z 0-9 . _ + - and not to begin with a dot",
				key, name, maxElement)
		}
	}
	return nil
}

// CheckPrefix says what is wrong with a prefix: nothing, if some key begins with it.
func CheckPrefix(prefix string) error {
	if strings.HasSuffix(prefix, "/") || prefix == "" {
		prefix += "x"
	}
	return CheckKey(prefix)
}

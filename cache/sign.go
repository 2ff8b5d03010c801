package cache

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// A signed entry has a second line: the HMAC-SHA256 of its key in the store and of its first line, with the SigningKey. The key is part
// of it lest an entry is believed in another pool than its own; the layer is, since its digest stands in the entry.

// sign gives the bytes of an entry's object.
func (c *Cache) sign(key string, data []byte) []byte {
	if len(c.SigningKey) == 0 {
		return data
	}
	return append(append(bytes.Clone(data), '\n'), c.seal(key, data)...)
}

// verified gives the entry in an object's bytes. Whoever has no SigningKey takes every entry, signed or not.
func (c *Cache) verified(key string, object []byte) ([]byte, error) {
	data, seal, _ := bytes.Cut(object, []byte("\n"))
	switch {
	case len(c.SigningKey) == 0 || hmac.Equal(seal, c.seal(key, data)):
		return data, nil
	case len(seal) == 0:
		return nil, Because(Unsigned, "entry %s has no signature; who saved it had no signing_key", key)
	}
	return nil, Because(Unsigned, "entry %s has a signature of another key, or was changed", key)
}

func (c *Cache) seal(key string, data []byte) []byte {
	mac := hmac.New(sha256.New, []byte(c.SigningKey))
	mac.Write([]byte(key))
	mac.Write([]byte("\n"))
	mac.Write(data)
	return hex.AppendEncode(nil, mac.Sum(nil))
}

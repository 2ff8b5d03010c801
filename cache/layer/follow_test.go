package layer_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

func TestAFileIsHashedAsItGrowsWhateverIsSaidOfIt(t *testing.T) {
	t.Parallel()
	content := make([]byte, 3<<20)
	_, _ = rand.Read(content)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	const half = 3 << 19
	write := func(path string, from int, data []byte) error {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = file.WriteAt(data, int64(from))
		return errors.Join(err, file.Close())
	}
	var late func(int64)
	for name, fetch := range map[string]func(path string, have func(int64)) error{
		"nothing is said": func(path string, _ func(int64)) error { return write(path, 0, content) },
		"all is said": func(path string, have func(int64)) error {
			err := write(path, 0, content[:half])
			have(half)
			err = errors.Join(err, write(path, half, content[half:]))
			have(int64(len(content)))
			return err
		},
		"the end comes first": func(path string, have func(int64)) error {
			err := errors.Join(write(path, half, content[half:]), write(path, 0, content[:half]))
			have(half)
			return err
		},
		"it is written anew": func(path string, have func(int64)) error {
			err := write(path, 0, make([]byte, half))
			have(half)
			have(0)
			err = errors.Join(err, os.Truncate(path, 0), write(path, 0, content))
			have(int64(len(content)))
			return err
		},
		"it is told later too": func(path string, have func(int64)) error {
			late = have
			return write(path, 0, content)
		},
	} {
		h := layer.Host{Dir: t.TempDir()}
		if err := h.Adopt(t.Context(), digest, fetch); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	late(1)

	for name, fetch := range map[string]func(path string, have func(int64)) error{
		"another file": func(path string, have func(int64)) error {
			err := write(path, 0, content[1:])
			have(half)
			return err
		},
		"more than was asked for": func(path string, have func(int64)) error {
			err := write(path, 0, content)
			have(int64(len(content)))
			return errors.Join(err, write(path, len(content), []byte{0}))
		},
		"less than was said": func(path string, have func(int64)) error {
			err := write(path, 0, content[:half])
			have(int64(len(content)))
			return err
		},
	} {
		h := layer.Host{Dir: t.TempDir()}
		if err := h.Adopt(t.Context(), digest, fetch); !errors.Is(err, layer.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(h.Dir, "layers", "*")); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

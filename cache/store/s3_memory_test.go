package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// moveIn makes this test's program put a file into a bucket and fetch it again; its value is the bucket's settings.
const moveIn = "STORE_TEST_MOVE_IN"

// move is that program.
func move(settings, source, fetched string) error {
	var cfg store.S3Config
	if err := json.Unmarshal([]byte(settings), &cfg); err != nil {
		return err
	}
	s, err := store.NewS3(cfg)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := errors.Join(s.PutFile(ctx, "big", source), s.GetFile(ctx, "big", fetched, nil)); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	fmt.Printf("%s", status)
	return err
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

func TestABigObjectTakesLittleMemory(t *testing.T) {
	t.Parallel()
	const size, most = 512 << 20, 128 << 20
	settings, err := json.Marshal(s3test.Versity(t))
	if err != nil {
		t.Fatal(err)
	}
	source, fetched := filepath.Join(t.TempDir(), "source"), filepath.Join(t.TempDir(), "fetched")
	randomFile(t, source, size)
	program := exec.CommandContext(t.Context(), os.Args[0], source, fetched)
	program.Env = append(os.Environ(), moveIn+"="+string(settings))
	out, err := program.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := highWater.FindSubmatch(out)
	if found == nil {
		t.Fatalf("it does not tell its memory:\n%s", out)
	}
	used, err := strconv.Atoi(string(found[1]))
	if err != nil || used<<10 > most {
		t.Errorf("it took %d kB (%v), want at most %d", used, err, most>>10)
	}
	t.Logf("%d MiB take %d MiB of memory, all of the program's", size>>20, used>>10)
	if info, err := os.Stat(fetched); err != nil || info.Size() != size {
		t.Errorf("fetched %v, %v", info, err)
	}
}

// BenchmarkGetFile is about a layer of the size of a big project's build cache.
func BenchmarkGetFile(b *testing.B) {
	const size = 700 << 20
	cfg := s3test.MinIO(b)
	source := filepath.Join(b.TempDir(), "source")
	randomFile(b, source, size)
	if err := newS3(b, cfg).PutFile(b.Context(), "layer", source); err != nil {
		b.Fatal(err)
	}
	for _, ranges := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprint("ranges=", ranges), func(b *testing.B) {
			s := newS3(b, cfg)
			s.Ranges(ranges)
			b.SetBytes(size)
			for i := 0; b.Loop(); i++ {
				fetched := filepath.Join(b.TempDir(), strconv.Itoa(i))
				if err := s.GetFile(b.Context(), "layer", fetched, nil); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := os.Remove(fetched); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

func randomFile(t testing.TB, path string, size int64) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{})
	block := make([]byte, 1<<20)
	for range size >> 20 {
		_, _ = random.Read(block) // it never fails
		if _, err := file.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

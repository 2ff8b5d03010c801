package settings

import (
	"fmt"
	"testing"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Bytes{
		`"512m"`: 512 << 20, `"512MB"`: 512 << 20, `"2GiB"`: 2 << 30, `"1.5g"`: 3 << 29, `"64 mb"`: 64 << 20,
		`"1048576"`: 1 << 20, `1048576`: 1 << 20, `1_048_576`: 1 << 20, `"100b"`: 100, `0`: 0, `"0"`: 0, `"1t"`: 1 << 40,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := load(t, "docker.shm_size = "+text)
			if err != nil || got.Docker.ShmSize != want {
				t.Errorf("got %v, want %d", err, want)
			}
		})
	}
	for size, want := range map[Bytes]string{0: "0", 1: "1", 1023: "1023", 1024: "1k", 1536: "1536", 3 << 29: "1536m", 1 << 40: "1t", 1 << 50: "1024t"} {
		if got := fmt.Sprint(size); got != want {
			t.Errorf("%d bytes: got %s, want %s", int64(size), got, want)
		}
	}
}

func TestProcessors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]CPUs{`"1.5"`: 1.5e9, `1.5`: 1.5e9, `2`: 2e9, `"0.01"`: 1e7, `"2"`: 2e9, `0.1`: 1e8} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := load(t, "docker.cpus = "+text)
			if err != nil || got.Docker.CPUs != want {
				t.Errorf("got %v, %v, want %d", got, err, want)
			}
		})
	}
}

//go:build faults

package cache

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// cost is what a step took.
type cost struct {
	took     time.Duration
	requests int64 // of the bucket, if there is one
	bytes    int64 // that it answered
	heap     uint64
	files    int // open at the same time
}

func (c cost) String() string {
	return fmt.Sprintf("%7d ms %5d requests %9d bytes %5d MB heap %4d files", c.took.Milliseconds(), c.requests, c.bytes, c.heap>>20, c.files)
}

// meter measures steps, one at a time.
type meter struct {
	requests, bytes atomic.Int64
}

// at counts what is asked of a bucket.
func (m *meter) at(p *s3test.Proxy) {
	p.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		m.requests.Add(1)
		next.ServeHTTP(counting{w, m}, r)
	})
}

type counting struct {
	http.ResponseWriter
	meter *meter
}

// Write implements io.Writer.
func (c counting) Write(data []byte) (int, error) {
	c.meter.bytes.Add(int64(len(data)))
	return c.ResponseWriter.Write(data)
}

// Unwrap is for http.ResponseController.
func (c counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// of is what a step costs. Heap and open files are those beyond what was there before.
func (m *meter) of(t *testing.T, step func()) (c cost) {
	t.Helper()
	runtime.GC()
	heap, files := heapNow(), filesNow(t)
	requests, bytes := m.requests.Load(), m.bytes.Load()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c.heap, c.files = max(c.heap, heapNow()), max(c.files, filesNow(t))
			select {
			case <-end:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	began := time.Now()
	step()
	c.took = time.Since(began)
	close(end)
	<-ended
	c.heap, c.files = c.heap-min(heap, c.heap), c.files-min(files, c.files)
	c.requests, c.bytes = m.requests.Load()-requests, m.bytes.Load()-bytes
	return c
}

func heapNow() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func filesNow(t *testing.T) int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Error(err)
	}
	return len(files)
}

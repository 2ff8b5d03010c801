package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// calls gives one of each kind. "there" and "big" are objects of the faulty server's.
func calls(t *testing.T, s *store.S3) map[string]func(ctx context.Context) error {
	t.Helper()
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, bigContent(), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]func(ctx context.Context) error{
		"Put":     func(ctx context.Context) error { return s.Put(ctx, "put", []byte("hello")) },
		"PutFile": func(ctx context.Context) error { return s.PutFile(ctx, "put-file", source) },
		"Delete":  func(ctx context.Context) error { return s.Delete(ctx, "deleted") },
		"List": func(ctx context.Context) error {
			found, err := s.List(ctx, "th", 1)
			if err == nil && (len(found) != 1 || found[0].Key != "there") {
				t.Errorf("List: got %v", found)
			}
			return err
		},
		"Get": func(ctx context.Context) error {
			got, err := s.Get(ctx, "there", 10_000)
			if err == nil && len(got) != 5000 {
				t.Errorf("Get: got %d bytes", len(got))
			}
			return err
		},
		"GetFile": func(ctx context.Context) error {
			path := filepath.Join(t.TempDir(), "fetched")
			err := s.GetFile(ctx, "big", path, nil)
			got, readErr := os.ReadFile(path)
			if (err != nil) != errors.Is(readErr, fs.ErrNotExist) {
				t.Errorf("GetFile: %v, and the file: %v", err, readErr)
			}
			if err == nil && !bytes.Equal(got, bigContent()) {
				t.Error("GetFile: it is not what was put")
			}
			return err
		},
	}
}

var bigContent = sync.OnceValue(func() []byte {
	data := make([]byte, bigObject)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data) // it never fails
	return data
})

// faulty gives a store whose server has a fault, and what that server was asked.
func faulty(t *testing.T, do fault, set ...func(cfg *store.S3Config)) (*store.S3, func() []*http.Request) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	for key, data := range map[string][]byte{"there": make([]byte, 5000), "big": bigContent()} {
		meta := map[string]string{"Last-Modified": time.Now().UTC().Format(http.TimeFormat)}
		if _, err := backend.PutObject("bucket", key, meta, bytes.NewReader(data), int64(len(data)), nil); err != nil {
			t.Fatal(err)
		}
	}
	next := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	var lock sync.Mutex
	var asked []*http.Request
	times := map[string]int{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		asked = append(asked, r.Clone(context.WithoutCancel(r.Context())))
		_, end, _ := strings.Cut(r.Header.Get("Range"), "-") // a range that is resumed is the same
		what := fmt.Sprint(r.Method, r.URL, end)
		n := times[what]
		times[what]++
		lock.Unlock()
		do(w, r, n, next)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the fake complains of answers that nobody wants any more
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	cfg := at(server)
	for _, change := range set {
		change(&cfg)
	}
	s := newS3(t, cfg)
	s.Bounds(faultCall, faultStall, faultAttempts)
	return s, func() []*http.Request {
		lock.Lock()
		defer lock.Unlock()
		return asked
	}
}

// The faults.

func answer(status int, code string) fault {
	return plain(status, "<?xml version=\"1.0\"?><Error><Code>"+code+"</Code><Message>said\nso</Message></Error>")
}

func plain(status int, body string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ int, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprint(w, body)
		}
	}
}

func only(methods string, f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, n int, next http.Handler) {
		if strings.Contains(methods, r.Method) && !r.URL.Query().Has("list-type") {
			f(w, r, n, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func once(f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, n int, next http.Handler) {
		if n == 0 {
			f(w, r, n, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// bigger is a fault of ranges that have more bytes than that.
func bigger(than int, f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, n int, next http.Handler) {
		var from, to int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err == nil && min(to, bigObject)-from > than {
			f(w, r, n, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func abort(http.ResponseWriter, *http.Request, int, http.Handler) {
	panic(http.ErrAbortHandler) // how a handler closes its connection
}

func hang(_ http.ResponseWriter, r *http.Request, _ int, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client has gone
	<-r.Context().Done()
}

// deaf does not even read what it is sent. It cannot see the client go, so it ends by itself.
func deaf(_ http.ResponseWriter, r *http.Request, _ int, _ http.Handler) {
	select {
	case <-r.Context().Done():
	case <-time.After(late / 2):
	}
}

func slow(by time.Duration) fault {
	return func(w http.ResponseWriter, r *http.Request, _ int, next http.Handler) {
		time.Sleep(by)
		next.ServeHTTP(w, r)
	}
}

// cut closes the connection after so many bytes of a body.
func cut(after int) fault {
	return func(w http.ResponseWriter, r *http.Request, n int, next http.Handler) {
		begin(w, r, after, next)
		abort(w, r, n, next)
	}
}

// stop sends so many bytes of a body, and then nothing.
func stop(after int) fault {
	return func(w http.ResponseWriter, r *http.Request, _ int, next http.Handler) {
		begin(w, r, after, next)
		<-r.Context().Done()
	}
}

func begin(w http.ResponseWriter, r *http.Request, bytes int, next http.Handler) {
	whole := httptest.NewRecorder()
	next.ServeHTTP(whole, r)
	for key, values := range whole.Header() {
		w.Header()[key] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(whole.Body.Bytes()[:min(bytes, whole.Body.Len()/2)])
	_ = http.NewResponseController(w).Flush()
}

func noRanges(w http.ResponseWriter, r *http.Request, _ int, next http.Handler) {
	r.Header.Del("Range")
	next.ServeHTTP(w, r)
}

// header sets one in answers that have it.
func header(key, value string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ int, next http.Handler) {
		next.ServeHTTP(rewriter{w, func(h http.Header) {
			if h.Get(key) != "" {
				h.Set(key, value)
			}
		}}, r)
	}
}

func otherSizes(w http.ResponseWriter, r *http.Request, _ int, next http.Handler) {
	next.ServeHTTP(rewriter{w, func(h http.Header) {
		if at := h.Get("Content-Range"); at != "" && !strings.HasPrefix(at, "bytes 0-") {
			span, _, _ := strings.Cut(at, "/")
			h.Set("Content-Range", span+"/99999999")
		}
	}}, r)
}

// versions is a server that gives another ETag with each answer, and does not know If-Match.
func versions() fault {
	var lock sync.Mutex
	version := 0
	return func(w http.ResponseWriter, r *http.Request, _ int, next http.Handler) {
		r.Header.Del("If-Match")
		next.ServeHTTP(rewriter{w, func(h http.Header) {
			lock.Lock()
			defer lock.Unlock()
			version++
			h.Set("ETag", fmt.Sprintf(`"v%d"`, version))
		}}, r)
	}
}

// twoVersions is a server whose object gets another ETag after its first range was asked for.
func twoVersions() fault {
	var lock sync.Mutex
	gets := 0
	return func(w http.ResponseWriter, r *http.Request, _ int, next http.Handler) {
		if r.Method != http.MethodGet || r.Header.Get("Range") == "" {
			next.ServeHTTP(w, r)
			return
		}
		lock.Lock()
		gets++
		etag := `"new"`
		if gets == 1 {
			etag = `"old"`
		}
		lock.Unlock()
		if want := r.Header.Get("If-Match"); want != "" && want != etag {
			answer(http.StatusPreconditionFailed, "PreconditionFailed")(w, r, 0, next)
			return
		}
		r.Header.Del("If-Match")
		next.ServeHTTP(rewriter{w, func(h http.Header) { h.Set("ETag", etag) }}, r)
	}
}

// rewriter changes the headers of an answer.
type rewriter struct {
	http.ResponseWriter
	change func(h http.Header)
}

// WriteHeader implements http.ResponseWriter.
func (w rewriter) WriteHeader(status int) {
	w.change(w.Header())
	w.ResponseWriter.WriteHeader(status)
}

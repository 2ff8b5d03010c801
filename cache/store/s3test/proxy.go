package s3test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Fake starts a server in this process, which keeps its objects in memory, and gives its bucket.
func Fake(t testing.TB) store.S3Config {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(server.Close)
	return configOf(strings.TrimPrefix(server.URL, "http://"))
}

// Fault answers a request to a bucket, or has next do so.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Proxy stands between a bucket and those who use it.
type Proxy struct {
	fault atomic.Pointer[Fault]
	next  http.Handler
}

// NewProxy starts one that passes everything on, until it is told a fault, and gives the bucket behind it.
func NewProxy(t testing.TB, c store.S3Config) (*Proxy, store.S3Config) {
	t.Helper()
	return NewProxyAt(t, c, "127.0.0.1")
}

// NewProxyAt starts one at another address of this host, such as one that containers reach.
func NewProxyAt(t testing.TB, c store.S3Config, host string) (*Proxy, store.S3Config) {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: c.ServerAddress}
	p := &Proxy{next: &httputil.ReverseProxy{
		// The signature of a request holds its Host, which SetURL would change.
		Rewrite:  func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
		ErrorLog: log.New(io.Discard, "", 0), // it complains of answers that nobody wants any more
	}}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}}
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	c.ServerAddress = strings.TrimPrefix(server.URL, "http://")
	return p, c
}

// Break gives the server a fault; nil ends it.
func (p *Proxy) Break(f Fault) {
	if f == nil {
		p.fault.Store(nil)
		return
	}
	p.fault.Store(&f)
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := p.fault.Load(); f != nil {
		(*f)(w, r, p.next)
		return
	}
	p.next.ServeHTTP(w, r)
}

// The faults.

// Answer says the same to everything.
func Answer(status int, code string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants it</Message></Error>", code)
		}
	}
}

// Abort closes the connection.
func Abort(http.ResponseWriter, *http.Request, http.Handler) {
	panic(http.ErrAbortHandler) //nolint:forbidigo // how a handler closes its connection
}

// Hang never answers.
func Hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client has gone
	<-r.Context().Done()
}

// Slow answers after a while.
func Slow(by time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		time.Sleep(by)
		next.ServeHTTP(w, r)
	}
}

// Short sends half of each body and closes the connection.
func Short(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body := recorded(w, r, next)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	Abort(w, r, next)
}

// WrongBytes sends bodies of the right size and of nothing but x.
func WrongBytes(w http.ResponseWriter, r *http.Request, next http.Handler) {
	_, _ = w.Write(bytes.Repeat([]byte("x"), len(recorded(w, r, next))))
}

// Ahead has the server's clock be ahead, or behind, as far as its answers tell.
func Ahead(by time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
		next.ServeHTTP(later{w}, r)
	}
}

// later keeps the date that was set first.
type later struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (l later) WriteHeader(status int) {
	l.Header()["Date"] = l.Header()["Date"][:1]
	l.ResponseWriter.WriteHeader(status)
}

// recorded gives the body of an answer whose head is sent.
func recorded(w http.ResponseWriter, r *http.Request, next http.Handler) []byte {
	whole := httptest.NewRecorder()
	next.ServeHTTP(whole, r)
	for key, values := range whole.Header() {
		w.Header()[key] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
	w.WriteHeader(whole.Code)
	return whole.Body.Bytes()
}

// Kinds of requests.

// Listings are requests for a listing.
func Listings(r *http.Request) bool { return r.URL.Query().Has("list-type") }

// Reads of objects whose keys end like that.
func Reads(suffix string) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == http.MethodGet && !Listings(r) && strings.HasSuffix(r.URL.Path, suffix)
	}
}

// Writes are requests that change something.
func Writes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// Only has a fault hit one kind of requests.
func Only(kind func(r *http.Request) bool, f Fault) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if kind(r) {
			f(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// First has a fault hit the first n requests.
func First(n int64, f Fault) Fault {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if seen.Add(1) <= n {
			f(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// After has a fault begin with the nth request, from 0.
func After(n int64, f Fault) Fault {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if seen.Add(1) > n {
			f(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

package store

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// errStalled ends a request whose connection is there and moves nothing.
var errStalled = errors.New("the server stopped answering")

// assembling is how many times longer a server may be silent while it makes one object of parts: some copy them all before they say
// a word (and Amazon's documentation of CompleteMultipartUpload speaks of minutes).
const assembling = 6

// guard ends requests that stall. A deadline would not do: how long a transfer may take depends on its size.
type guard struct {
	next  http.RoundTripper
	stall func() time.Duration // how long may pass without a byte
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	limit := g.stall()
	if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
		limit *= assembling
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	watch := &watch{timer: time.AfterFunc(limit, func() { cancel(errStalled) }), limit: limit}
	r = r.Clone(ctx)
	if r.Body != nil {
		r.Body = sending{r.Body, watch}
	}
	response, err := g.next.RoundTrip(r)
	watch.timer.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			err = errStalled
		}
		cancel(nil)
		return nil, err
	}
	response.Body = &receiving{ReadCloser: response.Body, watch: watch, ctx: ctx, cancel: cancel}
	return response, nil
}

type watch struct {
	timer *time.Timer
	limit time.Duration
}

// sending is the body of a request: what the connection takes of it is progress.
type sending struct {
	io.ReadCloser
	*watch
}

// Read implements io.Reader.
func (s sending) Read(p []byte) (int, error) {
	s.timer.Reset(s.limit)
	return s.ReadCloser.Read(p)
}

// receiving is the body of a response. Its clock runs only while somebody waits for a byte: a slow disk is no slow server.
type receiving struct {
	io.ReadCloser
	*watch
	ctx    context.Context //nolint:containedctx // that of the request, to tell why it ended
	cancel context.CancelCauseFunc
}

// Read implements io.Reader.
func (r *receiving) Read(p []byte) (int, error) {
	r.timer.Reset(r.limit)
	n, err := r.ReadCloser.Read(p)
	r.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(r.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

// Close implements io.Closer.
func (r *receiving) Close() error {
	r.timer.Stop()
	err := r.ReadCloser.Close()
	r.cancel(nil)
	return err
}

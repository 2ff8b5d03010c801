package store

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ClockOf tells by how much the clock of a server is ahead of this host's, to about a second. It asks for nothing but an answer, which needs no
// credentials; whatever the answer is, its header has the time.
func ClockOf(ctx context.Context, cfg S3Config) (ahead time.Duration, err error) {
	transport, err := cfg.transport()
	if err != nil {
		return 0, err
	}
	defer transport.CloseIdleConnections()
	scheme := "https"
	if cfg.Insecure {
		scheme = "http"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, scheme+"://"+cfg.address()+"/", http.NoBody)
	if err != nil {
		return 0, err
	}
	asked := time.Now()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<10))
	_ = answer.Body.Close()
	said, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("the server at %s does not tell its time: %w", cfg.address(), err)
	}
	between := asked.Add(time.Since(asked) / 2)
	return said.Add(500 * time.Millisecond).Sub(between), nil // the header has whole seconds
}

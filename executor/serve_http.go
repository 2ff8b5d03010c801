package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"
)

// Limits of a request: nobody who is slow, or says nothing, holds a connection for long.
const (
	headerLimit  = 5 * time.Second
	requestLimit = 10 * time.Second
	pageLimit    = 30 * time.Second // to make an answer
	answerLimit  = time.Minute      // from the end of the request's header until the answer is there
	idleLimit    = 2 * time.Minute
	endLimit     = 5 * time.Second // for what is going on when serve ends
	mostHeader   = 32 << 10
)

// listen opens the address at which serve answers; there is no listener if it is to answer nowhere.
func (s *server) listen(ctx context.Context) (net.Listener, error) {
	address := s.settings.Stats.ListenAddress
	if address == "" {
		return nil, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("stats.listen_address = %q: serve cannot answer there: %w; name a free address and port of this host, or \"\" for none", address, err)
	}
	return listener, nil
}

// answer answers until ctx ends.
func (s *server) answer(ctx context.Context, listener net.Listener) error {
	complaints := s.log.WriterLevel(logrus.DebugLevel)
	defer complaints.Close()
	h := &http.Server{
		Handler:           http.TimeoutHandler(s.pages(), pageLimit, "this takes too long; the operator log may say why\n"),
		ReadHeaderTimeout: headerLimit, ReadTimeout: requestLimit, WriteTimeout: answerLimit, IdleTimeout: idleLimit, MaxHeaderBytes: mostHeader,
		ErrorLog: stdlog.New(complaints, "", 0),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("stats.listen_address = %q: serve can no longer answer there: %w", s.settings.Stats.ListenAddress, err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	if err := h.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	_ = h.Close() // those that are still at it
	return nil
}

// pages are all that serve answers.
func (s *server) pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.Handle("GET /", s.dashboard())
	return mux
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	text, alive := summary(s.health.findings())
	status := http.StatusOK
	if !alive {
		status = http.StatusServiceUnavailable
	}
	say(w, status, text)
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // who has gone needs no answer
}

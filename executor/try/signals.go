package try

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted by a signal")

// Interruptible gives Run what it has to obey: a context that the first SIGINT or SIGTERM ends, with a cause, and a
// channel that the second one closes. A third one ends this process as if nobody had listened. The function stops
// listening.
func Interruptible(parent context.Context, say io.Writer) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	kill, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer signal.Stop(signals)
		select {
		case <-signals:
		case <-done:
			return
		}
		fmt.Fprintln(say, "stopping the job and cleaning up; another signal kills what does not stop")
		cancel(errInterrupted)
		select {
		case <-signals:
		case <-done:
			return
		}
		fmt.Fprintln(say, "killing the job and cleaning up; another signal leaves everything as it is")
		close(kill)
	}()
	return ctx, kill, func() { close(done); cancel(nil) }
}

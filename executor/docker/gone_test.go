package docker

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// newSocket is a path for a socket: it has to be short, and t.TempDir's has the test's name.
func newSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "docker.sock")
}

// standIn is a client of a daemon that speaks a version of the API, and answers as it is told to.
func standIn(t *testing.T, version string, answer http.HandlerFunc) *Client {
	t.Helper()
	socket := newSocket(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_ping" {
			w.Header().Set("Api-Version", version)
			return
		}
		answer(w, r)
	})}}
	server.Start()
	t.Cleanup(server.Close)
	c, err := Connect(t.Context(), "unix://"+socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAnImageThatWentIsALossAndNoBug(t *testing.T) {
	c := standIn(t, "1.41", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"No such image: sha256:1"}`)
	})
	_, err := c.Create(t.Context(), Owner{Name: "x"}, Spec{Suffix: "helper", Image: Image{ID: "sha256:1"}})
	if got := outcome.Of(err).Reason; got != outcome.ContainerLost {
		t.Errorf("%s: %v", got, err)
	}
}

// The Runner prepares a job anew whose services cannot be looked at; one whose service has died goes on.
func TestServicesThatCannotBeLookedAtAreNotTakenForStarted(t *testing.T) {
	c := standIn(t, "1.41", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	err := c.WaitHealthy(t.Context(), []Service{{ID: "1", Name: "db"}}, time.Second, io.Discard)
	if got := outcome.Of(err).Reason; got != outcome.DockerGone {
		t.Errorf("%s: %v", got, err)
	}
}

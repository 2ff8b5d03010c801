// Package dashboard shows the ledger of jobs to people: pages of HTML and SVG that need no script and nothing from elsewhere, in a browser of
// any width, on paper, and for those who do not see them. Whatever a job wrote is hostile, its name too.
package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// Open opens the ledger for one page, which closes it. That there is none yet is fs.ErrNotExist.
type Open func(context.Context) (*stats.Ledger, error)

const (
	pageLimit   = 20 * time.Second // how long the ledger may be asked for a page
	pagesAtOnce = 2                // that are being made: the host's processors are for jobs
)

// Handler answers for / and for /job/INSTANCE/JOB. Of the ledger it only reads. facts is called for each page, perhaps of
// several at once, and must not take long.
func Handler(open Open, facts func() Facts) http.Handler {
	h := &handler{open, facts, time.Now, pageLimit, make(chan struct{}, pagesAtOnce)}
	return h.routes()
}

type handler struct {
	open  Open
	facts func() Facts
	now   func() time.Time
	limit time.Duration
	turns chan struct{}
}

func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.overview)
	mux.HandleFunc("GET /job/{instance}/{job}", h.job)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		h.sentence(w, http.StatusNotFound, "/", "No such page", "There are the overview at / and the page of a job at /job/INSTANCE/JOB.")
	})
	return guarded(mux)
}

//go:embed *.html
var files embed.FS

//go:embed style.css
var style string

var templates = template.Must(template.New("").ParseFS(files, "*.html"))

// guarded lets a page use its own style and icon and nothing else, and keeps other sites from reading or framing it.
func guarded(next http.Handler) http.Handler {
	digest := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) +
		"'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// page is what all pages have.
type page struct {
	Title, Heading string
	Root           string // the way to /, which a proxy may have put elsewhere
	Style          template.CSS
	Host, Version  string
	Now            time.Time
	Clock, Zone    string
	Problem        string // why there are no figures
}

func newPage(f Facts, root, heading string, now time.Time) page {
	host := clean(or(f.Host, "unknown host"), shortName)
	return page{
		Title: heading + " · " + host, Heading: heading, Root: root, Style: template.CSS(style), //nolint:gosec // it is ours
		Host: host, Version: clean(or(f.Version, unknown), shortName), Now: now, Clock: clock(now), Zone: zone(now),
	}
}

func (h *handler) overview(w http.ResponseWriter, r *http.Request) {
	v, err := viewOf(r.URL.Query(), h.now())
	if err != nil {
		h.sentence(w, http.StatusBadRequest, "./", "No such view", "In the address, "+err.Error()+".")
		return
	}
	facts := h.facts()
	o := overview{page: newPage(facts, "./", "Go caches", v.now), Health: health(facts), Meters: meters(facts), Terms: terms(facts)}
	var f figures
	err = h.read(r.Context(), func(ctx context.Context, l *stats.Ledger) (err error) {
		f, err = ask(ctx, l, v)
		return err
	})
	o.choices(v, f.projects)
	if err == nil {
		err = o.fill(v, f)
	}
	status := http.StatusOK
	switch {
	case errors.Is(err, fs.ErrNotExist):
		o.Empty = "There is no ledger yet: no job has ended on this host since it was set up, or [stats] max_size is 0."
	case err != nil:
		status, o.Problem = http.StatusServiceUnavailable, "The ledger cannot be read: "+clean(err.Error(), longName)
	}
	h.render(w, status, "overview", &o)
}

func (h *handler) job(w http.ResponseWriter, r *http.Request) {
	instance, number := r.PathValue("instance"), r.PathValue("job")
	var p jobPage
	err := h.read(r.Context(), func(ctx context.Context, l *stats.Ledger) error {
		j, err := l.Find(ctx, stats.Filter{Instance: instance, Job: number})
		if err == nil {
			p = newJobPage(&j)
		}
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		h.sentence(w, http.StatusNotFound, "../../", "No such job",
			fmt.Sprintf("The ledger of this host has no job %s of %s. Jobs enter it when they have ended; the oldest leave it when it is full.", clean(number, shortName), clean(instance, shortName)))
	case err != nil:
		h.sentence(w, http.StatusServiceUnavailable, "../../", "The ledger cannot be read", clean(err.Error(), longName))
	default:
		p.page = newPage(h.facts(), "../../", p.Heading, h.now())
		h.render(w, http.StatusOK, "job", &p)
	}
}

// read has the ledger read, by few pages at a time.
func (h *handler) read(ctx context.Context, use func(context.Context, *stats.Ledger) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, h.limit, fmt.Errorf("it did not answer within %s; a shorter range may help", h.limit))
	defer cancel()
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return fmt.Errorf("other pages are being made: %w", context.Cause(ctx))
	}
	l, err := h.open(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := use(ctx, l); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return nil
}

// sentence is a page that says one thing.
func (h *handler) sentence(w http.ResponseWriter, status int, root, heading, text string) {
	p := newPage(h.facts(), root, heading, h.now())
	p.Problem = text
	h.render(w, status, "sentence", &p)
}

func (h *handler) render(w http.ResponseWriter, status int, name string, data any) {
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, name, data); err != nil {
		http.Error(w, "The page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // nobody listens any more
}

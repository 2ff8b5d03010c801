// Package httpapi is the HTTP face of the inventory.
package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"example.com/sample/internal/imports"
	"example.com/sample/internal/metrics"
	"example.com/sample/internal/part"
	"example.com/sample/internal/report"
	"example.com/sample/internal/store"
)

type api struct {
	parts  store.Store
	log    *zap.Logger
	tracer trace.Tracer
}

// New returns the handler of everything that is served over HTTP.
func New(parts store.Store, log *zap.Logger, meter *metrics.Meter, tracer trace.Tracer) http.Handler {
	a := api{parts: parts, log: log, tracer: tracer}
	r := chi.NewRouter()
	r.Use(middleware.RequestID, middleware.Recoverer, a.observe(meter))
	r.Method(http.MethodGet, "/metrics", meter.Handler())
	r.Route("/parts", func(r chi.Router) {
		r.Get("/", a.answer(a.list))
		r.Post("/", a.answer(a.create))
		r.Get("/{number}", a.answer(a.get))
	})
	r.Post("/import", a.answer(a.load))
	r.Get("/report", a.report)
	return r
}

// observe counts, traces and logs each request by its route, so that the names stay few.
func (a api) observe(meter *metrics.Meter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, span := a.tracer.Start(r.Context(), r.Method)
			defer span.End()
			seen, start := middleware.NewWrapResponseWriter(w, r.ProtoMajor), time.Now()
			next.ServeHTTP(seen, r.WithContext(ctx))
			route := chi.RouteContext(r.Context()).RoutePattern()
			span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.status", seen.Status()))
			meter.Observe(route, seen.Status(), time.Since(start))
			a.log.Debug("served", zap.String("route", route), zap.Int("status", seen.Status()))
		})
	}
}

// answer turns what a function returns into JSON, and its error into a status.
func (a api) answer(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		v, err := f(r)
		if err != nil {
			status, v = statusOf(err), map[string]string{"error": err.Error()}
			if status == http.StatusInternalServerError {
				a.log.Error("request failed", zap.Error(err))
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			a.log.Warn("answer not sent", zap.Error(err))
		}
	}
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, part.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrTaken):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

func (a api) list(r *http.Request) (any, error) {
	parts, err := a.parts.List(r.Context())
	return map[string]any{"parts": parts}, err
}

func (a api) get(r *http.Request) (any, error) {
	return a.parts.Get(r.Context(), chi.URLParam(r, "number"))
}

func (a api) create(r *http.Request) (any, error) {
	var in part.Part
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, errors.Join(part.ErrInvalid, err)
	}
	p, err := part.New(in.Number, in.Name, in.Stock)
	if err != nil {
		return nil, err
	}
	return p, a.parts.Put(r.Context(), p)
}

func (a api) load(r *http.Request) (any, error) {
	parts, err := imports.Read(r.Body)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if err := a.parts.Put(r.Context(), p); err != nil {
			return nil, err
		}
	}
	return map[string]int{"imported": len(parts)}, nil
}

func (a api) report(w http.ResponseWriter, r *http.Request) {
	parts, err := a.parts.List(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := report.Write(w, parts); err != nil {
		a.log.Warn("report not sent", zap.Error(err))
	}
}

package rest

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// logged tells of every answer at debug level. It logs the route, never the
// path: anything can be in a path, a phone as well. A request without a route
// was answered 404 or 405.
func logged(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		rec := record(w)
		defer logAnswer(log, r, rec, time.Now())
		next.ServeHTTP(rec, r)
	})
}

func logAnswer(log *slog.Logger, r *http.Request, rec *recorder, start time.Time) {
	log.LogAttrs(r.Context(), slog.LevelDebug, "request served",
		slog.String("request_id", requestID(r.Context())), slog.String("method", r.Method),
		slog.String("route", r.Pattern), slog.Int("status", rec.status),
		slog.Int64("bytes", rec.bytes), slog.Duration("took", time.Since(start)))
}

// RequestObserver is told of every answer, for the metrics.
type RequestObserver interface {
	// Served is told the route's pattern, not its path; "" where there is no route.
	Served(method, route string, status int, took time.Duration)
}

// measured tells the observer of every answer. An endless one took no time that
// says anything.
func (a *api) measured(observer RequestObserver, next http.Handler) http.Handler {
	if observer == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec, began := record(w), time.Now()
		defer func() {
			took := time.Since(began)
			if a.routes[r.Pattern].endless {
				took = 0
			}
			observer.Served(knownMethod(r.Method), path(r.Pattern), rec.status, took)
		}()
		next.ServeHTTP(rec, r)
	})
}

// path is a pattern without its method.
func path(pattern string) string {
	_, path, _ := strings.Cut(pattern, " ")
	return path
}

// knownMethod keeps what a stranger can think of out of the labels.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the header is written
	bytes  int64
}

// record returns w as a recorder, the same one all the way down.
func record(w http.ResponseWriter) *recorder {
	if rec, ok := w.(*recorder); ok {
		return rec
	}
	return &recorder{ResponseWriter: w}
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // 1xx are not the answer yet
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

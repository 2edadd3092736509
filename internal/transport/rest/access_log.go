package rest

import (
	"log/slog"
	"net/http"
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

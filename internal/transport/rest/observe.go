package rest

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
)

const requestIDHeader = "X-Request-ID"

// validRequestID is what is accepted from a client: it goes into headers and logs.
var validRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

type requestIDKey struct{}

// identifyRequests gives every request an id, the client's own if it is valid, and forbids
// caches to keep responses: they contain personal data.
func identifyRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !validRequestID.MatchString(id) {
			id = rand.Text()
		}
		h := w.Header()
		h.Set(requestIDHeader, id)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// requestID returns the id of the request of ctx, or "".
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// RequestObserver receives every response, for the metrics.
type RequestObserver interface {
	// Served gets the pattern of the route, not the path; "" without a route.
	Served(method, route string, status int, took time.Duration)
	// Refused gets the code of a request that is refused for who sends it.
	Refused(code string)
}

// measureRequests reports every response to observer. The duration of an endless one means
// nothing and is reported as 0.
func (a *api) measureRequests(observer RequestObserver, next http.Handler) http.Handler {
	if observer == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec, began := asRecorder(w), time.Now()
		defer func() {
			took := time.Since(began)
			if a.routes[r.Pattern].endless {
				took = 0
			}
			_, path, _ := strings.Cut(r.Pattern, " ")
			observer.Served(knownMethod(r.Method), path, rec.status, took)
		}()
		next.ServeHTTP(rec, r)
	})
}

// knownMethod limits the values of a metric's label: a client may send any method.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// logRequests logs every response at debug level, with the route and never the path,
// which may contain personal data.
func logRequests(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		rec := asRecorder(w)
		defer logResponse(log, r, rec, time.Now())
		next.ServeHTTP(rec, r)
	})
}

func logResponse(log *slog.Logger, r *http.Request, rec *recorder, start time.Time) {
	log.LogAttrs(r.Context(), slog.LevelDebug, "request served",
		slog.String("request_id", requestID(r.Context())), slog.String("method", r.Method),
		slog.String("route", r.Pattern), slog.Int("status", rec.status),
		slog.Int64("bytes", rec.bytes), slog.Duration("took", time.Since(start)))
}

// recoverPanics turns a panic into a logged 500. When the response has begun, it breaks
// the connection, so that a partial response is not taken for a complete one.
func recoverPanics(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := asRecorder(w)
		defer recoverPanic(log, rec, r)
		next.ServeHTTP(rec, r)
	})
}

// recoverPanic must be deferred itself, or recover returns nil.
func recoverPanic(log *slog.Logger, rec *recorder, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v) // the connection was aborted on purpose
	}
	if rec.failed {
		panic(http.ErrAbortHandler) // huma panics when the client stops reading
	}
	log.LogAttrs(r.Context(), slog.LevelError, "handler panicked",
		slog.String("request_id", requestID(r.Context())), slog.String("route", r.Pattern),
		slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	if rec.status != 0 {
		panic(http.ErrAbortHandler)
	}
	writeProblem(rec, r, problem(codeInternal, ""))
}

// recorder records the status and the size of a response.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the header is written
	bytes  int64
	failed bool // the client has disconnected, or reads no more
}

// asRecorder returns w as a recorder, the same one for all handlers.
func asRecorder(w http.ResponseWriter) *recorder {
	if rec, ok := w.(*recorder); ok {
		return rec
	}
	return &recorder{ResponseWriter: w}
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // 1xx precede the response
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
	r.failed = r.failed || err != nil
	return n, err
}

package rest

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// recovered turns a panic into a logged 500. Where the answer has begun, it
// breaks the connection, so that half an answer does not look like a whole one.
func recovered(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := record(w)
		defer answerPanic(log, rec, r)
		next.ServeHTTP(rec, r)
	})
}

// answerPanic has to be the deferred function itself, or it recovers nothing.
func answerPanic(log *slog.Logger, rec *recorder, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v) // a connection broken on purpose
	}
	log.LogAttrs(r.Context(), slog.LevelError, "handler panicked",
		slog.String("request_id", requestID(r.Context())), slog.String("route", r.Pattern),
		slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	if rec.status != 0 {
		panic(http.ErrAbortHandler)
	}
	writeProblem(rec, r, problem(codeInternal, ""))
}

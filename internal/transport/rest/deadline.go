package rest

import (
	"context"
	"net/http"
	"time"
)

// deadlined bounds how long handlers may work, the body being there already.
// They see it in their context; what waits for PostgreSQL then ends as a 503.
func (a *api) deadlined(timeout time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.routes[r.Pattern].endless {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

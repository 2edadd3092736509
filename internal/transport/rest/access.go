package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"service-courier/internal/access"
	"service-courier/internal/courier"
)

// Callers maps tokens to callers.
type Callers interface {
	Caller(ctx context.Context, token string) (access.Caller, bool)
}

// role is what a caller needs for a route.
type role = access.Role

// The roles; operate includes read.
const (
	public  role = "" // no token required
	read         = access.Read
	operate      = access.Operate
)

// bearer is the security scheme of tokens in the OpenAPI document.
const bearer = "bearer"

// authorize requires a token with the role of the route; a route without a role
// requires operate. Without callers no token is required. It limits what the caller has
// open, on public routes by its address.
func (a *api) authorize(callers Callers, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		needed := operate
		if route, known := a.routes[r.Pattern]; known {
			needed = route.role
		}
		var caller access.Caller
		if callers != nil && needed != public {
			var p *Problem
			if caller, p = authenticate(r, callers, needed); p != nil {
				a.refusals.refuse(w, r, caller, p)
				return
			}
			r = r.WithContext(courier.WithActor(r.Context(), caller.Name))
		}
		if probes[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		open := a.requests
		if a.routes[r.Pattern].endless {
			open = a.streams
		}
		release, p := open.take(callerKey(r.RemoteAddr, caller))
		if p != nil {
			writeProblem(w, r, p)
			return
		}
		defer release()
		if needed == operate {
			rec := asRecorder(w)
			defer a.logCommand(r, rec, caller.Name, time.Now())
			w = rec
		}
		next.ServeHTTP(w, r)
	})
}

// authenticate returns the caller, or the problem of a missing or insufficient token.
func authenticate(r *http.Request, callers Callers, needed role) (access.Caller, *Problem) {
	token, presented := presentedToken(r)
	caller, known := callers.Caller(r.Context(), token)
	switch {
	case !presented:
		return caller, challenge(codeUnauthorized, "")
	case !known:
		return caller, challenge(codeUnauthorized, `, error="invalid_token"`)
	case !caller.Role.Allows(needed):
		p := challenge(codeForbidden, `, error="insufficient_scope", scope="`+string(needed)+`"`)
		p.Detail = fmt.Sprintf("the request needs the role %s; the token %s has the role %s", needed, caller.Name, caller.Role)
		return caller, p
	}
	return caller, nil
}

// challenge is a problem with WWW-Authenticate as defined by RFC 6750.
func challenge(code, attributes string) *Problem {
	p := problem(code, "")
	p.headers.Set("WWW-Authenticate", `Bearer realm="service-courier"`+attributes)
	return p
}

// presentedToken returns the token of the Authorization header, else the one that a
// signed-in browser sends in its cookie.
func presentedToken(r *http.Request) (token string, presented bool) {
	if token, presented = bearerOf(r.Header.Get("Authorization")); presented {
		return token, true
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", false
	}
	return cookie.Value, true
}

func bearerOf(authorization string) (token string, presented bool) {
	scheme, token, ok := strings.Cut(authorization, " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, bearer)
}

// logCommand logs each request that may change something, with its caller.
func (a *api) logCommand(r *http.Request, rec *recorder, caller string, start time.Time) {
	a.log.LogAttrs(r.Context(), slog.LevelInfo, "api command handled",
		slog.String("request_id", requestID(r.Context())), slog.String("route", r.Pattern),
		slog.String("caller", caller), slog.Int("status", rec.status), slog.Duration("took", time.Since(start)))
}

// sameOrigin refuses writes that a browser sends for a page of another origin. An
// API on loopback would otherwise be open to every page that its user visits.
func (f *refusals) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if protection.Check(r) != nil {
			f.refuse(w, r, access.Caller{}, problem(codeCrossOrigin, ""))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// probes are the paths of health checks.
var probes = map[string]bool{"/livez": true, "/readyz": true, "/healthcheck": true, "/ping": true}

// anyHost are the paths that probes and scrapers request under any name.
var anyHost = map[string]bool{"/livez": true, "/readyz": true, "/healthcheck": true, "/metrics": true}

// ownName refuses requests whose Host is neither localhost, an IP address nor one of
// names.
func (f *refusals) ownName(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !anyHost[r.URL.Path] && !access.HostAllowed(r.Host, names...) {
			f.refuse(w, r, access.Caller{}, problem(codeMisdirected, ""))
			return
		}
		next.ServeHTTP(w, r)
	})
}

package rest

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/access"
	"service-courier/internal/courier"
)

// Callers knows who has which token.
type Callers interface {
	Caller(ctx context.Context, token string) (access.Caller, bool)
}

// role is what a caller must have to use a route.
type role = access.Role

// The roles; operate includes read.
const (
	public  role = "" // no token is asked for
	read         = access.Read
	operate      = access.Operate
)

// bearer is the document's name for the tokens.
const bearer = "bearer"

func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{bearer: {
		Type: "http", Scheme: "bearer",
		Description: "A token of API_TOKENS with the role that the operation names, read or operate; operate includes read. Where there are no tokens, none is asked for.",
	}}
}

// security says in the document which role an operation needs.
func security(role role) []map[string][]string {
	if role == public {
		return []map[string][]string{}
	}
	return []map[string][]string{{bearer: {string(role)}}}
}

// authorised asks the caller for a token of the role that the route needs; a route
// that nobody has given a role needs the highest. With callers nil it asks nobody.
func (a *api) authorised(callers Callers, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		needed := operate
		if route, known := a.routes[r.Pattern]; known {
			needed = route.role
		}
		if needed == public {
			next.ServeHTTP(w, r)
			return
		}
		var caller access.Caller
		if callers != nil {
			var p *Problem
			if caller, p = authenticate(r, callers, needed); p != nil {
				writeProblem(w, r, p)
				return
			}
			r = r.WithContext(courier.WithActor(r.Context(), caller.Name))
		}
		if needed == operate {
			rec := record(w)
			defer a.logCommand(r, rec, caller.Name, time.Now())
			w = rec
		}
		next.ServeHTTP(w, r)
	})
}

// authenticate returns who calls; the problem is nil when he may.
func authenticate(r *http.Request, callers Callers, needed role) (access.Caller, *Problem) {
	token, presented := bearerToken(r)
	caller, known := callers.Caller(r.Context(), token)
	switch {
	case !presented:
		return caller, challenge(codeUnauthorized, "")
	case !known:
		return caller, challenge(codeUnauthorized, `, error="invalid_token"`)
	case !caller.Role.Allows(needed):
		return caller, challenge(codeForbidden, `, error="insufficient_scope", scope="`+string(needed)+`"`)
	}
	return caller, nil
}

// challenge is a problem with WWW-Authenticate as RFC 6750 has it.
func challenge(code, attributes string) *Problem {
	p := problem(code, "")
	p.headers.Set("WWW-Authenticate", `Bearer realm="service-courier"`+attributes)
	return p
}

func bearerToken(r *http.Request) (token string, presented bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, bearer)
}

// logCommand tells who changed something, or tried to, and how it ended.
func (a *api) logCommand(r *http.Request, rec *recorder, caller string, start time.Time) {
	a.log.LogAttrs(r.Context(), slog.LevelInfo, "command",
		slog.String("request_id", requestID(r.Context())), slog.String("route", r.Pattern),
		slog.String("caller", caller), slog.Int("status", rec.status), slog.Duration("took", time.Since(start)))
}

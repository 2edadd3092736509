package rest

import (
	"net"
	"net/http"
	"strings"
)

// sameOrigin refuses writes that a browser sends for a page of another origin:
// an API on loopback would otherwise be open to every page that its user visits.
// Programs, which say nothing of an origin, pass.
func sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if protection.Check(r) != nil {
			writeProblem(w, r, problem(codeCrossOrigin, ""))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownName refuses requests to anything but this machine by its own name. A page
// elsewhere can let its own name point to 127.0.0.1 (DNS rebinding), and is of the
// same origin as an API that nobody needs a token for.
func ownName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			writeProblem(w, r, problem(codeMisdirected, ""))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback says so of a host with or without its port, as in Host.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

package rest

import "net/http"

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

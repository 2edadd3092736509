package rest

import "net/http"

// router answers what the mux has no route for with a problem: 404, or 405
// with Allow. Everything else goes on.
type router struct {
	mux  *http.ServeMux
	next http.Handler
}

func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refusing, pattern := rt.mux.Handler(r)
	if pattern != "" {
		r.Pattern = pattern // for those around, who do not see what the mux notes in a copy
		rt.next.ServeHTTP(w, r)
		return
	}
	// Only the mux's own answer tells a wrong method from a wrong path, and
	// which methods there are.
	answer := discarded{header: make(http.Header)}
	refusing.ServeHTTP(&answer, r)
	if answer.status != http.StatusMethodNotAllowed {
		writeProblem(w, r, problem(codeNoRoute, ""))
		return
	}
	allow := answer.header.Get("Allow")
	p := problem(codeMethodNotAllowed, "this path allows "+allow)
	p.headers.Set("Allow", allow)
	writeProblem(w, r, p)
}

// discarded keeps an answer's status and header, and drops its body.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }
func (d *discarded) WriteHeader(status int)      { d.status = status }

package rest

import (
	"net/http"

	"service-courier/internal/access"
)

// PlainPages are the pages for browsers without JavaScript.
type PlainPages interface {
	Board(w http.ResponseWriter, r *http.Request, signedIn bool)
	SignIn(w http.ResponseWriter, r *http.Request, refused bool)
}

// plainPath has the plain board, which signs in by a form and with the cookie of the other
// pages.
const plainPath = "/ui/plain"

type plainAPI struct {
	pages    PlainPages
	callers  Callers // nil: no token is required
	refusals *refusals
}

func (a *api) registerPlain(pages PlainPages, callers Callers) {
	p := plainAPI{pages, callers, a.refusals}
	a.handle(plainPath, route{role: public}, http.HandlerFunc(p.board)) // a refusal is a page
	a.routes["POST "+plainPath] = route{role: public, form: true}
	a.mux.HandleFunc("POST "+plainPath, p.sign)
}

func (p plainAPI) board(w http.ResponseWriter, r *http.Request) {
	if p.callers != nil {
		if _, refusal := authenticate(r, p.callers, read); refusal != nil {
			p.pages.SignIn(w, r, false)
			return
		}
	}
	p.pages.Board(w, r, p.callers != nil)
}

// sign signs in with a token, and out without one.
func (p plainAPI) sign(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("token")
	if token != "" && p.callers != nil {
		if _, known := p.callers.Caller(r.Context(), token); !known {
			p.refusals.report(r.Context(), codeUnauthorized, callerKey(r.RemoteAddr, access.Caller{}), r.Pattern)
			p.pages.SignIn(w, r, true)
			return
		}
	}
	cookie := newSessionCookie(token, r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https")
	http.SetCookie(w, &cookie)
	http.Redirect(w, r, r.URL.RequestURI(), http.StatusSeeOther)
}

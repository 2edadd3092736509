package rest

import (
	"embed"
	"html/template"
	"net/http"
	"strings"
)

// pages are for people: /docs shows the document, /problems/… explains a code.
// They load nothing from elsewhere.
//
//go:embed pages
var pages embed.FS

var problemPage = template.Must(template.ParseFS(pages, "pages/problem.html"))

func (a *api) registerPages() {
	page := func(path, file string) {
		a.handle(path, route{role: public}, paged(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, pages, "pages/"+file)
		})))
	}
	page("/docs", "docs.html")
	page("/docs/docs.js", "docs.js")
	page("/docs/pages.css", "pages.css")
	a.handle(problemsPath+"{code}", route{role: public}, paged(http.HandlerFunc(explain)))
}

// paged keeps a page from loading, sending to, or being shown in anything else.
func paged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// explain shows the kind of problem that a type refers to.
func explain(w http.ResponseWriter, r *http.Request) {
	for _, k := range kinds {
		if k.path() == r.URL.Path {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_ = problemPage.Execute(w, map[string]any{ // the client has gone: nobody to tell
				"Title": k.title, "Code": k.code, "Status": k.status,
				"Detail": strings.TrimSuffix(k.detail, "."), "Remedy": k.remedy,
			})
			return
		}
	}
	writeProblem(w, r, problem(codeNoRoute, ""))
}

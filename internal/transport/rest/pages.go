package rest

import (
	"embed"
	"html/template"
	"net/http"
	"strings"
)

// pages has /docs, which shows the OpenAPI document, and /problems/…, which explain
// the codes. They load nothing from other sites.
//
//go:embed pages
var pages embed.FS

var problemPage = template.Must(template.ParseFS(pages, "pages/problem.html"))

func (a *api) registerPages() {
	file := func(path, name string) {
		a.handle(path, route{role: public}, secured(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, pages, "pages/"+name)
		})))
	}
	file("/docs", "docs.html")
	file("/docs/docs.js", "docs.js")
	file("/docs/pages.css", "pages.css")
	a.handle(problemsPath+"{code}", route{role: public}, secured(http.HandlerFunc(explain)))
}

// secured keeps a page from loading, sending to, or being embedded in another site.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// explain shows the page of a kind of problem.
func explain(w http.ResponseWriter, r *http.Request) {
	for _, k := range kinds {
		if k.path() == r.URL.Path {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_ = problemPage.Execute(w, map[string]any{ // fails only when the client has disconnected
				"Title": k.title, "Code": k.code, "Status": k.status,
				"Detail": strings.TrimSuffix(k.detail, "."), "Remedy": k.remedy, "Command": k.command,
			})
			return
		}
	}
	writeProblem(w, r, problem(codeNoRoute, ""))
}

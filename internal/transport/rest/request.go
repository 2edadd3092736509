package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// router answers a request without a route with a problem: 404, or 405 with Allow.
type router struct {
	mux  *http.ServeMux
	next http.Handler
}

func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refusing, pattern := rt.mux.Handler(r)
	if pattern != "" {
		r.Pattern = pattern // for the outer handlers: the mux sets it in a copy only
		rt.next.ServeHTTP(w, r)
		return
	}
	// Only the mux's own response distinguishes a wrong method from a wrong path.
	answer := headerOnly{header: make(http.Header)}
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

// Routed serves what a mux routes, and answers the rest as the API does.
func Routed(mux *http.ServeMux) http.Handler { return &router{mux: mux, next: mux} }

// headerOnly keeps the status and the header of a response.
type headerOnly struct {
	header http.Header
	status int
}

func (h *headerOnly) Header() http.Header         { return h.header }
func (h *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (h *headerOnly) WriteHeader(status int)      { h.status = status }

// setDeadline limits the time of a handler through its context.
func (a *api) setDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.routes[r.Pattern].endless {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), a.timeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// boundBody reads a JSON body of at most limit bytes before the handler runs, so that
// a slow or endless sender occupies nothing but its own connection. A body without
// a Content-Type is taken as JSON; only the route of a form takes a form. It refuses text
// that is not UTF-8, which Go would otherwise store with replacement characters.
func (a *api) boundBody(limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := checkURL(r.URL)
		if p == nil && hasBody(r.Method) {
			p = readBody(w, r, limit, a.routes[r.Pattern].form)
		}
		if p != nil {
			writeProblem(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkURL returns the problem of a path or query that is not UTF-8, or of a query
// that url.URL.Query would read only in part.
func checkURL(u *url.URL) *Problem {
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case !utf8.ValidString(u.Path):
		return problem(codeMalformed, "the path is not UTF-8")
	case err != nil:
		return problem(codeMalformed, "the query cannot be parsed")
	}
	for name, values := range query {
		if !utf8.ValidString(name + strings.Join(values, "")) {
			return problem(codeMalformed, "the query is not UTF-8")
		}
	}
	return nil
}

func hasBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// readBody replaces the body by its bytes, and the Content-Type by the spelling that
// huma expects. It returns nil, or why it could not.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, form bool) *Problem {
	isJSON, isUTF8 := parseContentType(r.Header.Values("Content-Type"))
	switch {
	case form != isForm(r) || !form && !isJSON:
		return problem(codeMediaType, "")
	case !isUTF8:
		return problem(codeMalformed, "the charset of the body must be UTF-8")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return unreadable(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if form {
		return nil
	}
	if text := ambiguity(body); text != "" {
		return problem(codeMalformed, text)
	}
	r.Header.Set("Content-Type", "application/json")
	return nil
}

func isForm(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/x-www-form-urlencoded"
}

// parseContentType reports whether the values of Content-Type are JSON, and in UTF-8.
func parseContentType(values []string) (isJSON, isUTF8 bool) {
	contentType := strings.Join(values, ",") // several values are no media type
	if contentType == "" {
		return true, true
	}
	media, params, err := mime.ParseMediaType(contentType)
	isJSON = err == nil && (media == "application/json" ||
		strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
	charset, declared := params["charset"]
	return isJSON, !declared || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// ambiguity returns why JSON text could be read in two ways, or "". encoding/json keeps
// the last of fields with the same name, and replaces what is not UTF-8. Text that is
// not JSON at all is left to huma, which describes the place.
func ambiguity(text []byte) string {
	if !json.Valid(text) {
		return ""
	}
	_, err := jsontext.NewDecoder(bytes.NewReader(text)).ReadValue()
	switch {
	case err == nil:
		return ""
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "the body has two fields with the same name"
	}
	return `the body is not UTF-8, or has half a character, such as \ud800`
}

func unreadable(err error) *Problem {
	var (
		tooLarge *http.MaxBytesError
		network  net.Error
	)
	switch {
	case errors.As(err, &tooLarge):
		return problem(codeBodyTooLarge, "")
	case errors.As(err, &network) && network.Timeout():
		return problem(codeBodyTimeout, "")
	}
	return problem(codeMalformed, "the body is incomplete")
}

// refuseQuery refuses query parameters that huma ignores: it reads one without a
// value as omitted (?state= would list everything), and of one given twice only the
// first. No parameter here is a list.
func (a *api) refuseQuery(ctx huma.Context, next func(huma.Context)) {
	url := ctx.URL()
	query := url.Query()
	var refused []error
	for _, p := range ctx.Operation().Parameters {
		if p.In != "query" {
			continue
		}
		switch values := query[p.Name]; {
		case len(values) > 1:
			refused = append(refused, &huma.ErrorDetail{Location: "query." + p.Name, Message: "given more than once"})
		case len(values) == 1 && values[0] == "" && !allowsEmpty(p.Schema):
			refused = append(refused, &huma.ErrorDetail{Location: "query." + p.Name, Message: "empty"})
		}
	}
	if len(refused) > 0 {
		_ = huma.WriteErr(a.API, ctx, http.StatusUnprocessableEntity, "", refused...) // fails only when the client has disconnected
		return
	}
	next(ctx)
}

func allowsEmpty(s *huma.Schema) bool {
	return s.Type == huma.TypeString && s.Format == "" && s.Pattern == "" && len(s.Enum) == 0 &&
		(s.MinLength == nil || *s.MinLength == 0)
}

package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
)

// bounded reads the body of a request, at most limit bytes, before the handler
// runs: a slow or endless sender holds nothing but its own connection. Only JSON
// passes; a body without a Content-Type is taken for it.
func bounded(limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hasBody(r.Method) {
			if p := takeBody(w, r, limit); p != nil {
				writeProblem(w, r, p)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func hasBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// takeBody puts the body into memory and its type into the one spelling that
// huma knows; the problem is nil when both are fine.
func takeBody(w http.ResponseWriter, r *http.Request, limit int64) *Problem {
	if !isJSON(r.Header.Get("Content-Type")) {
		return problem(codeMediaType, "")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return unreadable(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return nil
}

func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" ||
		strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
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
	return problem(codeMalformed, "the body broke off")
}

package rest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// bounded reads the body of a request, at most limit bytes, before the handler
// runs: a slow or endless sender holds nothing but its own connection. Only JSON
// passes; a body without a Content-Type is taken for it.
func bounded(limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch:
			if p := takeBody(w, r, limit); p != nil {
				writeProblem(w, p)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// takeBody puts the body into memory and its type into the one spelling that
// huma knows; the problem is nil when both are fine.
func takeBody(w http.ResponseWriter, r *http.Request, limit int64) *huma.ErrorModel {
	if !isJSON(r.Header.Get("Content-Type")) {
		return problem(http.StatusUnsupportedMediaType, "the body must be JSON: send it with Content-Type: application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return unreadable(err, limit)
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

func unreadable(err error, limit int64) *huma.ErrorModel {
	var (
		tooLarge *http.MaxBytesError
		network  net.Error
	)
	switch {
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", limit))
	case errors.As(err, &network) && network.Timeout():
		return problem(http.StatusRequestTimeout, "the body took too long to arrive")
	}
	return problem(http.StatusBadRequest, "the body broke off")
}

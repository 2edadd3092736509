package ordersim

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// maxBody bounds what a request may send.
const maxBody = 1 << 20

// The errors a request can end in, beside ErrNotFound.
var (
	errUnauthorized = errors.New("X-User-ID is missing: send it, or X-Bypass-Auth: true")
	errBadRequest   = errors.New("bad request")
)

// routes is the API of service-order. What is not in it gets the plain 404 and
// 405 of the standard mux, not an error of the API, as in the original.
func (s *Sim) routes() http.Handler {
	const base = "/public/api/v1"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"/order/{id}", s.answer(s.getOrder))
	mux.HandleFunc("GET "+base+"/order/{id}/status", s.answer(s.getStatus))
	mux.HandleFunc("GET "+base+"/orders", s.listOrders)
	mux.HandleFunc("POST "+base+"/order", s.answer(s.postOrder))
	mux.HandleFunc("PUT "+base+"/order/{id}", s.answer(s.putOrder))
	mux.HandleFunc("DELETE "+base+"/order/{id}", s.answer(s.deleteOrder))
	mux.HandleFunc("POST "+base+"/debug/seed", s.answer(s.postSeed))
	return mux
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// handler does one request and returns the status and body of a success.
type handler func(r *http.Request) (status int, body any, err error)

// answer turns a handler's outcome into a response.
func (s *Sim) answer(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, body, err := h(r)
		if err != nil {
			s.fail(w, err)
			return
		}
		s.write(w, status, body)
	}
}

// problem is the body of every error.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (s *Sim) fail(w http.ResponseWriter, err error) {
	status, code := classify(err)
	message := err.Error()
	if status == http.StatusInternalServerError {
		s.log.Error("request failed", slog.Any("error", err))
		message = "internal error"
	}
	s.write(w, status, problem{Code: code, Message: message})
}

// classify is the one place where errors become HTTP.
func classify(err error) (status int, code string) {
	switch {
	case errors.Is(err, errUnauthorized):
		return http.StatusUnauthorized, "unauthorized"
	case errors.Is(err, errBadRequest):
		return http.StatusBadRequest, "bad_request"
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound, "not_found"
	default:
		return http.StatusInternalServerError, "internal"
	}
}

func (s *Sim) write(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		s.log.Error("answer not encoded", slog.Any("error", err))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the client has gone: nobody to tell
}

// user is who sends the request, empty when it does not say.
func user(r *http.Request) string {
	if r.Header.Get("X-Bypass-Auth") == "true" {
		return defaultUser
	}
	return r.Header.Get("X-User-ID")
}

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strconv"

	"service-courier/internal/cli/client"
	"service-courier/internal/cli/output"
	"service-courier/internal/config"
)

const (
	apiRoot = "/api/v1"
	maxPage = 100 // of the API
)

// Server runs the commands against a running server.
type Server struct {
	client *client.Client
	out    output.Writer
	notes  io.Writer // messages that are not data
}

// NewClient returns a client of the server at a URL, or at COURIER_URL for "".
func NewClient(url string) (*client.Client, error) {
	cfg, err := config.LoadClient(url)
	if err != nil {
		return nil, UsageError{err}
	}
	c, err := client.New(cfg.URL, cfg.Token)
	if err != nil {
		return nil, UsageError{err}
	}
	return c, nil
}

// Connect returns the server at a URL, or at COURIER_URL for "". It connects with
// the first request.
func Connect(url string, out output.Writer, notes io.Writer) (*Server, error) {
	c, err := NewClient(url)
	if err != nil {
		return nil, err
	}
	return &Server{c, out, notes}, nil
}

// OpenAPI prints the description of the API.
func (s *Server) OpenAPI(ctx context.Context) error {
	answer, err := s.client.Get(ctx, "/openapi.json", nil)
	if err != nil {
		return err
	}
	s.out.Format = output.JSON
	return s.out.Item(answer, nil)
}

var errLimit = Usagef("--limit: want a number, or 0 for all")

// listing is a list of the server.
type listing struct {
	path    string
	query   url.Values
	limit   int // 0: all
	columns []output.Column
	empty   string                // note when there are no items
	first   func(json.RawMessage) // optional: gets the first item before any is printed
}

func (s *Server) list(ctx context.Context, l listing) error {
	if l.limit < 0 {
		return errLimit
	}
	if l.limit > 0 {
		l.query.Set("limit", strconv.Itoa(min(l.limit+1, maxPage)))
	}
	n := 0
	items := func(yield func(json.RawMessage, error) bool) {
		for item, err := range s.client.Items(ctx, l.path, l.query) {
			if n++; n == 1 && err == nil && l.first != nil {
				l.first(item)
			}
			if !yield(item, err) {
				return
			}
		}
	}
	more, err := s.out.List(items, l.columns, l.limit)
	switch {
	case err != nil:
		return err
	case n == 0:
		fmt.Fprintln(s.notes, l.empty)
	case more:
		fmt.Fprintf(s.notes, "only the first %d are shown; use --limit to show more\n", l.limit)
	}
	return nil
}

// change sends a request and prints the answer, after a note that done derives from it: a
// note about the request itself would be untrue when it changed nothing.
func (s *Server) change(ctx context.Context, method, path string, body any, columns []output.Column, done func(client.Answer) string) error {
	answer, err := s.client.Call(ctx, method, path, nil, body)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.notes, done(answer))
	if answer.Body == nil {
		return nil
	}
	return s.out.Item(answer.Body, columns)
}

func always(note string) func(client.Answer) string {
	return func(client.Answer) string { return note }
}

// query returns the parameters that are set.
func query(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return values
}

func each(items []json.RawMessage) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

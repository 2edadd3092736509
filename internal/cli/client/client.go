// Package client calls the HTTP API of a running server.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const (
	// callTimeout is more than the server's own timeout (5 s), so that the server's
	// answer explains a delay.
	callTimeout = 15 * time.Second
	// maxAnswer is far above a page of 100 items.
	maxAnswer = 16 << 20
)

// Client calls the server at one address.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New returns a client of the server at a URL such as http://127.0.0.1:8082. The
// token may be "", and may end with the newline of a file. The error never shows
// the token.
func New(server, token string) (*Client, error) {
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") || base.User != nil || strings.ContainsAny(server, "?#") {
		return nil, errors.New("invalid server URL (--server, COURIER_URL): want http://host:port; the token belongs in COURIER_TOKEN")
	}
	token = strings.TrimSuffix(strings.TrimSuffix(token, "\n"), "\r")
	if strings.ContainsFunc(token, unicode.IsControl) {
		return nil, errors.New("invalid COURIER_TOKEN: it contains a newline or another control character; set it to one token")
	}
	// A redirect would send the token to another host.
	return &Client{base, token, &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// URL returns the address of the server, without a password.
func (c *Client) URL() string { return c.base.Redacted() }

// HasToken reports whether the requests carry a token.
func (c *Client) HasToken() bool { return c.token != "" }

// Get returns the JSON at path.
func (c *Client) Get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	answer, err := c.Call(ctx, http.MethodGet, path, query, nil)
	return answer.Body, err
}

// Answer is a successful response.
type Answer struct {
	Status int
	Body   json.RawMessage // nil: none
}

// Call sends body (nil: none) as JSON to path and returns the answer. The error is
// an *APIError when the server refused, and an *UnreachableError when it did not
// answer.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, body any) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := c.send(ctx, method, path, query, body, nil)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Answer{}, &UnreachableError{c.base.Redacted(), err}
	case len(answer) > maxAnswer:
		return Answer{}, fmt.Errorf("%s %s: the answer is larger than %d MiB", method, path, maxAnswer>>20)
	case len(answer) == 0:
		return Answer{Status: res.StatusCode}, nil
	case !json.Valid(answer):
		return Answer{}, fmt.Errorf("%s %s: the answer is not JSON; is %s a service-courier?", method, path, c.base.Redacted())
	}
	return Answer{res.StatusCode, answer}, nil
}

// send returns a successful response, whose body the caller has to close.
func (c *Client) send(
	ctx context.Context, method, path string, query url.Values, body any, header http.Header,
) (*http.Response, error) {
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	res, err := c.do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		defer res.Body.Close()
		return nil, refusal(res)
	}
	return res, nil
}

func (c *Client) do(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err == nil {
		return res, nil
	}
	if ctx := req.Context(); ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, context.Cause(ctx)
	}
	return nil, &UnreachableError{c.base.Redacted(), reason(err)}
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Date       time.Time // the server's clock, to the second; zero: none
	Components []struct {
		Name     string `json:"name"`
		Status   string `json:"status"`
		Required bool   `json:"required"`
		Detail   string `json:"detail"`

		Fix       string `json:"fix"` // which Detail ends with; "": not known
		DependsOn string `json:"depends_on"`
	} `json:"components"`
}

// Readiness returns the components of the server, ready or not.
func (c *Client) Readiness(ctx context.Context) (Readiness, error) {
	req, err := c.request(ctx, http.MethodGet, "/readyz", nil, nil)
	if err != nil {
		return Readiness{}, err
	}
	res, err := c.do(req)
	if err != nil {
		return Readiness{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
		return Readiness{}, refusal(res)
	}
	var r Readiness
	if err := json.NewDecoder(io.LimitReader(res.Body, maxProblem)).Decode(&r); err != nil || len(r.Components) == 0 {
		return Readiness{}, &APIError{Status: res.StatusCode, Detail: "no components; is this a service-courier?"}
	}
	r.Date, _ = http.ParseTime(res.Header.Get("Date")) // zero if malformed
	return r, nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	target := *c.base
	target.Path = strings.TrimSuffix(target.Path, "/") + path
	target.RawQuery = query.Encode()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return nil, fmt.Errorf("create the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// reason is err without the request's method and URL.
func reason(err error) error {
	if around, ok := errors.AsType[*url.Error](err); ok {
		return around.Err
	}
	return err
}

type page struct {
	Items      []json.RawMessage `json:"items"`
	NextCursor string            `json:"next_cursor"`
}

// Items yields the items of a list and fetches its pages as needed; an error ends it.
func (c *Client) Items(ctx context.Context, path string, query url.Values) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		query := maps.Clone(query)
		for {
			p, err := c.page(ctx, path, query)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.NextCursor == "" {
				return
			}
			query.Set("cursor", p.NextCursor)
		}
	}
}

func (c *Client) page(ctx context.Context, path string, query url.Values) (page, error) {
	answer, err := c.Get(ctx, path, query)
	if err != nil {
		return page{}, err
	}
	var p page
	if err := json.Unmarshal(answer, &p); err != nil {
		return page{}, fmt.Errorf("GET %s: the answer is not a page of a list: %w", path, err)
	}
	return p, nil
}

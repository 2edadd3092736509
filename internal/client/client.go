package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const (
	// callTimeout is more than the server gives a request (5 s), so that its own
	// answer says what took so long.
	callTimeout = 15 * time.Second
	// maxAnswer bounds what is read of an answer: a page of 100 is far below it.
	maxAnswer = 16 << 20
)

// Client calls the server at one address.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New returns a client of the server at an address such as
// http://127.0.0.1:8082. token may be "" where the server asks for none, and have
// the newline at its end that a file has. The error says what is wrong with the
// address or the token; it never shows the token.
func New(server, token string) (*Client, error) {
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") || base.User != nil {
		return nil, errors.New("--server (COURIER_URL): want http://host:port, with the token in COURIER_TOKEN")
	}
	token = strings.TrimSuffix(strings.TrimSuffix(token, "\n"), "\r")
	if strings.ContainsFunc(token, unicode.IsControl) {
		return nil, errors.New("COURIER_TOKEN: want one token; it has a newline or another control character in it, which no header can carry")
	}
	// No redirect is followed: it would carry the token to another host.
	return &Client{base, token, &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Get returns the JSON at path.
func (c *Client) Get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	answer, err := c.Call(ctx, http.MethodGet, path, query, nil)
	return answer.Body, err
}

// Answer is a success.
type Answer struct {
	Status int
	Body   json.RawMessage // nil where there is none
}

// Call sends body (nil: none) as JSON to path and returns what is answered. The
// error is an *APIError when the server refused, and an *UnreachableError when it
// did not answer.
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
		return Answer{}, fmt.Errorf("%s %s: an answer of more than %d MiB", method, path, maxAnswer>>20)
	case len(answer) == 0:
		return Answer{Status: res.StatusCode}, nil
	case !json.Valid(answer):
		return Answer{}, fmt.Errorf("%s %s: the answer is not JSON; is %s a service-courier?", method, path, c.base.Redacted())
	}
	return Answer{res.StatusCode, answer}, nil
}

// send returns an answer that is a success; its body is the caller's to close.
func (c *Client) send(
	ctx context.Context, method, path string, query url.Values, body any, header http.Header,
) (*http.Response, error) {
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, context.Cause(ctx)
		}
		return nil, &UnreachableError{c.base.Redacted(), reason(err)}
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		defer res.Body.Close()
		return nil, refusal(res)
	}
	return res, nil
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
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// reason is err without the request's method and address, which the message
// around it has.
func reason(err error) error {
	if around, ok := errors.AsType[*url.Error](err); ok {
		return around.Err
	}
	return err
}

package order

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"service-courier/internal/courier"
)

// maxBody bounds an answer: an order is about a kilobyte.
const maxBody = 64 << 10

// orderPath is the only path this client ever asks for.
const orderPath = "/public/api/v1/order/"

// Config of the HTTP client.
type Config struct {
	BaseURL     string        // scheme and host of service-order, such as http://localhost:8080
	Timeout     time.Duration // of one GET, connection and body included, from the moment it has its turn
	Concurrency int           // GETs at a time; their connections are kept when idle
	// Wrap goes around every request, for traces; nil: nothing does.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// HTTPClient is the OrderClient over HTTP. It follows no redirect and uses no
// proxy of the environment: an answer counts only if service-order itself gave it.
type HTTPClient struct {
	prefix  string
	timeout time.Duration
	slots   chan struct{} // one a GET under way
	http    *http.Client
}

var _ OrderClient = (*HTTPClient)(nil)

// NewHTTPClient returns a client for service-order at c.BaseURL. It fails when
// the URL is not http(s)://host[:port][/path].
func NewHTTPClient(c Config) (*HTTPClient, error) {
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("service-order URL %q: want http://host:port", c.BaseURL)
	}
	var transport http.RoundTripper = &http.Transport{
		Proxy:                  nil,
		MaxIdleConns:           c.Concurrency,
		MaxIdleConnsPerHost:    c.Concurrency,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxBody,
		DisableCompression:     true, // a compressed answer could be far larger than what was read
	}
	if c.Wrap != nil {
		transport = c.Wrap(transport)
	}
	return &HTTPClient{
		prefix:  strings.TrimSuffix(c.BaseURL, "/") + orderPath,
		timeout: c.Timeout,
		slots:   make(chan struct{}, c.Concurrency),
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     transport,
		},
	}, nil
}

// Close drops the idle connections.
func (c *HTTPClient) Close() { c.http.CloseIdleConnections() }

// Get asks for one order; see OrderClient.
func (c *HTTPClient) Get(ctx context.Context, id courier.OrderID) (Order, error) {
	// Waiting for a turn is our own doing and does not count against service-order.
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Order{}, unavailable(ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.prefix+string(id), http.NoBody)
	if err != nil {
		return Order{}, unavailable(err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return Order{}, unavailable(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return decode(resp.Body, id)
	case http.StatusNotFound:
		drain(resp.Body)
		return Order{}, ErrNotFound
	default:
		drain(resp.Body)
		return Order{}, unavailable(statusError(resp.StatusCode))
	}
}

// drain reads what is left of a small body, so that the connection is used again.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, 4<<10) }

// answer is the part of service-order's JSON that matters. The service calls
// the id "id", the assignment "order_id"; both are accepted.
type answer struct {
	ID        string `json:"id"`
	OrderID   string `json:"order_id"`
	Status    string `json:"status"`
	CreatedAt any    `json:"created_at"`
}

func decode(body io.Reader, asked courier.OrderID) (Order, error) {
	raw, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil {
		return Order{}, unavailable(err)
	}
	if len(raw) > maxBody {
		return Order{}, unavailable(fmt.Errorf("the answer is larger than %d bytes", maxBody))
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return Order{}, unavailable(fmt.Errorf("the answer is not an order: %w", err))
	}
	if id := firstOf(a.ID, a.OrderID); id != string(asked) {
		return Order{}, unavailable(fmt.Errorf("it answered with another order, %.80q", id))
	}
	return Order{ID: asked, Status: printable(a.Status), CreatedAt: createdAt(a.CreatedAt)}, nil
}

// createdAt reads a time that is informational only: a bad one must not cost
// the order its courier.
func createdAt(v any) time.Time {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// printable keeps a status fit for logs and text columns, whatever was sent.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
	if len(s) > MaxStatusLen {
		s = strings.ToValidUTF8(s[:MaxStatusLen], "")
	}
	return s
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

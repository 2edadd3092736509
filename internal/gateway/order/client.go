package order

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"service-courier/internal/courier"
)

const (
	orderPath  = "/public/api/v1/order/"
	ordersPath = "/public/api/v1/orders"

	// maxBody bounds one order; it is about a kilobyte.
	maxBody = 64 << 10

	// listTimeout bounds a whole list, which is read as a stream of any length.
	listTimeout = 5 * time.Minute

	// elementTimeouts: the next order of a list may take this many GET timeouts,
	// so that a list that trickles does not block the resync for minutes.
	elementTimeouts = 10
)

var errStalled = errors.New("the list of orders stalled")

// Config of the HTTP client.
type Config struct {
	BaseURL     string        // such as http://localhost:8080
	Timeout     time.Duration // of one GET, connection and body included
	Concurrency int           // maximum number of concurrent GETs and of idle connections

	// Wrap wraps the transport, for traces; nil does not.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// HTTPClient is an OrderClient and Lister over HTTP. It follows no redirects and
// uses no proxy: only service-order itself can answer.
type HTTPClient struct {
	baseURL string
	timeout time.Duration
	slots   chan struct{} // one per running GET
	http    *http.Client
}

var (
	_ OrderClient = (*HTTPClient)(nil)
	_ Lister      = (*HTTPClient)(nil)
)

// NewHTTPClient returns a client of service-order. It fails if c.BaseURL is not
// http(s)://host[:port][/path]; the error does not show it, since it may have a password.
func NewHTTPClient(c Config) (*HTTPClient, error) {
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") || strings.ContainsAny(c.BaseURL, "?#") {
		return nil, errors.New("service-order URL: want http://host:port")
	}
	var transport http.RoundTripper = &http.Transport{
		Proxy:                  nil,
		MaxIdleConns:           c.Concurrency,
		MaxIdleConnsPerHost:    c.Concurrency,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxBody,
		DisableCompression:     true, // a compressed answer could unpack to far more than maxBody
	}
	if c.Wrap != nil {
		transport = c.Wrap(transport)
	}
	return &HTTPClient{
		baseURL: strings.TrimSuffix(base.String(), "/"),
		timeout: c.Timeout,
		slots:   make(chan struct{}, c.Concurrency),
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     transport,
		},
	}, nil
}

// Close closes the idle connections.
func (c *HTTPClient) Close() { c.http.CloseIdleConnections() }

// Get implements OrderClient.
func (c *HTTPClient) Get(ctx context.Context, id courier.OrderID) (Order, error) {
	if _, err := courier.ParseOrderID(string(id)); err != nil { // ids are checked at every entry; this is the last
		return Order{}, unavailable(err)
	}
	// The timeout starts after the wait for a slot, which is no fault of service-order.
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Order{}, unavailable(ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.get(ctx, orderPath+url.PathEscape(string(id)))
	if err != nil {
		return Order{}, err
	}
	defer resp.Body.Close()
	if err := checkStatus(resp); err != nil {
		return Order{}, err
	}
	return decodeOrder(resp.Body, id)
}

// List implements Lister. It skips elements without a valid order id.
func (c *HTTPClient) List(ctx context.Context, from time.Time, each func(Order) error) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	ctx, stall := context.WithCancelCause(ctx)
	next := time.AfterFunc(elementTimeouts*c.timeout, func() { stall(errStalled) })
	defer next.Stop()
	resp, err := c.get(ctx, ordersPath+"?from="+url.QueryEscape(from.UTC().Format(time.RFC3339)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := checkStatus(resp); errors.Is(err, ErrNotFound) { // service-order always has a list
		return notServiceOrder(statusError(http.StatusNotFound))
	} else if err != nil {
		return err
	}
	return decodeList(resp.Body, func(o Order) error {
		next.Stop() // the time of each does not count
		defer next.Reset(elementTimeouts * c.timeout)
		return each(o)
	})
}

func (c *HTTPClient) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.baseURL+path, http.NoBody)
	if err != nil {
		return nil, unavailable(withoutURL(err))
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unavailable(withoutURL(err))
	}
	return resp, nil
}

// withoutURL drops the URL from an error of net/http and net/url: it may have a password.
func withoutURL(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}

// checkStatus returns ErrNotFound only for service-order's own 404. Any other 404, of an
// ingress or of another service, says nothing about the order.
func checkStatus(resp *http.Response) error {
	status := statusError(resp.StatusCode)
	switch {
	case status == http.StatusOK:
		return nil
	case status >= http.StatusInternalServerError || status == http.StatusTooManyRequests:
		drain(resp.Body)
		return unavailable(status)
	}
	code, err := errorCode(resp.Body)
	switch {
	case err != nil:
		return unavailable(err)
	case status == http.StatusNotFound && code == "not_found":
		return ErrNotFound
	case status == http.StatusNotFound || code == "":
		return notServiceOrder(status)
	}
	return unavailable(status)
}

// errorCode returns the code in service-order's errors, {"code":…,"message":…}, or "" for
// any other body.
func errorCode(body io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(body, maxBody))
	if err != nil {
		return "", err
	}
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil {
		return "", nil //nolint:nilerr // not an error of service-order
	}
	code, _ := fields["code"].(string)
	return code, nil
}

// drain reads the rest of a small body, so that the connection can be reused.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, 4<<10) }

// answer is the part of the JSON that the service reads. service-order names the
// id "id", the assignment "order_id"; both are accepted.
type answer struct {
	ID        string          `json:"id"`
	OrderID   string          `json:"order_id"`
	Status    string          `json:"status"`
	CreatedAt json.RawMessage `json:"created_at"`
}

func (a answer) id() string { return cmp.Or(a.ID, a.OrderID) }

func decodeOrder(body io.Reader, requested courier.OrderID) (Order, error) {
	raw, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil {
		return Order{}, unavailable(err)
	}
	if len(raw) > maxBody {
		return Order{}, unavailable(fmt.Errorf("the answer is larger than %d bytes", maxBody))
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		err = fmt.Errorf("the answer is not an order: %w", err)
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			return Order{}, unavailable(err) // an object with a field of another type
		}
		return Order{}, notServiceOrder(err)
	}
	if a.id() != string(requested) {
		return Order{}, unavailable(fmt.Errorf("the answer is another order, %.80q", a.id()))
	}
	return Order{ID: requested, Status: printable(a.Status), CreatedAt: createdAt(a.CreatedAt)}, nil
}

// createdAt is informational: a time that cannot be read is no error, nor one outside the
// years 1 to 9999, which JSON cannot express.
func createdAt(raw json.RawMessage) time.Time {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if t = t.UTC(); err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// printable makes any status safe for logs and text columns.
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

// decodeList decodes an array as a stream. Only one element is in memory, and it
// may be no larger than maxBody. An array without any order is another service's.
func decodeList(body io.Reader, each func(Order) error) error {
	limited := &elementReader{from: body, left: maxBody}
	dec := json.NewDecoder(limited)
	token, err := dec.Token()
	if _, malformed := errors.AsType[*json.SyntaxError](err); malformed || err == nil && token != json.Delim('[') {
		return notServiceOrder(errors.New("the answer is not a list"))
	}
	if err != nil {
		return unavailable(fmt.Errorf("the list of orders: %w", err))
	}
	elements, orders := 0, 0
	for ; dec.More(); elements++ {
		var element json.RawMessage
		limited.left = maxBody
		if err := dec.Decode(&element); err != nil {
			return unavailable(fmt.Errorf("the list of orders: %w", err))
		}
		var a answer
		if json.Unmarshal(element, &a) != nil || a.id() == "" {
			continue
		}
		orders++
		id, err := courier.ParseOrderID(a.id())
		if err != nil {
			continue
		}
		if err := each(Order{ID: id, Status: printable(a.Status)}); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return unavailable(fmt.Errorf("the list of orders is incomplete: %w", err))
	}
	if elements > 0 && orders == 0 {
		return notServiceOrder(errors.New("the list has no orders"))
	}
	return nil
}

// elementReader fails when one element has more than left bytes.
type elementReader struct {
	from io.Reader
	left int
}

func (r *elementReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, fmt.Errorf("an element is larger than %d bytes", maxBody)
	}
	n, err := r.from.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

// statusError is an HTTP status other than 200 and service-order's own 404.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("HTTP status %d", int(s)) }

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

func notServiceOrder(err error) error { return fmt.Errorf("%w: %w", ErrNotServiceOrder, err) }

package order

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"service-courier/internal/courier"
)

const (
	ordersPath = "/public/api/v1/orders"
	// listTimeout bounds a whole list; it is read as a stream, so its length is
	// service-order's affair.
	listTimeout = 5 * time.Minute
	// elementTimeouts is how many times longer than a GET the next order of a
	// list may take: one list that trickles would keep the only sweep for minutes.
	elementTimeouts = 10
)

var errStalled = errors.New("the list of orders stalled")

// Lister tells every order that service-order has.
type Lister interface {
	// List calls each for every order created at from or later, in no order;
	// deleted ones are left out. It stops at the first error of each and returns
	// it. ErrUnavailable: the list could not be had whole.
	// Source: GET /public/api/v1/orders?from= of service-order.
	List(ctx context.Context, from time.Time, each func(Order) error) error
}

var _ Lister = (*HTTPClient)(nil)

// List implements Lister. An element that is no order with a usable id is
// passed over.
func (c *HTTPClient) List(ctx context.Context, from time.Time, each func(Order) error) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	ctx, stall := context.WithCancelCause(ctx)
	next := time.AfterFunc(elementTimeouts*c.timeout, func() { stall(errStalled) })
	defer next.Stop()
	address := strings.TrimSuffix(c.prefix, orderPath) + ordersPath + "?from=" + url.QueryEscape(from.UTC().Format(time.RFC3339))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return unavailable(err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return unavailable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		drain(resp.Body)
		return unavailable(statusError(resp.StatusCode))
	}
	return eachOrder(resp.Body, func(o Order) error {
		next.Stop() // each may take its time
		defer next.Reset(elementTimeouts * c.timeout)
		return each(o)
	})
}

// eachOrder decodes an array as it comes. Only one element is in memory, and
// it may be no larger than an order's answer.
func eachOrder(body io.Reader, each func(Order) error) error {
	bounded := &elementReader{from: body, left: maxBody}
	dec := json.NewDecoder(bounded)
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return unavailable(fmt.Errorf("the answer is not a list: %w", errors.Join(err)))
	}
	for dec.More() {
		var element json.RawMessage
		bounded.left = maxBody
		if err := dec.Decode(&element); err != nil {
			return unavailable(fmt.Errorf("the list of orders: %w", err))
		}
		var a answer
		if json.Unmarshal(element, &a) != nil {
			continue
		}
		id, err := courier.ParseOrderID(firstOf(a.ID, a.OrderID))
		if err != nil {
			continue
		}
		if err := each(Order{ID: id, Status: printable(a.Status)}); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return unavailable(fmt.Errorf("the list of orders was cut: %w", err))
	}
	return nil
}

// elementReader fails when one element wants more than left bytes.
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

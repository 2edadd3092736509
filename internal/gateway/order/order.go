// Package order is the gateway to service-order: its interface for the use
// cases, the HTTP client and the circuit breaker.
package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"service-courier/internal/courier"
)

// Order is an order as service-order answers it.
type Order struct {
	ID        courier.OrderID
	Status    string    // as spelled by service-order; printable, at most MaxStatusLen bytes
	CreatedAt time.Time // UTC; zero if missing or unreadable
}

// MaxStatusLen is the longest status kept, in bytes.
const MaxStatusLen = 64

// OrderClient fetches orders from service-order.
//
//nolint:revive // the assignment names it OrderClient
type OrderClient interface {
	// Get fetches the order: GET /public/api/v1/order/{id}. It returns
	// ErrNotFound if service-order says that it does not have the order, and
	// ErrUnavailable if there is no usable answer; a later Get may succeed.
	Get(ctx context.Context, id courier.OrderID) (Order, error)
}

// Lister lists the orders of service-order.
type Lister interface {
	// List calls each for every order created at from or later, in any order and
	// without deleted ones: GET /public/api/v1/orders?from=. It returns the first
	// error of each, or ErrUnavailable if the list is not complete.
	List(ctx context.Context, from time.Time, each func(Order) error) error
}

// Errors of OrderClient and Lister.
var (
	ErrNotFound    = errors.New("service-order does not have the order")
	ErrUnavailable = courier.ErrOrdersUnavailable
	// ErrNotServiceOrder matches ErrUnavailable: the answer has not the form of
	// service-order's, and proves nothing about an order.
	ErrNotServiceOrder = fmt.Errorf("%w: the answer does not look like service-order's", ErrUnavailable)
)

// Check fetches an order that does not exist and returns nil if service-order answers.
func Check(ctx context.Context, service OrderClient) error {
	_, err := service.Get(ctx, probeID)
	if usable(err) {
		return nil
	}
	return err
}

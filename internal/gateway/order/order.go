// Package order is the gateway to service-order: the order as that service
// tells it, the interface the use cases call, and the HTTP client behind it.
// It decides nothing about couriers.
package order

import (
	"context"
	"errors"
	"time"

	"service-courier/internal/courier"
)

// Order is an order as service-order tells it right now.
type Order struct {
	ID        courier.OrderID
	Status    string    // as spelled there, at most MaxStatusLen bytes of printable text
	CreatedAt time.Time // UTC; zero when service-order gave none that can be read
}

// MaxStatusLen bounds the status that is kept of an answer, in bytes.
const MaxStatusLen = 64

// OrderClient asks service-order what is true.
//
//nolint:revive // the assignment names it OrderClient
type OrderClient interface {
	// Get returns the order as it is now. ErrNotFound: service-order answered
	// that it has no such order. ErrUnavailable: it could not be asked, or its
	// answer cannot be used; asking again later may work.
	// Source: GET /public/api/v1/order/{id} of service-order.
	Get(ctx context.Context, id courier.OrderID) (Order, error)
}

// The two ways in which service-order does not tell an order.
var (
	ErrNotFound    = errors.New("service-order has no such order")
	ErrUnavailable = errors.New("service-order gave no usable answer")
)

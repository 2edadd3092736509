package app

import (
	"context"
	"errors"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/outage"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/records"
)

// outages are those of the dependencies that requests need.
type outages struct {
	database, brokers *outage.Dependency
	schema            *outage.Reporter
	orderService      *order.Breaker
}

// reported reports whether the log has the outage that a request failed for, and not its
// end: then the failures of requests need no lines of their own.
func (o outages) reported(err error) bool {
	switch {
	case errors.Is(err, courier.ErrUnavailable):
		return o.database.Lasts() || o.schema.Lasts()
	case errors.Is(err, courier.ErrOrdersUnavailable):
		return o.orderService.Reported()
	case errors.Is(err, records.ErrNotRead), errors.Is(err, deadletters.ErrNotPublished):
		return o.brokers.Lasts()
	case errors.Is(err, context.DeadlineExceeded):
		return o.database.Lasts() || o.orderService.Reported() || o.brokers.Lasts()
	}
	return false
}

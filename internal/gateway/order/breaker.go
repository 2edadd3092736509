package order

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"service-courier/internal/courier"
)

const (
	// distinctFailures opens the breaker: this many different orders failed, and
	// nobody was answered while they were asked for. So it takes an outage for
	// everybody: one order that fails for ever never does it, nor does a crowd of
	// which some are answered too late.
	distinctFailures = 8
	probeEvery       = time.Second
	// probeID names no order: a 404 about it is an answer.
	probeID courier.OrderID = "probe"
)

// ErrOpen says that service-order is taken to be down for everybody.
var ErrOpen = fmt.Errorf("%w: it is down for everybody", ErrUnavailable)

// Breaker is an OrderClient that notices when service-order is down for
// everybody, and then asks it nothing but one probe a second.
type Breaker struct {
	next  OrderClient
	state circuitbreaker.CircuitBreaker[any]

	mu       sync.Mutex
	failing  map[courier.OrderID]struct{} // distinct orders, since the last answer
	answered time.Time                    // the last answer
}

var _ OrderClient = (*Breaker)(nil)

// NewBreaker returns a closed breaker around next. It logs when it opens and
// when it closes.
func NewBreaker(next OrderClient, log *slog.Logger) *Breaker {
	state := circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(distinctFailures).
		WithSuccessThreshold(1).
		WithDelay(probeEvery).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			switch {
			case e.OldState == circuitbreaker.ClosedState:
				log.Warn("service-order is down for everybody; order events wait in Kafka until it answers")
			case e.NewState == circuitbreaker.ClosedState:
				log.Info("service-order answers again; order events go on")
			}
		}).
		Build()
	return &Breaker{next: next, state: state, failing: make(map[courier.OrderID]struct{})}
}

// Get implements OrderClient. While the breaker is open it fails at once with
// ErrOpen.
func (b *Breaker) Get(ctx context.Context, id courier.OrderID) (Order, error) {
	if !b.state.IsClosed() {
		return Order{}, ErrOpen
	}
	began := time.Now()
	o, err := b.next.Get(ctx, id)
	switch {
	case answered(err):
		b.succeeded()
	case ctx.Err() == nil: // a GET that its caller gave up says nothing
		b.failed(id, began)
	}
	return o, err
}

// Tripped reports whether service-order is taken to be down for everybody.
func (b *Breaker) Tripped() bool { return !b.state.IsClosed() }

// Ready returns nil when service-order can be asked, else ErrOpen. When the
// breaker is open and a probe is due, the caller makes it.
func (b *Breaker) Ready(ctx context.Context) error {
	if b.state.IsClosed() {
		return nil
	}
	if !b.state.TryAcquirePermit() {
		return ErrOpen
	}
	if _, err := b.next.Get(ctx, probeID); !answered(err) {
		b.state.RecordFailure()
		return ErrOpen
	}
	b.succeeded()
	return nil
}

func (b *Breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.failing)
	b.answered = time.Now()
	b.state.RecordSuccess()
}

// failed records the failure of a GET that began then, unless somebody was
// answered meanwhile, or the order has failed since the last answer already.
func (b *Breaker) failed(id courier.OrderID, began time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answered.After(began) {
		return
	}
	if _, again := b.failing[id]; again || len(b.failing) >= distinctFailures {
		return
	}
	b.failing[id] = struct{}{}
	b.state.RecordFailure()
}

// answered reports an outcome that shows service-order alive: an order, a 404,
// or any other complaint about the request itself.
func answered(err error) bool {
	if status, ok := errors.AsType[statusError](err); ok {
		return status >= http.StatusBadRequest && status < http.StatusInternalServerError && status != http.StatusTooManyRequests
	}
	return err == nil || errors.Is(err, ErrNotFound)
}

// statusError is an HTTP status that is neither an order nor a 404.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("HTTP status %d", int(s)) }

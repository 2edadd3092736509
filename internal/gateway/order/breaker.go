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
	// distinctFailures is how many different orders must fail, nobody being answered
	// while they are asked for, before the breaker looks whether this is an outage for
	// everybody: it opens when the probe fails too. So neither one order that fails for
	// ever opens it, nor many, nor a crowd of which some are answered too late.
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
	case ctx.Err() != nil: // a GET that its caller gave up says nothing
	case b.suspects(id, began):
		b.alive(context.WithoutCancel(ctx)) // neither does such a probe, and nobody else would send it
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
	if !b.alive(ctx) {
		return ErrOpen
	}
	return nil
}

// alive sends the probe, and opens the breaker when it fails.
func (b *Breaker) alive(ctx context.Context) bool {
	began := time.Now()
	if _, err := b.next.Get(ctx, probeID); answered(err) {
		b.succeeded()
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answered.After(began) { // somebody else
		return true
	}
	b.state.Open()
	return false
}

func (b *Breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.failing)
	b.answered = time.Now()
	b.state.RecordSuccess()
}

// suspects reports that the failure of a GET that began then makes an outage
// likely: it is the last of distinctFailures. It does not count when somebody was
// answered meanwhile, or the order has failed since the last answer already.
func (b *Breaker) suspects(id courier.OrderID, began time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answered.After(began) {
		return false
	}
	if _, again := b.failing[id]; again || len(b.failing) >= distinctFailures {
		return false
	}
	b.failing[id] = struct{}{}
	return len(b.failing) == distinctFailures
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

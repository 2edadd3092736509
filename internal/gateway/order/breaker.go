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
	"service-courier/internal/outage"
)

const (
	// distinctFailures is how many different orders must fail without any answer in
	// between before the breaker sends a probe; it opens if the probe fails too. So
	// neither orders that always fail nor a few slow answers open it.
	distinctFailures = 8
	probeInterval    = time.Second

	// foreignQuiet is how long another server must not have answered before its outage is
	// reported as over: behind a load balancer, answers of both may alternate.
	foreignQuiet = time.Minute

	// probeID is no order: a probe expects a 404.
	probeID courier.OrderID = "probe"
)

// ErrBreakerOpen means that the order was not fetched.
var ErrBreakerOpen = fmt.Errorf("%w: the circuit breaker is open", ErrUnavailable)

// Breaker is a circuit breaker around an OrderClient. It opens when service-order
// is down for all orders; then it sends one probe a second and nothing else.
type Breaker struct {
	next   OrderClient
	probes OrderClient // next without its metrics: a probe is no fetch
	state  circuitbreaker.CircuitBreaker[any]
	outage *outage.Reporter

	mu          sync.Mutex
	failing     map[courier.OrderID]struct{} // since the last answer
	lastAnswer  time.Time
	lastForeign time.Time // last answer that is not service-order's
	lastUsable  time.Time // last answer with an order, or 404 for it
	cause       error     // of the last failed probe
	list        error     // nil, or ErrNotServiceOrder of the last list
}

var _ OrderClient = (*Breaker)(nil)

// NewBreaker returns a closed breaker around next. It probes through probes: next
// unmeasured. It logs opening and closing, and outages with their cause.
func NewBreaker(next, probes OrderClient, log *slog.Logger) *Breaker {
	state := circuitbreaker.NewBuilder[any]().
		WithSuccessThreshold(1).
		WithDelay(probeInterval).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			switch {
			case e.OldState == circuitbreaker.ClosedState:
				log.Warn("circuit breaker opened, consumption paused")
			case e.NewState == circuitbreaker.ClosedState:
				log.Info("circuit breaker closed, consumption resumed")
			}
		}).
		Build()
	return &Breaker{
		next: next, probes: probes, state: state, failing: make(map[courier.OrderID]struct{}), outage: outage.New(log, "service-order"),
	}
}

// Get implements OrderClient. It returns ErrBreakerOpen while the breaker is open.
func (b *Breaker) Get(ctx context.Context, id courier.OrderID) (Order, error) {
	if !b.state.IsClosed() {
		return Order{}, ErrBreakerOpen
	}
	began := time.Now()
	o, err := b.get(ctx, b.next, id)
	switch {
	case answered(err):
		b.recordAnswer()
	case ctx.Err() != nil: // cancelled by the caller
	case b.suspectOutage(id, began):
		b.probe(context.WithoutCancel(ctx)) // a cancelled probe would say nothing
	}
	return o, err
}

// get fetches an order through client. It reports an outage when the answer is not
// service-order's, and the end of one.
func (b *Breaker) get(ctx context.Context, client OrderClient, id courier.OrderID) (Order, error) {
	o, err := client.Get(ctx, id)
	b.mu.Lock()
	defer b.mu.Unlock()
	if usable(err) {
		b.lastUsable = time.Now()
	}
	switch {
	case errors.Is(err, ErrNotServiceOrder):
		b.lastForeign = time.Now()
		b.outage.Failed(ctx, Explain(err))
	case answered(err) && time.Since(b.lastForeign) > foreignQuiet:
		b.outage.Recovered(ctx)
	}
	return o, err
}

// Reported reports whether the log has the beginning of an outage, and not its end.
func (b *Breaker) Reported() bool { return b.outage.Lasts() }

// Tripped reports whether the breaker is open or half-open.
func (b *Breaker) Tripped() bool { return !b.state.IsClosed() }

// Check is Answers and, if it answers, whether its last list of orders was one.
func (b *Breaker) Check(ctx context.Context) error {
	if err := b.Answers(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.list
}

// Answers returns nil if service-order answers. It sends a probe, unless the breaker is open
// or the fetches of the last second show the answer. An answer closes the breaker as any
// other does; a failure is reported as an outage, but does not open it, since it concerns
// no order.
func (b *Breaker) Answers(ctx context.Context) error {
	b.mu.Lock()
	foreign, isUsable, cause := time.Since(b.lastForeign) < probeInterval, time.Since(b.lastUsable) < probeInterval, b.cause
	b.mu.Unlock()
	switch {
	case b.Tripped() && cause != nil:
		return fmt.Errorf("%w: %w", ErrBreakerOpen, cause)
	case foreign:
		return ErrNotServiceOrder
	case isUsable:
		return nil
	}
	_, err := b.get(ctx, b.probes, probeID)
	switch {
	case answered(err):
		b.recordAnswer()
	case ctx.Err() == nil:
		b.outage.Failed(ctx, Explain(err))
	}
	if usable(err) {
		return nil
	}
	return err
}

// Watch returns a Lister whose lists Check considers: another service may answer every
// fetch with a 404 in service-order's form, but has no list of orders.
func (b *Breaker) Watch(l Lister) Lister { return watched{l, b} }

type watched struct {
	Lister

	breaker *Breaker
}

// List implements Lister.
func (w watched) List(ctx context.Context, from time.Time, each func(Order) error) error {
	err := w.Lister.List(ctx, from, each)
	w.breaker.mu.Lock()
	defer w.breaker.mu.Unlock()
	switch {
	case err == nil:
		w.breaker.list = nil
	case errors.Is(err, ErrNotServiceOrder):
		w.breaker.list = ErrNotServiceOrder
	}
	return err
}

// Ready returns nil if the breaker is closed, else ErrBreakerOpen. When a probe
// is due (half-open), Ready sends it and returns its outcome.
func (b *Breaker) Ready(ctx context.Context) error {
	if b.state.IsClosed() {
		return nil
	}
	if !b.state.TryAcquirePermit() || !b.probe(ctx) {
		return ErrBreakerOpen
	}
	return nil
}

// probe closes the breaker if service-order answers, else opens it.
func (b *Breaker) probe(ctx context.Context) bool {
	began := time.Now()
	_, err := b.get(ctx, b.probes, probeID)
	if answered(err) {
		b.recordAnswer()
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lastAnswer.After(began) { // another GET was answered meanwhile
		return true
	}
	b.cause = err
	b.outage.Failed(ctx, Explain(err))
	b.state.Open()
	return false
}

func (b *Breaker) recordAnswer() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.failing)
	b.lastAnswer = time.Now()
	b.state.RecordSuccess()
}

// suspectOutage counts the failure of a GET and reports whether it is the last of
// distinctFailures. A failure does not count if another GET was answered since
// it began, or if the order has failed since the last answer.
func (b *Breaker) suspectOutage(id courier.OrderID, began time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lastAnswer.After(began) {
		return false
	}
	if _, again := b.failing[id]; again || len(b.failing) >= distinctFailures {
		return false
	}
	b.failing[id] = struct{}{}
	return len(b.failing) == distinctFailures
}

// usable reports whether service-order returned an order, or 404 for it.
func usable(err error) bool { return err == nil || errors.Is(err, ErrNotFound) }

// answered reports whether service-order works: it returned an order, 404 or another
// client error. A 404 of another server counts as well, so that it opens no breaker.
func answered(err error) bool {
	if status, ok := errors.AsType[statusError](err); ok {
		return status >= http.StatusBadRequest && status < http.StatusInternalServerError && status != http.StatusTooManyRequests
	}
	return usable(err)
}

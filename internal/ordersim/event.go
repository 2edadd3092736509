package ordersim

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// Event is a message of the topic: {"order_id","status","created_at"}.
// CreatedAt is the second of publishing in UTC, not the order's.
type Event struct {
	OrderID   string    `json:"order_id"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
}

// Publisher takes the events. It is called after the order changed, from many
// goroutines; it may block for a moment, never for long. An error means the
// event is lost: nobody tries again, as in the original.
type Publisher interface {
	Publish(e Event) error
}

// outbox stands between a change and the Publisher and applies the faults of
// Config: lost, doubled and late events.
type outbox struct {
	to        Publisher
	timers    *scheduler
	log       *slog.Logger
	seed      uint64
	lost      float64
	duplicate float64
	delay     time.Duration
	muted     atomic.Bool
}

// send publishes what happened to an order, unless a fault eats it.
func (o *outbox) send(id, status string) {
	luck := draw(o.seed, streamEvents, hash(id, status))
	lost, doubled := luck.Float64() < o.lost, luck.Float64() < o.duplicate
	if o.muted.Load() || lost {
		o.log.Debug("event lost on purpose", slog.String("order_id", id), slog.String("status", status))
		return
	}
	copies := 1
	if doubled {
		copies = 2
	}
	for range copies {
		o.later(time.Duration(luck.Float64()*float64(o.delay)), func() { o.publish(id, status) })
	}
}

// later runs do at once when there is nothing to wait for.
func (o *outbox) later(delay time.Duration, do func()) {
	if delay <= 0 {
		do()
		return
	}
	o.timers.at(time.Now().Add(delay), do)
}

// publish hands over one event. Whether and how often a failure is worth a log
// line is the publisher's to know: an outage must not fill the log.
func (o *outbox) publish(id, status string) {
	e := Event{OrderID: id, Status: status, CreatedAt: time.Now().UTC().Truncate(time.Second)}
	if err := o.to.Publish(e); err != nil {
		o.log.Debug("event dropped", slog.String("order_id", id), slog.String("status", status), slog.Any("error", err))
	}
}

// discard is the publisher of a simulator without Kafka.
type discard struct{}

func (discard) Publish(Event) error { return nil }

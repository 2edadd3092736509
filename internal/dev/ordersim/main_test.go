package ordersim

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// sarama's metrics start one ticker for the whole process and never stop it.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		// sarama's circuit breaker sleeps out its ten seconds after an outage.
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
	)
}

// recorder is a Publisher that records the events.
type recorder struct {
	mu     sync.Mutex
	events []Event
	err    error
}

func (r *recorder) Publish(e Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return r.err
}

func (r *recorder) all() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}

// statuses returns the statuses of one order's events, in order of publishing.
func (r *recorder) statuses(id string) []string {
	var found []string
	for _, e := range r.all() {
		if e.OrderID == id {
			found = append(found, e.Status)
		}
	}
	return found
}

// newSim returns a simulator without logs that stops with the test.
func newSim(t *testing.T, cfg Config) *Sim {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil { // the test's own context has ended
			t.Error(err)
		}
	})
	return s
}

// startSim returns a started one.
func startSim(t *testing.T, cfg Config) *Sim {
	t.Helper()
	s := newSim(t, cfg)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// create creates an order and returns its id.
func create(t *testing.T, s *Sim) string {
	t.Helper()
	o, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	return o.ID
}

// pass advances the time of a synctest bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// Package ordersim is the service-order simulator: the same HTTP and gRPC API, order life,
// timers and Kafka events as service-order, with adjustable faults: faster timers,
// generated traffic, lost, duplicate and late events, a restart that loses all
// orders.
//
// It must not be more reliable than the original, or the courier service would pass
// tests that production fails: events have no key and no version, are published
// after the order changed, and are lost if they cannot be published.
//
// It imports nothing of the service. Every change takes the same path, whether by
// HTTP, timer, generator or test:
//
//	Sim.change / Sim.add ─► store and state file ─► next timer ─► outbox ─► Publisher
package ordersim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// stopLimit bounds Stop when its context does not.
const stopLimit = 10 * time.Second

// Sim is a simulated service-order. Its methods may be called concurrently. Between
// New and Start the API works, but timers and Kafka do not.
type Sim struct {
	cfg     Config
	log     *slog.Logger
	store   *store
	timers  *scheduler
	outbox  *outbox
	faults  faults
	kafka   *kafkaPublisher // nil: events go elsewhere
	handler http.Handler

	requested atomic.Uint64 // orders created by request, for their ids
	generated uint64        // orders generated; used by the scheduler's goroutine only

	mu       sync.Mutex // guards the fields below
	started  bool
	stopped  bool
	addr     string
	server   *http.Server
	served   chan struct{}
	grpc     *grpc.Server // nil without one
	grpcAddr string
}

// New returns a simulator with the orders of the state file. It fails if the Config
// or the file is invalid. Stop closes the file, also without Start.
func New(cfg Config) (*Sim, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Sim{cfg: cfg, log: cfg.Logger, timers: newScheduler()}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.faults.set(Faults{Lose: cfg.LostShare, Duplicate: cfg.DuplicateShare, Shuffle: cfg.PublishDelay})
	s.outbox = &outbox{to: s.publisher(), timers: s.timers, log: s.log, seed: cfg.Seed, faults: &s.faults}
	s.handler = s.routes()
	return s, nil
}

// load reads the state file and starts its timers. Overdue timers fire at Start, one
// step per order.
func (s *Sim) load() error {
	if s.cfg.StateFile == "" {
		s.store = newStore(nil, nil)
		return nil
	}
	file, records, err := openStateFile(s.cfg.StateFile)
	if err != nil {
		return err
	}
	s.store = newStore(records, file)
	for _, r := range records {
		s.arm(r)
		s.armCancel(r)
	}
	s.republishLast(records)
	return nil
}

// republishPeriod is longer than an event takes from the state file to Kafka.
const republishPeriod = time.Second

// republishLast publishes the last events of the previous run again: a kill between
// the state file and Kafka loses them, and no later event replaces the last one of an
// order.
func (s *Sim) republishLast(records []*record) {
	var last time.Time
	for _, r := range records {
		if r.UpdatedAt.After(last) {
			last = r.UpdatedAt
		}
	}
	for _, r := range records {
		if last.Sub(r.UpdatedAt) <= republishPeriod {
			s.timers.at(r.UpdatedAt, func() { s.outbox.publish(r.ID, r.Status) })
		}
	}
}

func (s *Sim) publisher() Publisher {
	switch {
	case s.cfg.Publisher != nil:
		return s.cfg.Publisher
	case len(s.cfg.Brokers) > 0:
		s.kafka = newKafkaPublisher(s.cfg.Brokers, s.cfg.Topic, s.log)
		return s.kafka
	default:
		return discard{}
	}
}

// Start starts the servers, the timers and, in the background, the connection to
// Kafka, which it retries. ctx bounds the start only. A second Start does nothing;
// Start after Stop is an error.
func (s *Sim) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("the simulator has stopped: create a new one")
	}
	if s.started {
		return nil
	}
	if err := errors.Join(s.listen(ctx), s.listenGRPC(ctx)); err != nil {
		return err
	}
	s.started = true
	if s.kafka != nil {
		s.kafka.start(context.WithoutCancel(ctx)) // the connection outlives ctx
	}
	s.startTraffic()
	go s.runTimers()
	return nil
}

// runTimers waits for the first attempt to connect to Kafka: overdue timers would
// otherwise publish events that are lost.
func (s *Sim) runTimers() {
	if s.kafka != nil {
		select {
		case <-s.kafka.tried:
		case <-s.timers.quit:
		}
	}
	s.timers.run()
}

// listen serves HTTP if there is an address.
func (s *Sim) listen(ctx context.Context) error {
	if s.cfg.Addr == "" {
		return nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("%w: stop what listens there, or choose another address", err)
	}
	s.addr = listener.Addr().String()
	s.server = newServer(s.handler)
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("http server failed", slog.Any("error", err))
		}
	}()
	return nil
}

// Addr is the host:port of the HTTP server, empty without one.
func (s *Sim) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Handler is the HTTP API, for a server of the caller.
func (s *Sim) Handler() http.Handler { return s.handler }

// Stop stops the timers, finishes running requests and sends buffered events to Kafka,
// in that order, within ctx and ten seconds. The error names what did not stop in
// time. Further calls do nothing.
func (s *Sim) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	s.stopGRPC(ctx)
	return errors.Join(s.stopTimers(ctx), s.stopHTTP(ctx), s.stopKafka(ctx), s.store.close())
}

func (s *Sim) stopHTTP(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests aborted: %w", err), s.server.Close())
	}
	<-s.served
	return err
}

func (s *Sim) stopTimers(ctx context.Context) error {
	s.timers.stop()
	if !s.started {
		return nil
	}
	select {
	case <-s.timers.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a timer is still running: %w", ctx.Err())
	}
}

func (s *Sim) stopKafka(ctx context.Context) error {
	if s.kafka == nil || !s.started {
		return nil
	}
	return s.kafka.stop(ctx)
}

// Create creates and publishes a sample order, as POST does. It fails only if the
// state file cannot be written.
func (s *Sim) Create() (Order, error) {
	r := s.sampleOrder(defaultUser, StatusCreated)
	if err := s.add(r); err != nil {
		return Order{}, err
	}
	return r.Order, nil
}

// Order returns an order, also a deleted one.
func (s *Sim) Order(id string) (Order, bool) {
	r := s.store.get(id)
	if r == nil {
		return Order{}, false
	}
	return r.Order, true
}

// SetStatus sets any status, known or unknown, and publishes it; timers continue from
// there. It returns ErrNotFound if the order never existed.
func (s *Sim) SetStatus(id, status string) error {
	_, err := s.change(id, func(_, next *record) error {
		next.Status = status
		return nil
	})
	if err != nil {
		return fmt.Errorf("set status of %q: %w", id, err)
	}
	return nil
}

// Delete deletes an order, the only way to cancel: the event says deleted, and the API
// then answers 404. It returns ErrNotFound if the order is already deleted.
func (s *Sim) Delete(id string) error {
	_, err := s.change(id, func(cur, next *record) error { return remove(cur, next, cur.UserID) })
	if err != nil {
		return fmt.Errorf("delete %q: %w", id, err)
	}
	return nil
}

// Forget drops all orders without events, as a restart of the original does. Ids are
// not used again.
func (s *Sim) Forget() error {
	if err := s.store.clear(); err != nil {
		return fmt.Errorf("empty the state file: %w", err)
	}
	return nil
}

// Truth returns the status of every order by id, also of deleted ones.
func (s *Sim) Truth() map[string]string { return s.store.truth() }

// Emit publishes an event of any order and status at once, regardless of the faults:
// late, duplicate or forged.
func (s *Sim) Emit(id, status string) { s.outbox.publish(id, status) }

// Mute drops every event until it is called with false.
func (s *Sim) Mute(on bool) { s.outbox.muted.Store(on) }

// seedOrders creates one order of each status without events. Their later steps are
// published.
func (s *Sim) seedOrders(user string) ([]Order, error) {
	var created []Order
	for _, status := range allStatuses() {
		r := s.sampleOrder(user, status)
		r.OrderNumber = fmt.Sprintf("S-%06d", s.requested.Load())
		if err := s.insert(r); err != nil {
			return nil, err
		}
		created = append(created, r.Order)
	}
	return created, nil
}

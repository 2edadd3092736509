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
)

// stopLimit bounds Stop when its context does not.
const stopLimit = 10 * time.Second

// Sim is one simulated service-order. Its methods may be called from any
// goroutine. New, Start, Stop; between New and Start the API works, but no
// timer runs and nothing reaches Kafka.
type Sim struct {
	cfg     Config
	log     *slog.Logger
	store   *store
	timers  *scheduler
	outbox  *outbox
	kafka   *kafkaPublisher // nil: events go elsewhere
	handler http.Handler

	drawn     atomic.Uint64 // orders created from outside, for their ids
	generated uint64        // orders generated; only the scheduler's goroutine

	mu      sync.Mutex // the rest is the lifecycle's
	started bool
	stopped bool
	addr    string
	server  *http.Server
	served  chan struct{}
}

// New makes a simulator. It fails on a Config that Validate refuses and on a
// StateFile that cannot be read; orders of that file are there at once. Call
// Stop to let go of the file, even without Start.
func New(cfg Config) (*Sim, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Sim{cfg: cfg, log: cfg.Logger, timers: newScheduler()}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.outbox = &outbox{
		to: s.publisher(), timers: s.timers, log: s.log, seed: cfg.Seed,
		lost: cfg.LostShare, duplicate: cfg.DuplicateShare, delay: cfg.PublishDelay,
	}
	s.handler = s.routes()
	return s, nil
}

// load fills the store from the state file and arms its timers: what came due
// meanwhile happens at Start, one step an order.
func (s *Sim) load() error {
	if s.cfg.StateFile == "" {
		s.store = newStore(nil, nil)
		return nil
	}
	file, records, err := openJournal(s.cfg.StateFile)
	if err != nil {
		return err
	}
	s.store = newStore(records, file)
	for _, r := range records {
		s.arm(r)
		s.armCancel(r)
	}
	s.armLast(records)
	return nil
}

// lastMoment is how long an event may take from the state file to Kafka.
const lastMoment = time.Second

// armLast publishes once more what happened in the last moment of the run
// before: a kill between the state file and Kafka would lose those events, and
// the last one of an order has none after it that would make up for it.
func (s *Sim) armLast(records []*record) {
	var last time.Time
	for _, r := range records {
		if r.UpdatedAt.After(last) {
			last = r.UpdatedAt
		}
	}
	for _, r := range records {
		if last.Sub(r.UpdatedAt) <= lastMoment {
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

// Start listens, connects to Kafka in the background and lets time pass; ctx
// bounds the start only. Without Kafka it succeeds all the same and keeps
// trying. A second Start does nothing; one after Stop is an error.
func (s *Sim) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("ordersim: stopped already: make a new one with New")
	}
	if s.started {
		return nil
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	s.started = true
	if s.kafka != nil {
		s.kafka.start(context.WithoutCancel(ctx)) // ctx is the start's, the connection outlives it
	}
	s.startTraffic()
	go s.letTimePass()
	return nil
}

// letTimePass runs the timers. What came due before the start is not published
// into the moment before Kafka is connected: that would lose it for sure.
func (s *Sim) letTimePass() {
	if s.kafka != nil {
		select {
		case <-s.kafka.tried:
		case <-s.timers.quit:
		}
	}
	s.timers.run()
}

// listen serves HTTP when there is an address to serve on.
func (s *Sim) listen(ctx context.Context) error {
	if s.cfg.Addr == "" {
		return nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("ordersim: %w: stop what uses the address, or choose another", err)
	}
	s.addr = listener.Addr().String()
	s.server = newServer(s.handler)
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("HTTP server failed", slog.Any("error", err))
		}
	}()
	return nil
}

// Addr is the host:port HTTP is served on, empty without a listener.
func (s *Sim) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Handler is the HTTP API, to be mounted elsewhere (httptest).
func (s *Sim) Handler() http.Handler { return s.handler }

// Stop ends the timers, lets requests under way finish, and sends Kafka what is
// buffered, in that order, within ctx and ten seconds at most. What it could not
// end in time it names in its error. Further calls do nothing.
func (s *Sim) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return errors.Join(s.stopTimers(ctx), s.stopHTTP(ctx), s.stopKafka(ctx), s.store.close())
}

func (s *Sim) stopHTTP(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("ordersim: requests cut off: %w", err), s.server.Close())
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
		return fmt.Errorf("ordersim: a timer is still at work: %w", ctx.Err())
	}
}

func (s *Sim) stopKafka(ctx context.Context) error {
	if s.kafka == nil || !s.started {
		return nil
	}
	return s.kafka.stop(ctx)
}

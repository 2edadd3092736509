package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/IBM/sarama"
)

// sigtermUnderLoad: told to stop while orders keep coming, the service ends in
// order and in time, and what it committed to Kafka is what it saved: no more,
// or events would be lost, and no less, or they would all come again. The latter
// is what comes of giving up the batch in hand when the session ends.
func sigtermUnderLoad(s *stack) {
	s.couriers(100) // all soon busy: whoever is free beside a waiting order breaks a promise
	s.serviceOrder("--step", "created=1ms,pending=1ms,confirmed=1ms,cooking=24h")
	service := s.serve()
	s.eventually("the service is ready", s.ready)
	const orders, events = 3000, 4 // of an order
	rush := s.rush(orders)         // a second or two of it
	s.eventually("the service is at work", func() error {
		if n := s.count("select count(*) from orders"); n < 500 {
			return fmt.Errorf("%d orders", n)
		}
		return want(int64(100), s.count("select count(*) from courier_orders"))
	})
	if err := service.Stop(stopWithin); err != nil {
		s.Error(err)
	}
	rush.wait()
	client := s.client()
	s.eventually("all is published", func() error { return want(int64(orders*events), s.published(client).sum()) })
	committed, published := s.committed(client), s.published(client)
	s.Logf("stopped after %d of %d events", committed.sum(), published.sum())
	if committed == published {
		s.Error("everything was handled before SIGTERM: the test needs more orders")
	}
	for p, saved := range s.saved() {
		if saved > committed[p] {
			s.Errorf("partition %d: saved up to offset %d, committed %d only", p, saved, committed[p])
		}
	}
	s.nothingLost(client, committed)
	s.sound()

	defer s.unswept()()
	s.serve()
	s.eventually("the rest is handled", func() error { return want(published, s.committed(client)) })
	handled, err := s.reconciled()
	if rest := published.sum() - committed.sum(); err != nil || int64(handled) != rest {
		s.Errorf("started again, %v events were handled of %d that had not been: %v", handled, rest, err)
	}
	s.sound()
}

// unswept keeps every replica from the sweep, whose looks count too: its lock is
// held, until release.
func (s *stack) unswept() (release func()) {
	s.Helper()
	conn, err := s.pool.Acquire(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	if _, err := conn.Exec(s.Context(), "select pg_advisory_lock(x'7377656570'::bigint)"); err != nil {
		s.Fatal(err)
	}
	return func() { _ = conn.Conn().Close(context.WithoutCancel(s.Context())); conn.Release() }
}

// nothingLost sees that the order of every committed event is in the database.
func (s *stack) nothingLost(client sarama.Client, committed offsets) {
	s.Helper()
	known := make(map[string]bool)
	for _, id := range s.column("select order_id from orders") {
		known[id] = true
	}
	lost := s.orderIDs(client, committed)
	maps.DeleteFunc(lost, func(id string, _ bool) bool { return known[id] })
	for id := range lost {
		s.Errorf("of %d orders events are committed, but they were never saved; %s is one", len(lost), id)
		break
	}
}

// saved is where the events end that the journal names as partition@offset.
func (s *stack) saved() (o offsets) {
	s.Helper()
	for p := range o {
		o[p] = s.count(`
			select coalesce(max(split_part(source, '@', 2)::bigint + 1), 0)
			from journal where source like $1::int || '@%'`, p)
	}
	return o
}

// secondSigterm: with a batch in hand that nobody answers, the first SIGTERM
// takes its time, and another one takes none.
func secondSigterm(s *stack) {
	defer s.unswept()() // what is asked is about the order
	asked := s.silentServiceOrder()
	service := s.serve()
	s.eventually("the service has joined", func() error { return service.printed("joined the consumer group") })
	s.publish(s.client(), "an-order", "created")
	select {
	case <-asked:
	case <-time.After(patience):
		s.Fatal("service-order is never asked")
	}
	began := time.Now()
	// Signals that come together are one: so it is sent until another was seen.
	s.within(time.Second, "the service has ended", func() error {
		if !service.Running() {
			return nil
		}
		return errors.Join(errors.New("it is running"), service.Signal(syscall.SIGTERM))
	})
	if code := service.ExitCode(); code != 130 {
		s.Errorf("ended with exit code %d after %v, want 130", code, time.Since(began))
	}
}

// silentServiceOrder accepts connections and never answers; asked is closed
// when the service has sent it something.
func (s *stack) silentServiceOrder() (asked <-chan struct{}) {
	s.Helper()
	listener, err := new(net.ListenConfig).Listen(s.Context(), "tcp", s.orderAddr)
	if err != nil {
		s.Fatal(err)
	}
	var conns []net.Conn
	first, done := make(chan struct{}), make(chan struct{})
	heard := sync.OnceFunc(func() { close(first) })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				heard()
			}
		}
	}()
	s.Cleanup(func() {
		_ = listener.Close()
		<-done
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return first
}

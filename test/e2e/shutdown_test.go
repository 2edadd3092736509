package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/storage/postgres"
)

// sigtermUnderLoad: the service stops in time, and commits to Kafka exactly what it saved:
// more would lose events, less would repeat them. It would commit less if the running
// batch were dropped at the end of the session.
func sigtermUnderLoad(s *stack) {
	s.couriers(100) // all busy soon: a free courier beside a waiting order violates an invariant
	s.serviceOrder("--step", "created=1ms,pending=1ms,confirmed=1ms,cooking=24h")
	service := s.serve()
	s.eventually("the service is ready", s.ready)
	const orders, events = 3000, 4 // per order
	rush := s.rush(orders)         // one or two seconds of it
	s.eventually("the service processes orders", func() error {
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
	s.eventually("all events are published", func() error { return want(int64(orders*events), s.published(client).sum()) })
	committed, published := s.committed(client), s.published(client)
	s.Logf("stopped after %d of %d events", committed.sum(), published.sum())
	if committed == published {
		s.Error("all events were handled before SIGTERM: use more orders")
	}
	for p, saved := range s.saved() {
		if saved > committed[p] {
			s.Errorf("partition %d: saved up to offset %d, committed only %d", p, saved, committed[p])
		}
	}
	s.checkNothingLost(client, committed)
	s.checkInvariants()

	defer s.blockResync()()
	s.serve()
	s.eventually("the remaining events are handled", func() error { return want(published, s.committed(client)) })
	handled, err := s.reconciled()
	if rest := published.sum() - committed.sum(); err != nil || int64(handled) != rest {
		s.Errorf("the next run handled %v events of the remaining %d: %v", handled, rest, err)
	}
	s.checkInvariants()
}

// blockResync holds the lock of the resync, whose hints are counted too, until release.
func (s *stack) blockResync() (release func()) {
	s.Helper()
	conn, err := s.pool.Acquire(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	if _, err := conn.Exec(s.Context(), "select pg_advisory_lock($1)", int64(postgres.ResyncLock)); err != nil {
		s.Fatal(err)
	}
	return func() { _ = conn.Conn().Close(context.WithoutCancel(s.Context())); conn.Release() }
}

// checkNothingLost checks that the order of every committed event is in the database.
func (s *stack) checkNothingLost(client sarama.Client, committed offsets) {
	s.Helper()
	known := make(map[string]bool)
	for _, id := range s.column("select order_id from orders") {
		known[id] = true
	}
	lost := s.orderIDs(client, committed)
	maps.DeleteFunc(lost, func(id string, _ bool) bool { return known[id] })
	for id := range lost {
		s.Errorf("%d orders have committed events but were not saved; one is %s", len(lost), id)
		break
	}
}

// saved returns the offsets after the last records in the journal (partition@offset).
func (s *stack) saved() (o offsets) {
	s.Helper()
	for p := range o {
		o[p] = s.count(`
			select coalesce(max(split_part(source, '@', 2)::bigint + 1), 0)
			from journal where source like $1::int || '@%'`, p)
	}
	return o
}

// secondSigterm: while a GET is not answered, the first SIGTERM waits, and the second ends
// the service at once.
func secondSigterm(s *stack) {
	defer s.blockResync()() // the request must be about the order
	const id = "an-order"
	requested := s.silentServiceOrder(id)
	service := s.serve()
	s.eventually("the service has joined the group", func() error { return service.printed("consumer group joined") })
	s.publish(s.client(), id, "created")
	select {
	case <-requested:
	case <-time.After(patience):
		s.Fatal("no request to service-order")
	}
	began := time.Now()
	// Simultaneous signals are one: repeat it until the process ends.
	s.within(time.Second, "the service has ended", func() error {
		if !service.Running() {
			return nil
		}
		return errors.Join(errors.New("running"), service.Signal(syscall.SIGTERM))
	})
	if code := service.ExitCode(); code != 130 {
		s.Errorf("ended with exit code %d after %v, want 130", code, time.Since(began))
	}
}

// silentServiceOrder accepts connections and never answers; requested is closed at the
// first request for an order.
func (s *stack) silentServiceOrder(id string) (requested <-chan struct{}) {
	s.Helper()
	listener, err := new(net.ListenConfig).Listen(s.Context(), "tcp", s.orderAddr)
	if err != nil {
		s.Fatal(err)
	}
	var conns []net.Conn
	first, done := make(chan struct{}), make(chan struct{})
	received := sync.OnceFunc(func() { close(first) })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
			request, err := http.ReadRequest(bufio.NewReader(conn))
			if err == nil && path.Base(request.URL.Path) == id { // not the probe
				received()
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

package faults

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/courier"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/ordersim"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

// grpcFront is a TCP proxy of service-order's gRPC API that can break its connections.
type grpcFront struct {
	addr, next string

	mu       sync.Mutex
	answer   func(client, server net.Conn) // nil: refuse
	listener net.Listener
	conns    []net.Conn
	running  sync.WaitGroup
}

func forward(client, server net.Conn) {
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	_, _ = io.Copy(client, server)
}

// swallow reads and never answers.
func swallow(client, _ net.Conn) { _, _ = io.Copy(io.Discard, client) }

// garbage answers something that is not HTTP/2.
func garbage(client, _ net.Conn) { _, _ = client.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n")) }

// newGRPCWorld returns a world whose service-order has a gRPC API, and a proxy of it.
func newGRPCWorld(t *testing.T, couriers int) (*world, *grpcFront) {
	t.Helper()
	w := newWorldOn(t, pgtest.NewDatabase(t, postgres.Migrate), couriers, func(c *ordersim.Config) { c.GRPCAddr = "127.0.0.1:0" })
	f := &grpcFront{addr: "127.0.0.1:0", next: w.sim.GRPCAddr()}
	w.must(f.set(forward))
	t.Cleanup(func() { w.check(f.set(nil)); f.running.Wait() })
	return w, f
}

// set breaks all connections and handles new ones by answer.
func (f *grpcFront) set(answer func(client, server net.Conn)) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener != nil {
		_ = f.listener.Close()
		f.listener = nil
	}
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.conns, f.answer = nil, answer
	if answer == nil {
		return nil
	}
	if f.listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", f.addr); err != nil {
		return err
	}
	f.addr = f.listener.Addr().String()
	f.running.Go(func() { f.accept(f.listener, answer) })
	return nil
}

func (f *grpcFront) accept(l net.Listener, answer func(client, server net.Conn)) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", f.next)
		if err != nil {
			_ = client.Close()
			continue
		}
		f.mu.Lock()
		f.conns = append(f.conns, client, server)
		f.mu.Unlock()
		f.running.Go(func() {
			defer client.Close()
			defer server.Close()
			answer(client, server)
		})
	}
}

// over returns the settings of a replica with gRPC.
func (f *grpcFront) over(prefer string) func(*config.Config) {
	return func(c *config.Config) {
		c.OrderServiceGRPCAddr, c.OrderServicePrefer, c.ResyncInterval = f.addr, prefer, time.Second
	}
}

// TestLostDeletedIsFoundOverGRPC: over HTTP a deleted order is a 404 like any unknown one;
// over gRPC it is still there. A resync cancels it without its event.
func TestLostDeletedIsFoundOverGRPC(t *testing.T) {
	t.Parallel()
	for _, prefer := range []string{config.PreferHTTP, config.PreferGRPC} {
		t.Run(prefer, func(t *testing.T) {
			t.Parallel()
			w, front := newGRPCWorld(t, 3)
			w.serve(front.over(prefer))
			ids := w.create(4)
			w.eventually("three are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
			w.sim.Mute(true)
			w.delete(ids[0], ids[3]) // one has a courier, the other may wait for one
			w.converges()
			if n := w.inState(courier.StateCancelled); n != 2 {
				t.Errorf("%d orders are cancelled, want 2", n)
			}
		})
	}
}

// TestForgottenOrdersKeepTheirCouriers: a restarted service-order knows no order over
// either transport. That proves nothing about an order.
func TestForgottenOrdersKeepTheirCouriers(t *testing.T) {
	t.Parallel()
	w, front := newGRPCWorld(t, 3)
	w.serve(front.over(config.PreferGRPC))
	w.create(3)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
	w.must(w.sim.Forget())
	w.eventually("all are missing", func() bool { return w.count("SELECT count(*) FROM orders WHERE missing_since IS NOT NULL") == 3 })
	if n := w.inState(courier.StateAssigned); n != 3 {
		t.Errorf("%d orders are assigned, want 3", n)
	}
	w.invariantsHold()
}

// TestBrokenGRPCStopsNothing: whatever is wrong with gRPC, orders are assigned and
// completed over HTTP. It is logged once; afterwards gRPC serves again.
func TestBrokenGRPCStopsNothing(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(client, server net.Conn){"refuses": nil, "hangs": swallow, "answers garbage": garbage} {
		for _, prefer := range []string{config.PreferHTTP, config.PreferGRPC} {
			t.Run(name+", prefer "+prefer, func(t *testing.T) {
				if name != "hangs" {
					citest.Only(t, "six cases, each with a service of its own")
				}
				t.Parallel()
				w, front := newGRPCWorld(t, 10)
				w.serve(front.over(prefer))
				first := w.create(3)
				w.eventually("three are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
				w.must(front.set(broken))
				outages := func() int { return w.logs.times("component=order_service_grpc") }
				w.eventually("the outage is logged", func() bool { return outages() == 1 })
				ids := w.create(5)
				w.eventually("five more are assigned", func() bool { return w.inState(courier.StateAssigned) == 8 })
				w.setStatus("completed", ids...)
				w.converges()
				if n := w.logs.times("circuit breaker opened"); n != 0 || outages() != 1 {
					t.Errorf("the breaker opened %d times, the outage was logged %d times; want 0 and 1", n, outages())
				}
				w.must(front.set(forward))
				w.eventually("the recovery is logged", func() bool { return outages() == 2 })
				w.sim.Mute(true)
				w.delete(first[0])
				w.converges()
			})
		}
	}
}

// TestHTTPDownWhileGRPCIsPreferred: orders that gRPC has need no GET.
func TestHTTPDownWhileGRPCIsPreferred(t *testing.T) {
	t.Parallel()
	w, front := newGRPCWorld(t, 20)
	w.serve(front.over(config.PreferGRPC))
	w.front.refuse()
	ids := w.create(20) // more than open the circuit breaker of HTTP
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 20 })
	w.setStatus("completed", ids[:10]...)
	w.delete(ids[10:]...)
	w.eventually("all have ended", func() bool {
		return w.inState(courier.StateCompleted) == 10 && w.inState(courier.StateCancelled) == 10
	})
	w.front.heal()
	w.converges()
}

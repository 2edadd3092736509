package order

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
)

// stub answers every GET with err, or as in answers.
type stub struct {
	err     error
	answers map[courier.OrderID]error
	gets    int
}

func (s *stub) Get(ctx context.Context, id courier.OrderID) (Order, error) {
	s.gets++
	if err := ctx.Err(); err != nil {
		return Order{}, unavailable(err)
	}
	if err, special := s.answers[id]; special {
		return Order{}, err
	}
	return Order{ID: id}, s.err
}

// answersLate fails every GET after a while, except for order "quick".
type answersLate struct{ late time.Duration }

func (a answersLate) Get(_ context.Context, id courier.OrderID) (Order, error) {
	if id == "quick" {
		return Order{ID: id}, nil
	}
	<-time.After(a.late)
	return Order{}, unavailable(context.DeadlineExceeded)
}

// probeAnsweredLate fails every GET at once, except the slow probe.
type probeAnsweredLate struct {
	late   time.Duration
	probes atomic.Int64
}

func (p *probeAnsweredLate) Get(ctx context.Context, id courier.OrderID) (Order, error) {
	if id != probeID {
		return Order{}, unavailable(statusError(500))
	}
	p.probes.Add(1)
	select {
	case <-time.After(p.late):
		return Order{}, ErrNotFound
	case <-ctx.Done():
		return Order{}, unavailable(ctx.Err())
	}
}

func newTestBreaker(s *stub) (*Breaker, *strings.Builder) {
	var log strings.Builder
	return NewBreaker(s, s, slog.New(slog.NewTextHandler(&log, nil))), &log
}

func get(ctx context.Context, b *Breaker, n int) {
	for i := range n {
		_, _ = b.Get(ctx, courier.OrderID(fmt.Sprint(i)))
	}
}

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{err: unavailable(errors.New("refused"))}
		b, log := newTestBreaker(s)
		get(t.Context(), b, distinctFailures)
		if !b.Tripped() {
			t.Fatal("closed although all orders failed")
		}
		s.gets = 0
		get(t.Context(), b, 100)
		for range 10 {
			if err := b.Ready(t.Context()); !errors.Is(err, ErrUnavailable) {
				t.Fatalf("Ready = %v, want ErrUnavailable", err)
			}
			<-time.After(probeInterval / 5)
		}
		if s.gets > 2 {
			t.Errorf("%d GETs in two seconds of an outage, want a probe per second", s.gets)
		}
		s.err = nil
		<-time.After(probeInterval)
		if err := b.Ready(t.Context()); err != nil || b.Tripped() {
			t.Errorf("Ready = %v after service-order came back", err)
		}
		wantLines(t, log, "service-order does not answer as expected: refused; see the log", "circuit breaker opened", "dependency recovered", "circuit breaker closed")
	})
}

func wantLines(t *testing.T, log *strings.Builder, parts ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
	for i, part := range parts {
		if len(lines) != len(parts) || !strings.Contains(lines[i], part) {
			t.Errorf("want %d lines, the %d. with %q, got:\n%s", len(parts), i+1, part, log)
			return
		}
	}
}

// TestBreakerOpensAgain fails if an answer does not clear the failures before it.
func TestBreakerOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{}
		b, _ := newTestBreaker(s)
		for outage := range 3 {
			s.err = unavailable(errors.New("refused"))
			if get(t.Context(), b, distinctFailures); !b.Tripped() {
				t.Fatalf("outage %d did not open the breaker", outage)
			}
			s.err = nil
			<-time.After(probeInterval)
			if err := b.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestBreakerStaysClosed: these failures are not an outage.
func TestBreakerStaysClosed(t *testing.T) {
	broken := unavailable(statusError(500))
	for name, err := range map[string]error{"404": ErrNotFound, "400": unavailable(statusError(400)), "401": unavailable(statusError(401)), "another server's 404": notServiceOrder(statusError(404))} {
		b, _ := newTestBreaker(&stub{err: err})
		if get(t.Context(), b, 10*distinctFailures); b.Tripped() {
			t.Errorf("%s opened the breaker", name)
		}
	}
	t.Run("one order, for ever", func(t *testing.T) {
		b, _ := newTestBreaker(&stub{answers: map[courier.OrderID]error{"bad": broken}})
		for range 10 * distinctFailures {
			_, _ = b.Get(t.Context(), "bad")
		}
		if b.Tripped() {
			t.Error("the breaker opened")
		}
	})
	t.Run("a few among many", func(t *testing.T) {
		b, _ := newTestBreaker(&stub{answers: map[courier.OrderID]error{"0": broken, "1": broken, "2": broken}})
		for range distinctFailures {
			get(t.Context(), b, 10)
		}
		if b.Tripped() {
			t.Error("the breaker opened")
		}
	})
	t.Run("many orders, for ever", func(t *testing.T) {
		s := &stub{err: broken, answers: map[courier.OrderID]error{probeID: ErrNotFound}}
		b, log := newTestBreaker(s)
		get(t.Context(), b, 10*distinctFailures)
		if b.Tripped() || log.Len() > 0 {
			t.Errorf("the breaker opened although the probe was answered:\n%s", log)
		}
		if probes := s.gets - 10*distinctFailures; probes != 10 {
			t.Errorf("%d probes, want one per %d failures", probes, distinctFailures)
		}
	})
	t.Run("orders that fail again during the probe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := &probeAnsweredLate{late: time.Second}
			b := NewBreaker(p, p, slog.New(slog.DiscardHandler))
			var first sync.WaitGroup
			first.Go(func() { get(t.Context(), b, distinctFailures) })
			synctest.Wait()
			get(t.Context(), b, 2*distinctFailures)
			if first.Wait(); b.Tripped() || p.probes.Load() != 1 {
				t.Errorf("tripped: %t, %d probes, want one that is answered", b.Tripped(), p.probes.Load())
			}
		})
	})
	const late = time.Second
	for name, c := range map[string]struct {
		orders int
		after  time.Duration // until another GET is answered
	}{
		"many concurrent GETs, some answered too late":    {10 * distinctFailures, late / 2},
		"the probe fails, another GET during it does not": {distinctFailures, late * 3 / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBreaker(answersLate{late}, answersLate{late}, slog.New(slog.DiscardHandler))
				var wg sync.WaitGroup
				for i := range c.orders {
					wg.Go(func() { _, _ = b.Get(t.Context(), courier.OrderID(fmt.Sprint(i))) })
				}
				<-time.After(c.after)
				_, _ = b.Get(t.Context(), "quick")
				wg.Wait()
				if b.Tripped() {
					t.Error("the breaker opened although service-order answered meanwhile")
				}
			})
		})
	}
	t.Run("the caller cancels during the probe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			probe := &probeAnsweredLate{late: time.Second}
			b := NewBreaker(probe, probe, slog.New(slog.DiscardHandler))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			defer cancel()
			if get(ctx, b, distinctFailures); b.Tripped() {
				t.Error("the breaker opened without an outcome of the probe")
			}
		})
	})
	t.Run("cancelled by the caller", func(t *testing.T) {
		b, _ := newTestBreaker(&stub{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if get(ctx, b, 10*distinctFailures); b.Tripped() {
			t.Error("the breaker opened")
		}
	})
}

// TestAnotherServerRaisesAlarm: one line when answers are not service-order's, however
// often they alternate with its own, and one after a quiet minute.
func TestAnotherServerRaisesAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{}
		b, log := newTestBreaker(s)
		for range 10 {
			s.err = notServiceOrder(statusError(404))
			get(t.Context(), b, 2)
			s.err = nil
			get(t.Context(), b, 2)
		}
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "correct ORDER_SERVICE_URL") {
			t.Errorf("want one line with the fix, got:\n%s", text)
		}
		<-time.After(2 * foreignQuiet)
		if get(t.Context(), b, 2); strings.Count(log.String(), "\n") != 2 || !strings.Contains(log.String(), "recovered") {
			t.Errorf("want one line for the end, got:\n%s", log)
		}
	})
}

// TestBreakerOpensOnUnusableAnswers: a server other than service-order is an
// outage too.
func TestBreakerOpensOnUnusableAnswers(t *testing.T) {
	for name, err := range map[string]error{
		"not an order": unavailable(errors.New("the answer is not an order")), "redirect": unavailable(statusError(302)),
		"503": unavailable(statusError(503)), "429": unavailable(statusError(429)),
	} {
		b, _ := newTestBreaker(&stub{err: err})
		if get(t.Context(), b, distinctFailures); !b.Tripped() {
			t.Errorf("%s did not open the breaker", name)
		}
	}
}

// TestCheckUsesTheStateOfTheBreaker: while the breaker is open, and after a fetch of the
// last second, Check requests nothing. A failed check counts as the failure of no order.
func TestCheckUsesTheStateOfTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{}
		b, _ := newTestBreaker(s)
		expect := func(when string, want error, gets int) {
			t.Helper()
			if err := b.Check(t.Context()); !errors.Is(err, want) || s.gets != gets {
				t.Errorf("%s: %v after %d requests, want %v after %d", when, err, s.gets, want, gets)
			}
		}
		expect("at the start", nil, 1)
		expect("after an answer", nil, 1)
		<-time.After(probeInterval)
		get(t.Context(), b, 1)
		expect("after a fetch", nil, 2)
		<-time.After(probeInterval)
		s.err = fmt.Errorf("%w: %w", ErrNotServiceOrder, statusError(404))
		expect("another server", ErrNotServiceOrder, 3)
		expect("another server, again", ErrNotServiceOrder, 3)
		<-time.After(probeInterval)
		s.err = unavailable(errors.New("refused"))
		for range 2 * distinctFailures {
			_ = b.Check(t.Context())
		}
		if b.Tripped() {
			t.Error("failed checks open the breaker")
		}
		get(t.Context(), b, distinctFailures)
		expect("open", ErrBreakerOpen, s.gets)
	})
}

// TestCheckReportsTheOutage: of an idle service, with its cause, once, and its end. A check
// that its caller ends says nothing.
func TestCheckReportsTheOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{err: unavailable(statusError(503))}
		b, log := newTestBreaker(s)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		_ = b.Check(cancelled)
		for range 3 {
			if err := b.Check(t.Context()); err == nil {
				t.Error("no error")
			}
		}
		s.err = nil
		_ = b.Check(t.Context())
		wantLines(t, log, `component=service-order error="service-order answers with an error: HTTP status 503; see the log of service-order`, "dependency recovered")
		s.err = unavailable(syscall.ECONNREFUSED)
		get(t.Context(), b, distinctFailures)
		if err := b.Check(t.Context()); !errors.Is(err, ErrBreakerOpen) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v, want the cause behind the open breaker", err)
		}
	})
}

// listStub is a Lister.
type listStub struct{ err error }

func (s *listStub) List(context.Context, time.Time, func(Order) error) error { return s.err }

// TestCheckConsidersTheList: another service may answer fetches with a 404 in
// service-order's form; it has no list of orders.
func TestCheckConsidersTheList(t *testing.T) {
	s, l := &stub{}, &listStub{}
	b, _ := newTestBreaker(s)
	lister := b.Watch(l)
	for _, c := range []struct{ list, check error }{
		{nil, nil},
		{notServiceOrder(statusError(404)), ErrNotServiceOrder},
		{unavailable(errors.New("refused")), ErrNotServiceOrder}, // says nothing
		{nil, nil},
	} {
		l.err = c.list
		if err := lister.List(t.Context(), time.Time{}, nil); !errors.Is(err, c.list) {
			t.Errorf("List() = %v", err)
		}
		if err := b.Check(t.Context()); !errors.Is(err, c.check) || err != nil && c.check == nil {
			t.Errorf("after the list %v: %v, want %v", c.list, err, c.check)
		}
	}
}

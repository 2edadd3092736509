package order

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
)

// stub is a service-order that answers every GET with err, or as answers says.
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

// answersLate fails every GET after a while, save that of order "quick".
type answersLate struct{ late time.Duration }

func (a answersLate) Get(_ context.Context, id courier.OrderID) (Order, error) {
	if id == "quick" {
		return Order{ID: id}, nil
	}
	<-time.After(a.late)
	return Order{}, unavailable(context.DeadlineExceeded)
}

// probeAnsweredLate fails every GET at once, save the probe, which takes a while.
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
	return NewBreaker(s, slog.New(slog.NewTextHandler(&log, nil))), &log
}

func ask(ctx context.Context, b *Breaker, n int) {
	for i := range n {
		_, _ = b.Get(ctx, courier.OrderID(fmt.Sprint(i)))
	}
}

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{err: unavailable(errors.New("refused"))}
		b, log := newTestBreaker(s)
		ask(t.Context(), b, distinctFailures)
		if !b.Tripped() {
			t.Fatal("it is closed though everybody failed")
		}
		s.gets = 0
		ask(t.Context(), b, 100)
		for range 10 {
			if err := b.Ready(t.Context()); !errors.Is(err, ErrUnavailable) {
				t.Fatalf("Ready = %v, want ErrUnavailable", err)
			}
			<-time.After(probeEvery / 5)
		}
		if s.gets > 2 {
			t.Errorf("%d GETs in two seconds of outage, want a probe a second", s.gets)
		}
		s.err = nil
		<-time.After(probeEvery)
		if err := b.Ready(t.Context()); err != nil || b.Tripped() {
			t.Errorf("Ready = %v after service-order came back", err)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("want one line for the outage and one for its end, got:\n%s", log)
		}
	})
}

// TestBreakerOpensAgain: an outage is noticed also after the one before. It fails when
// an answer does not forget who failed before it.
func TestBreakerOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{}
		b, _ := newTestBreaker(s)
		for outage := range 3 {
			s.err = unavailable(errors.New("refused"))
			if ask(t.Context(), b, distinctFailures); !b.Tripped() {
				t.Fatalf("outage %d did not open it", outage)
			}
			s.err = nil
			<-time.After(probeEvery)
			if err := b.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestBreakerStaysClosed: what must never be taken for an outage.
func TestBreakerStaysClosed(t *testing.T) {
	broken := unavailable(statusError(500))
	for name, err := range map[string]error{"404": ErrNotFound, "400": unavailable(statusError(400)), "401": unavailable(statusError(401))} {
		b, _ := newTestBreaker(&stub{err: err})
		if ask(t.Context(), b, 10*distinctFailures); b.Tripped() {
			t.Errorf("%s opened it", name)
		}
	}
	t.Run("one order, for ever", func(t *testing.T) {
		b, _ := newTestBreaker(&stub{answers: map[courier.OrderID]error{"bad": broken}})
		for range 10 * distinctFailures {
			_, _ = b.Get(t.Context(), "bad")
		}
		if b.Tripped() {
			t.Error("it opened")
		}
	})
	t.Run("a few among many", func(t *testing.T) {
		b, _ := newTestBreaker(&stub{answers: map[courier.OrderID]error{"0": broken, "1": broken, "2": broken}})
		for range distinctFailures {
			ask(t.Context(), b, 10)
		}
		if b.Tripped() {
			t.Error("it opened")
		}
	})
	t.Run("many orders, for ever", func(t *testing.T) {
		s := &stub{err: broken, answers: map[courier.OrderID]error{probeID: ErrNotFound}}
		b, log := newTestBreaker(s)
		ask(t.Context(), b, 10*distinctFailures)
		if b.Tripped() || log.Len() > 0 {
			t.Errorf("it opened though the probe was answered:\n%s", log)
		}
		if probes := s.gets - 10*distinctFailures; probes != 10 {
			t.Errorf("%d probes, want one for every %d failures", probes, distinctFailures)
		}
	})
	t.Run("orders that fail again while the probe is under way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := &probeAnsweredLate{late: time.Second}
			b := NewBreaker(p, slog.New(slog.DiscardHandler))
			var first sync.WaitGroup
			first.Go(func() { ask(t.Context(), b, distinctFailures) })
			synctest.Wait()
			ask(t.Context(), b, 2*distinctFailures)
			if first.Wait(); b.Tripped() || p.probes.Load() != 1 {
				t.Errorf("tripped: %t, %d probes, want one that is answered", b.Tripped(), p.probes.Load())
			}
		})
	})
	const late = time.Second
	for name, c := range map[string]struct {
		orders int
		after  time.Duration // somebody is answered
	}{
		"a crowd, some of it answered too late":                    {10 * distinctFailures, late / 2},
		"the probe is under way and fails, somebody else does not": {distinctFailures, late * 3 / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBreaker(answersLate{late}, slog.New(slog.DiscardHandler))
				var wg sync.WaitGroup
				for i := range c.orders {
					wg.Go(func() { _, _ = b.Get(t.Context(), courier.OrderID(fmt.Sprint(i))) })
				}
				<-time.After(c.after)
				_, _ = b.Get(t.Context(), "quick")
				wg.Wait()
				if b.Tripped() {
					t.Error("it opened though service-order answered meanwhile")
				}
			})
		})
	}
	t.Run("the probe, given up by the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := NewBreaker(&probeAnsweredLate{late: time.Second}, slog.New(slog.DiscardHandler))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			defer cancel()
			if ask(ctx, b, distinctFailures); b.Tripped() {
				t.Error("it opened though nothing is known of service-order")
			}
		})
	})
	t.Run("given up by the caller", func(t *testing.T) {
		b, _ := newTestBreaker(&stub{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if ask(ctx, b, 10*distinctFailures); b.Tripped() {
			t.Error("it opened")
		}
	})
}

// TestBreakerOpensOnWhatIsNoServiceOrder: a wrong address that answers
// something else is an outage for everybody too.
func TestBreakerOpensOnWhatIsNoServiceOrder(t *testing.T) {
	for name, err := range map[string]error{
		"not an order": unavailable(errors.New("the answer is not an order")), "redirect": unavailable(statusError(302)),
		"503": unavailable(statusError(503)), "429": unavailable(statusError(429)),
	} {
		b, _ := newTestBreaker(&stub{err: err})
		if ask(t.Context(), b, distinctFailures); !b.Tripped() {
			t.Errorf("%s did not open it", name)
		}
	}
}

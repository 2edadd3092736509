package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/worker"
)

// failing is a service-order that fails after a while from some answer on.
type failing struct {
	answers atomic.Int64 // until it fails
	after   time.Duration
	gets    atomic.Int64
}

func newFailing(answers int64, after time.Duration) *failing {
	f := &failing{after: after}
	f.answers.Store(answers)
	return f
}

func (f *failing) Get(ctx context.Context, _ courier.OrderID) (order.Order, error) {
	if f.gets.Add(1) <= f.answers.Load() {
		return order.Order{}, order.ErrNotFound
	}
	select {
	case <-time.After(f.after):
	case <-ctx.Done():
	}
	return order.Order{}, errors.Join(order.ErrUnavailable, errors.New("down"))
}

// lockedBuffer is written by a task and read by its test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type unobserved struct{}

func (unobserved) TaskFinished(string, worker.Result, time.Duration) {}

// TestIdleOutageIsNoticed within 5 s, and so is its end, whether service-order refuses
// requests or hangs.
func TestIdleOutageIsNoticed(t *testing.T) {
	const bound = 5 * time.Second
	for name, after := range map[string]time.Duration{"refuses": 0, "hangs": fetchTimeout} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service, log := newFailing(3, after), new(lockedBuffer)
				breaker := order.NewBreaker(service, service, slog.New(slog.NewTextHandler(log, nil)))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					worker.Run(ctx, unobserved{}, slog.New(slog.DiscardHandler), worker.OrderServiceHTTP(breaker.Check))
				}()
				for service.gets.Load() < service.answers.Load() {
					time.Sleep(time.Millisecond)
				}
				if time.Sleep(bound); strings.Count(log.String(), "dependency unavailable") != 1 {
					t.Errorf("%v after the last answer:\n%s", bound, log)
				}
				service.answers.Store(1 << 30)
				if time.Sleep(bound); strings.Count(log.String(), "dependency recovered") != 1 {
					t.Errorf("%v after it answers again:\n%s", bound, log)
				}
				cancel()
				<-done
			})
		})
	}
}

// TestBusyServiceIsNotProbed: answered fetches show the same.
func TestBusyServiceIsNotProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service, probes := newFailing(1<<30, 0), newFailing(0, 0)
		breaker := order.NewBreaker(service, probes, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			for ctx.Err() == nil {
				_, _ = breaker.Get(ctx, "a")
				time.Sleep(time.Second / 4)
			}
		}()
		synctest.Wait()
		worker.Run(ctx, unobserved{}, slog.New(slog.DiscardHandler), worker.OrderServiceHTTP(breaker.Check))
		time.Sleep(time.Second) // the other goroutine has ended
		if n := probes.gets.Load(); n > 0 {
			t.Errorf("%d probes", n)
		}
	})
}

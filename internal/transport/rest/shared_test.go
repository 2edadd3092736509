package rest_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/transport/rest"
)

// counted counts what the API requests of the components and of the consumption. They
// answer after release is closed.
type counted struct {
	calls   atomic.Int32
	release chan struct{}
	faulty  atomic.Bool
}

func (c *counted) call(ctx context.Context) {
	c.calls.Add(1)
	if c.faulty.Swap(false) {
		panic("fault")
	}
	select {
	case <-c.release:
	case <-ctx.Done():
	}
}

func (c *counted) Check(ctx context.Context) []rest.Component { c.call(ctx); return nil }

func (c *counted) Status(ctx context.Context) (rest.ConsumerStatus, error) {
	c.call(ctx)
	return rest.ConsumerStatus{}, ctx.Err()
}

// TestAnswersAreShared: any number of requests of /readyz and /api/v1/consumer costs one
// check a second, also when the client that caused it disconnects. A panic is that of one
// request.
func TestAnswersAreShared(t *testing.T) {
	for _, line := range []string{"GET /readyz", "GET /api/v1/consumer", "HEAD /readyz"} {
		synctest.Test(t, func(t *testing.T) {
			c := &counted{release: make(chan struct{})}
			deps := dependencies(new(fake), io.Discard)
			deps.Readiness, deps.Consumption = c, c
			h := rest.New(rest.Config{}, deps).Handler()

			first, leave := context.WithCancel(t.Context())
			var clients sync.WaitGroup
			caused := request(t, line, "").WithContext(first)
			clients.Go(func() { do(h, caused) })
			synctest.Wait()
			statuses := make([]int, 50)
			for i := range statuses {
				clients.Go(func() { statuses[i] = do(h, request(t, line, "")).Code })
			}
			leave()
			synctest.Wait()
			close(c.release)
			clients.Wait()
			for i, status := range statuses {
				if status != http.StatusOK {
					t.Errorf("%s: client %d got %d", line, i, status)
				}
			}
			expect := func(when string, calls int32) {
				t.Helper()
				do(h, request(t, line, ""))
				if n := c.calls.Load(); n != calls {
					t.Errorf("%s: %s: %d calls, want %d", line, when, n, calls)
				}
			}
			expect("at once", 1)
			time.Sleep(time.Second) // of the synctest clock
			expect("a second later", 2)
			time.Sleep(time.Second)
			c.faulty.Store(true)
			if status := do(h, request(t, line, "")).Code; status != http.StatusInternalServerError {
				t.Errorf("%s: %d after a panic", line, status)
			}
			expect("after a panic", 4)
		})
	}
}

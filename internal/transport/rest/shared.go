package rest

import (
	"context"
	"sync"
	"time"
)

// sharedFor is how long a result of shared is valid.
const sharedFor = time.Second

// shared computes a result once for all requests of a second, so that any number of
// clients costs PostgreSQL, Kafka and service-order no more than one.
type shared[T any] struct {
	compute func(context.Context) (T, error) // within timeout
	timeout time.Duration

	mu     sync.Mutex
	latest *result[T] // or nil
}

type result[T any] struct {
	done  chan struct{} // closed when the following are set
	ok    bool          // compute returned; false: it panicked
	value T
	err   error
	at    time.Time
}

// get returns the latest result if it is recent. Otherwise it waits for the one that is
// being computed, or computes one, which continues when its client disconnects: other
// requests wait for it.
func (s *shared[T]) get(ctx context.Context) (value T, err error) {
	for {
		s.mu.Lock()
		r := s.latest
		own := r == nil || r.expired()
		if own {
			r = &result[T]{done: make(chan struct{})}
			s.latest = r
		}
		s.mu.Unlock()
		if own {
			s.run(context.WithoutCancel(ctx), r)
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return value, ctx.Err()
		}
		if r.ok {
			return r.value, r.err
		}
	}
}

// expired reports that a result is too old, or that its computation panicked.
func (r *result[T]) expired() bool {
	select {
	case <-r.done:
		return !r.ok || time.Since(r.at) >= sharedFor
	default:
		return false
	}
}

func (s *shared[T]) run(ctx context.Context, r *result[T]) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	defer close(r.done)
	r.value, r.err = s.compute(ctx)
	r.ok, r.at = true, time.Now()
}

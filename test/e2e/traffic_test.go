package e2e

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// traffic is new orders on their way.
type traffic struct {
	s    *stack
	done sync.WaitGroup
	ids  [][]string // of each customer
	errs []error
}

// wait returns the ids of the orders when all are made.
func (t *traffic) wait() []string {
	t.s.Helper()
	t.done.Wait()
	if err := errors.Join(t.errs...); err != nil {
		t.s.Fatalf("traffic: %v", err)
	}
	return slices.Concat(t.ids...)
}

// customers makes some that order until each has returned.
func (s *stack) customers(n int, order func(ctx context.Context) ([]string, error)) *traffic {
	t := &traffic{s: s, ids: make([][]string, n), errs: make([]error, n)}
	for c := range n {
		t.done.Go(func() { t.ids[c], t.errs[c] = order(s.Context()) })
	}
	s.Cleanup(t.done.Wait)
	return t
}

// rush makes n orders as fast as several customers can.
func (s *stack) rush(n int) *traffic {
	const customers = 8
	return s.customers(customers, func(ctx context.Context) (ids []string, err error) {
		for range n / customers {
			id, err := s.post(ctx)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		return ids, nil
	})
}

// stroll makes n orders, so many a second, and meanwhile deletes a share of
// them: at any moment of their life, and after it.
func (s *stack) stroll(n, aSecond int, cancelled float64) *traffic {
	luck := rand.New(rand.NewPCG(1, 2))
	return s.customers(1, func(ctx context.Context) (ids []string, err error) {
		next := time.NewTicker(time.Second / time.Duration(aSecond))
		defer next.Stop()
		for len(ids) < n {
			select {
			case <-next.C:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			id, err := s.post(ctx)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
			if luck.Float64() < cancelled {
				if err := s.cancel(ctx, ids[luck.IntN(len(ids))]); err != nil {
					return nil, err
				}
			}
		}
		return ids, nil
	})
}

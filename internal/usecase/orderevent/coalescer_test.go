package orderevent

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"service-courier/internal/courier"
)

// hintsOf makes a batch of n hints about distinct orders.
func hintsOf(source string, n int) Batch {
	var b Batch
	for i := range n {
		b.Hints = append(b.Hints, Hint{OrderID: courier.OrderID(fmt.Sprintf("%s-%d", source, i)), Source: source})
	}
	return b
}

// startCoalescer runs one worker whose batches are recorded; each waits for go.
func startCoalescer(t *testing.T, result error) (c *Coalescer, sizes <-chan int, proceed chan<- struct{}, stop func()) {
	t.Helper()
	seen, step := make(chan int, 100), make(chan struct{})
	c = NewCoalescer(func(ctx context.Context, b Batch) error {
		seen <- b.size()
		select {
		case <-step:
			return result
		case <-ctx.Done():
			return ctx.Err()
		}
	}, 1, func(int) {})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	return c, seen, step, func() { cancel(); <-done }
}

// TestBatchOfOneWhenIdleManyUnderLoad: nothing lingers, and what arrives while
// the worker is busy is taken together.
func TestBatchOfOneWhenIdleManyUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sizes, proceed, stop := startCoalescer(t, nil)
		defer stop()
		results := make(chan error, 10)
		submit := func(b Batch) { go func() { results <- c.Submit(t.Context(), b) }() }
		submit(hintsOf("first", 1))
		synctest.Wait()
		if got := <-sizes; got != 1 {
			t.Fatalf("the first batch has %d hints, want the 1 there was", got)
		}
		for i := range 5 {
			submit(hintsOf(fmt.Sprint(i), 10))
		}
		synctest.Wait()
		proceed <- struct{}{}
		if got := <-sizes; got != 50 {
			t.Errorf("the second batch has %d hints, want all 50 that came meanwhile", got)
		}
		proceed <- struct{}{}
		for range 6 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sizes, proceed, stop := startCoalescer(t, nil)
		defer stop()
		for i := range 9 {
			go func() { _ = c.Submit(t.Context(), hintsOf(fmt.Sprint(i), 400)) }()
			synctest.Wait()
		}
		total := 0
		for total < 9*400 {
			got := <-sizes
			if got > maxBatch {
				t.Errorf("a batch has %d hints", got)
			}
			total += got
			proceed <- struct{}{}
			synctest.Wait()
		}
	})
}

// TestEverySubmitterLearnsOfTheFailure, so that each tries again.
func TestEverySubmitterLearnsOfTheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("the database is away")
		c, _, proceed, stop := startCoalescer(t, away)
		defer stop()
		results := make(chan error, 3)
		for i := range 3 {
			go func() { results <- c.Submit(t.Context(), hintsOf(fmt.Sprint(i), 1)) }()
			synctest.Wait()
		}
		proceed <- struct{}{} // the first alone
		proceed <- struct{}{} // the two that came meanwhile
		for range 3 {
			if err := <-results; !errors.Is(err, away) {
				t.Errorf("err = %v, want %v", err, away)
			}
		}
	})
}

func TestSubmitterMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, proceed, stop := startCoalescer(t, nil)
		defer stop()
		ctx, leave := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- c.Submit(ctx, hintsOf("x", 1)) }()
		synctest.Wait()
		leave()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want Canceled", err)
		}
		proceed <- struct{}{} // the worker goes on
	})
}

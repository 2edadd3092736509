package orderevent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"service-courier/internal/courier"
)

type reconcileFunc = func(ctx context.Context, b Batch, starting func(courier.OrderID)) error

// newBatcher returns a Batcher whose batches go to reconcile, and then to match.
func newBatcher(reconcile reconcileFunc, match func(context.Context), workers int) (*Batcher, *fakeObserver, *bytes.Buffer) {
	f := newFixture(nil)
	b := NewBatcher(f.Reconciler, f.matcher, workers)
	b.reconcile, b.match = reconcile, match
	return b, f.observed, f.logged
}

// start runs the batcher and returns a function that stops it.
func start(t *testing.T, b *Batcher) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	return func() { cancel(); <-done }
}

// hintsOf returns a batch of n hints about different orders.
func hintsOf(source string, n int) Batch {
	var b Batch
	for i := range n {
		b.Hints = append(b.Hints, Hint{OrderID: courier.OrderID(fmt.Sprintf("%s-%d", source, i)), Source: source})
	}
	return b
}

// startOneWorker runs one worker. It reports the size of each batch, which then waits
// for proceed.
func startOneWorker(t *testing.T, result error) (b *Batcher, sizes <-chan int, proceed chan<- struct{}, stop func()) {
	t.Helper()
	seen, step := make(chan int, 100), make(chan struct{})
	b, _, _ = newBatcher(func(ctx context.Context, batch Batch, _ func(courier.OrderID)) error {
		seen <- batch.size()
		select {
		case <-step:
			return result
		case <-ctx.Done():
			return ctx.Err()
		}
	}, func(context.Context) {}, 1)
	return b, seen, step, start(t, b)
}

// TestBatchOfOneWhenIdleManyUnderLoad: no batch waits to fill up, and all that arrives
// while the worker is busy is taken together.
func TestBatchOfOneWhenIdleManyUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, sizes, proceed, stop := startOneWorker(t, nil)
		defer stop()
		results := make(chan error, 10)
		submit := func(batch Batch) { go func() { results <- b.Submit(t.Context(), batch) }() }
		submit(hintsOf("first", 1))
		synctest.Wait()
		if got := <-sizes; got != 1 {
			t.Fatalf("the first batch has %d hints, want 1", got)
		}
		for i := range 5 {
			submit(hintsOf(fmt.Sprint(i), 10))
		}
		synctest.Wait()
		proceed <- struct{}{}
		if got := <-sizes; got != 50 {
			t.Errorf("the second batch has %d hints, want all 50 that arrived meanwhile", got)
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
		b, sizes, proceed, stop := startOneWorker(t, nil)
		defer stop()
		for i := range 9 {
			go func() { _ = b.Submit(t.Context(), hintsOf(fmt.Sprint(i), 400)) }()
			synctest.Wait()
		}
		total := 0
		for total < 9*400 {
			got := <-sizes
			if got >= maxBatch+400 {
				t.Errorf("a batch has %d hints", got)
			}
			total += got
			proceed <- struct{}{}
			synctest.Wait()
		}
	})
}

// TestEverySubmitterGetsTheFailure, so that each tries again.
func TestEverySubmitterGetsTheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outage := errors.New("connection lost")
		b, _, proceed, stop := startOneWorker(t, outage)
		defer stop()
		results := make(chan error, 3)
		for i := range 3 {
			go func() { results <- b.Submit(t.Context(), hintsOf(fmt.Sprint(i), 1)) }()
			synctest.Wait()
		}
		proceed <- struct{}{} // the first alone
		proceed <- struct{}{} // the two that arrived meanwhile
		for range 3 {
			if err := <-results; !errors.Is(err, outage) {
				t.Errorf("err = %v, want %v", err, outage)
			}
		}
	})
}

func TestSubmitterMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, sizes, proceed, stop := startOneWorker(t, nil)
		defer stop()
		ctx, leave := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- b.Submit(ctx, hintsOf("x", 1)) }()
		synctest.Wait()
		leave()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want Canceled", err)
		}
		proceed <- struct{}{}
		go func() { _ = b.Submit(t.Context(), hintsOf("y", 2)) }()
		synctest.Wait()
		if first, second := <-sizes, <-sizes; first != 1 || second != 2 {
			t.Errorf("batches of %d and %d, want the abandoned one, and then the next", first, second)
		}
		proceed <- struct{}{}
	})
}

// TestSubmissionIsNotSplit: its orders are queued as they arrived, which two batches
// that are saved in any order cannot guarantee.
func TestSubmissionIsNotSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, sizes, proceed, stop := startOneWorker(t, nil)
		defer stop()
		submit := func(n int) {
			go func() { _ = b.Submit(t.Context(), hintsOf(fmt.Sprint(n), n)) }()
			synctest.Wait()
		}
		submit(1) // keeps the worker busy
		submit(maxBatch - 1)
		submit(500)
		submit(2)
		for _, want := range []int{1, maxBatch - 1 + 500, 2} {
			if got := <-sizes; got != want {
				t.Errorf("a batch of %d, want %d", got, want)
			}
			proceed <- struct{}{}
			synctest.Wait()
		}
	})
}

// TestWorkersShareTheQueue: what exceeds one batch goes to another worker, and each
// matches after its submitters were answered, before it takes another batch.
func TestWorkersShareTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, results, matched := make(chan int, 10), make(chan error), make(chan struct{})
		b, _, _ := newBatcher(func(_ context.Context, batch Batch, _ func(courier.OrderID)) error {
			begun <- batch.size()
			return <-results
		}, func(context.Context) { <-matched }, 2)
		stop := start(t, b)
		answered := make(chan error, 10)
		submit := func(n int) {
			go func() { answered <- b.Submit(t.Context(), hintsOf(fmt.Sprint(n), n)) }()
			synctest.Wait()
		}
		submit(1)
		submit(2)
		submit(maxBatch)
		submit(3) // waits: both are busy
		if len(begun) != 2 {
			t.Fatalf("%d batches are processed, want one per worker", len(begun))
		}
		results <- nil
		synctest.Wait()
		if len(begun) != 2 || len(answered) != 1 {
			t.Errorf("%d batches, %d answers: want the first answered, and no other begun before its match", len(begun), len(answered))
		}
		matched <- struct{}{}
		results <- nil
		matched <- struct{}{}
		synctest.Wait()
		if len(begun) != 4 {
			t.Errorf("%d batches begun, want 4: two at once of what exceeds one", len(begun))
		}
		close(matched)
		close(results)
		stop()
	})
}

// TestWorkerSurvivesPanics of a batch and of a match: the submitter gets an error and
// submits again. It fails without the recover in contain.
func TestWorkerSurvivesPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := true
		b, observed, logged := newBatcher(func(context.Context, Batch, func(courier.OrderID)) error {
			if panics {
				panic("fault in a batch")
			}
			return nil
		}, func(context.Context) {
			if panics {
				panic("fault in a match")
			}
		}, 1)
		defer start(t, b)()
		if err := b.Submit(t.Context(), hintsOf("x", 1)); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("err = %v, want one after which the batch is submitted again", err)
		}
		synctest.Wait()
		panics = false
		if err := b.Submit(t.Context(), hintsOf("x", 1)); err != nil {
			t.Error(err)
		}
		if observed.panics != 2 || strings.Count(logged.String(), "panic recovered") != 2 || !strings.Contains(logged.String(), "fault in a match") {
			t.Errorf("%d panics counted, log:\n%s", observed.panics, logged)
		}
	})
}

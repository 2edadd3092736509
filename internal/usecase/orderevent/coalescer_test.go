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
	}, func(context.Context) {}, 1, func(int) {})
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
			if got >= maxBatch+400 {
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
		c, sizes, proceed, stop := startCoalescer(t, nil)
		defer stop()
		ctx, leave := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- c.Submit(ctx, hintsOf("x", 1)) }()
		synctest.Wait()
		leave()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want Canceled", err)
		}
		proceed <- struct{}{}
		go func() { _ = c.Submit(t.Context(), hintsOf("y", 2)) }()
		synctest.Wait()
		if first, second := <-sizes, <-sizes; first != 1 || second != 2 {
			t.Errorf("batches of %d and %d, want what was left behind, and then the next", first, second)
		}
		proceed <- struct{}{}
	})
}

// TestSubmissionIsNotParted: its orders come into line as they came, which two
// batches that are saved in any order would not see to.
func TestSubmissionIsNotParted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sizes, proceed, stop := startCoalescer(t, nil)
		defer stop()
		submit := func(n int) {
			go func() { _ = c.Submit(t.Context(), hintsOf(fmt.Sprint(n), n)) }()
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

// TestWorkersShareWhatIsTooMuchForOne, and each follows up its own batch after its
// submitters were answered, before it takes another.
func TestWorkersShareWhatIsTooMuchForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, results, followed := make(chan int, 10), make(chan error), make(chan struct{})
		c := NewCoalescer(func(_ context.Context, b Batch) error { begun <- b.size(); return <-results },
			func(context.Context) { <-followed }, 2, func(int) {})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); c.Run(ctx) }()
		answered := make(chan error, 10)
		submit := func(n int) { go func() { answered <- c.Submit(ctx, hintsOf(fmt.Sprint(n), n)) }(); synctest.Wait() }
		submit(1)
		submit(2)
		submit(maxBatch)
		submit(3) // waits: both are busy
		if len(begun) != 2 {
			t.Fatalf("%d batches in hand, want one a worker", len(begun))
		}
		results <- nil
		synctest.Wait()
		if len(begun) != 2 || len(answered) != 1 {
			t.Errorf("%d batches, %d answers: want the first answered, and no other begun before it was followed up", len(begun), len(answered))
		}
		followed <- struct{}{}
		results <- nil
		followed <- struct{}{}
		synctest.Wait()
		if len(begun) != 4 {
			t.Errorf("%d batches begun, want 4: two at once of what is too much for one", len(begun))
		}
		close(followed)
		close(results)
		cancel()
		<-ended
	})
}

package orderevent

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
)

// heldBatcher is a Batcher with two workers whose batches end when the test says so. Their
// fetches start at once, unless holdFetches is set.
type heldBatcher struct {
	*Batcher
	batches     chan Batch
	starting    func(courier.OrderID)
	results     chan error
	holdFetches bool
	observed    *fakeObserver
}

// withHeldBatcher runs test in a bubble, beside a running heldBatcher.
func withHeldBatcher(t *testing.T, test func(t *testing.T, b *heldBatcher)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &heldBatcher{batches: make(chan Batch, 10), results: make(chan error)}
		b.Batcher, b.observed, _ = newBatcher(func(_ context.Context, batch Batch, starting func(courier.OrderID)) error {
			b.starting = starting
			if !b.holdFetches {
				for _, h := range batch.Hints {
					starting(h.OrderID)
				}
			}
			b.batches <- batch
			select {
			case err := <-b.results:
				return err
			case <-t.Context().Done(): // the test has failed
				return context.Canceled
			}
		}, func(context.Context) {}, 2)
		defer start(t, b.Batcher)()
		time.Sleep(time.Minute) // so that events can be older than the first fetch of the bubble
		test(t, b)
	})
}

// submit submits hints and returns a function that reports the result so far.
func (b *heldBatcher) submit(t *testing.T, hints ...Hint) func() (ended bool, err error) {
	done := make(chan error, 1)
	go func() { done <- b.Submit(t.Context(), Batch{Hints: hints}) }()
	synctest.Wait()
	return func() (bool, error) {
		synctest.Wait()
		select {
		case err := <-done:
			return true, err
		default:
			return false, nil
		}
	}
}

// begun returns how many batches began since the last call.
func (b *heldBatcher) begun() (n int) {
	synctest.Wait()
	for ; len(b.batches) > 0; n++ {
		<-b.batches
	}
	return n
}

// TestEventBeforeTheFetchIsCoalesced: duplicates that arrive while their item is
// processing or done cost nothing, and any other hint gets its own fetch. Each case
// fails when its condition is removed from covers.
func TestEventBeforeTheFetchIsCoalesced(t *testing.T) {
	const before, after = -time.Second, time.Second
	for _, c := range []struct {
		name      string
		first     Hint
		second    Hint
		received  time.Duration // of the second, from the start of the first; 0 means none
		coalesced bool
	}{
		{"arrived before", Hint{EventClass: courier.ClassActive}, Hint{EventClass: courier.ClassActive}, before, true},
		{"lower class", Hint{EventClass: courier.ClassCompleted}, Hint{EventClass: courier.ClassActive}, before, true},
		{"arrived after", Hint{EventClass: courier.ClassActive}, Hint{EventClass: courier.ClassActive}, after, false},
		{"unknown arrival", Hint{EventClass: courier.ClassActive}, Hint{EventClass: courier.ClassActive}, 0, false},
		{"higher class", Hint{EventClass: courier.ClassActive}, Hint{EventClass: courier.ClassCompleted}, before, false},
		{"a claimed recheck", Hint{}, Hint{Token: 7}, before, false},
		{"the resync", Hint{}, Hint{Resync: true}, before, false},
		{"the first is no event", Hint{Token: 7}, Hint{}, before, false},
	} {
		c.first.OrderID, c.second.OrderID = "x", "x"
		begin := func(t *testing.T, b *heldBatcher) (first func() (bool, error)) {
			first = b.submit(t, c.first)
			if c.received != 0 {
				c.second.Received = time.Now().Add(c.received)
			}
			time.Sleep(2 * time.Second)
			if got := b.begun(); got != 1 {
				t.Fatalf("%d batches began, want that of the first", got)
			}
			return first
		}
		more := map[bool]int{true: 0, false: 1}[c.coalesced]
		check := func(t *testing.T, b *heldBatcher, second func() (bool, error)) {
			if ended, err := second(); ended != c.coalesced || err != nil {
				t.Errorf("the second: ended %v, %v", ended, err)
			}
			if got := b.begun(); got != more || b.observed.coalesced != 1-more {
				t.Errorf("%d more fetches and %d coalesced, want %d and %d", got, b.observed.coalesced, more, 1-more)
			}
			for range more {
				b.results <- nil
			}
		}
		t.Run(c.name+", processing", func(t *testing.T) {
			withHeldBatcher(t, func(t *testing.T, b *heldBatcher) {
				first := begin(t, b)
				second := b.submit(t, c.second)
				if ended, _ := second(); ended {
					t.Error("the second ended before the fetch that covers it")
				}
				b.results <- nil
				if ended, err := first(); !ended || err != nil {
					t.Errorf("the first: ended %v, %v", ended, err)
				}
				check(t, b, second)
			})
		})
		t.Run(c.name+", done", func(t *testing.T) {
			withHeldBatcher(t, func(t *testing.T, b *heldBatcher) {
				begin(t, b)
				b.results <- nil
				synctest.Wait()
				second := b.submit(t, c.second)
				check(t, b, second)
			})
		})
	}
}

// TestEventBeforeALaterFetchOfTheBatchIsCoalesced: while a large batch fetches one order
// after the other, events about the later ones need no fetch of their own; once the
// fetch has started they do. It fails when the start of the batch counts instead.
func TestEventBeforeALaterFetchOfTheBatchIsCoalesced(t *testing.T) {
	withHeldBatcher(t, func(t *testing.T, b *heldBatcher) {
		b.holdFetches = true
		b.submit(t, Hint{OrderID: "x", EventClass: courier.ClassActive})
		time.Sleep(time.Second)
		event := func() Hint { return Hint{OrderID: "x", EventClass: courier.ClassActive, Received: time.Now()} }
		before := b.submit(t, event())
		more := b.submit(t, Hint{OrderID: "x", EventClass: courier.ClassCompleted, Received: time.Now()})
		<-b.batches
		b.starting("x")
		time.Sleep(time.Second)
		after := b.submit(t, event())
		b.results <- nil
		if ended, err := before(); !ended || err != nil {
			t.Errorf("the event before the fetch: ended %v, %v", ended, err)
		}
		if b.observed.coalesced != 1 {
			t.Errorf("%d coalesced, want the one before the fetch that states no higher class", b.observed.coalesced)
		}
		if got := b.begun(); got != 1 {
			t.Fatalf("%d more fetches, want one for the others", got)
		}
		b.results <- nil
		for name, result := range map[string]func() (bool, error){"of a higher class": more, "after the fetch": after} {
			if ended, err := result(); !ended || err != nil {
				t.Errorf("the event %s: ended %v, %v", name, ended, err)
			}
		}
		b.submit(t, Hint{OrderID: "not fetched"})
		b.results <- nil
		b.begun()
		b.submit(t, Hint{OrderID: "not fetched", Received: time.Now()})
		if got := b.begun(); got != 1 {
			t.Errorf("after an item without a fetch: %d fetches, want 1", got)
		}
		b.results <- nil
	})
}

// TestOnlyEventsAreCoalescedBeforeTheFetch: an item without an event schedules nothing
// when service-order is unavailable, and a recheck needs its own token. Each case fails
// when its condition is removed from covers.
func TestOnlyEventsAreCoalescedBeforeTheFetch(t *testing.T) {
	for name, c := range map[string]struct{ first, second Hint }{
		"an event, after a claimed recheck": {Hint{Token: 7}, Hint{}},
		"an event, after the resync":        {Hint{Resync: true}, Hint{}},
		"a claimed recheck":                 {Hint{}, Hint{Token: 7}},
		"the resync":                        {Hint{}, Hint{Resync: true}},
	} {
		t.Run(name, func(t *testing.T) {
			withHeldBatcher(t, func(t *testing.T, b *heldBatcher) {
				b.holdFetches = true
				c.first.OrderID, c.second.OrderID = "x", "x"
				b.submit(t, c.first)
				second := b.submit(t, c.second)
				if got := b.begun(); got != 1 {
					t.Fatalf("%d fetches, want that of the first", got)
				}
				b.results <- nil
				if got := b.begun(); got != 1 || b.observed.coalesced != 0 {
					t.Errorf("%d more fetches and %d coalesced, want 1 and 0", got, b.observed.coalesced)
				}
				b.results <- nil
				if ended, err := second(); !ended || err != nil {
					t.Errorf("the second: ended %v, %v", ended, err)
				}
			})
		})
	}
}

// TestFailedItemCoversNothing: each submitter gets the error, and the item is not
// remembered.
func TestFailedItemCoversNothing(t *testing.T) {
	withHeldBatcher(t, func(t *testing.T, b *heldBatcher) {
		outage := errors.New("connection lost")
		event := Hint{OrderID: "x", Received: time.Now().Add(-time.Second)}
		first, second := b.submit(t, event), b.submit(t, event)
		b.begun()
		b.results <- outage
		for _, result := range []func() (bool, error){first, second} {
			if ended, err := result(); !ended || !errors.Is(err, outage) {
				t.Errorf("ended %v, %v", ended, err)
			}
		}
		again := b.submit(t, event)
		if got := b.begun(); got != 1 || b.observed.coalesced != 0 {
			t.Errorf("submitted again: %d fetches, %d coalesced, want 1 and 0", got, b.observed.coalesced)
		}
		b.results <- nil
		if ended, err := again(); !ended || err != nil {
			t.Errorf("again: ended %v, %v", ended, err)
		}
	})
}

// TestOrderIsInOneBatchAtATime: two batches would wait for each other's row. Hints that
// arrive meanwhile are requeued, all at once, and do not delay others.
func TestOrderIsInOneBatchAtATime(t *testing.T) {
	withHeldBatcher(t, func(t *testing.T, b *heldBatcher) {
		first := b.submit(t, Hint{OrderID: "x"})
		b.begun()
		second, third := b.submit(t, Hint{OrderID: "x"}), b.submit(t, Hint{OrderID: "x"}, Hint{OrderID: "y"})
		batch := <-b.batches
		if len(batch.Hints) != 1 || batch.Hints[0].OrderID != "y" {
			t.Errorf("while x is processing, the next batch is %v, want y alone", batch.Hints)
		}
		b.results <- nil // x or y
		b.results <- nil
		batch = <-b.batches
		if len(batch.Hints) != 2 || batch.Hints[0].OrderID != "x" {
			t.Errorf("then the batch is %v, want both hints about x", batch.Hints)
		}
		if ended, _ := third(); ended {
			t.Error("the third ended without its fetch of x")
		}
		b.results <- nil
		for i, result := range []func() (bool, error){first, second, third} {
			if ended, err := result(); !ended || err != nil {
				t.Errorf("submission %d: ended %v, %v", i, ended, err)
			}
		}
	})
}

// TestRefusalConcernsOnlyItsOrders: submitters of the other orders of the batch get no
// error.
func TestRefusalConcernsOnlyItsOrders(t *testing.T) {
	q := newQueue(func(int) {})
	twoRefused := q.add(Batch{Hints: []Hint{{OrderID: "bad"}, {OrderID: "good"}, {OrderID: "worse"}}})
	noneRefused := q.add(Batch{Hints: []Hint{{OrderID: "good"}, {OrderID: "fine"}}, DeadLetters: []DeadLetter{{Offset: 7}}})
	w := q.get()
	if len(w.batch.Hints) != 5 || len(w.batch.DeadLetters) != 1 {
		t.Fatalf("the batch is %v", w.batch)
	}
	cause := errors.New("violates a constraint")
	q.done(w, fmt.Errorf("save: %w", &RefusedError{map[courier.OrderID]error{"bad": cause, "worse": cause}}))
	if err := <-noneRefused; err != nil {
		t.Errorf("the submitter of saved orders gets %v", err)
	}
	err := <-twoRefused
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || len(refused.Orders) != 2 || !errors.Is(refused.Orders["bad"], cause) || !errors.Is(refused.Orders["worse"], cause) {
		t.Errorf("the submitter of two refused orders gets %v", err)
	}
	if q.items["bad"] != nil || q.items["good"] == nil {
		t.Error("the remembered items are not the saved ones")
	}
}

// TestDeadLettersOfABatchAreBounded: a topic full of them does not make one transaction.
func TestDeadLettersOfABatchAreBounded(t *testing.T) {
	q := newQueue(func(int) {})
	for range 5 {
		q.add(Batch{DeadLetters: make([]DeadLetter, 400)})
	}
	for _, want := range []int{1200, 800, 0} {
		if w := q.get(); len(w.batch.DeadLetters) != want {
			t.Errorf("%d dead letters in a batch, want %d", len(w.batch.DeadLetters), want)
		}
	}
}

// TestForgettingKeepsANewerItem: a done item is forgotten while a newer one of the same
// order is processing. Without the comparison in remember the order is in two batches.
func TestForgettingKeepsANewerItem(t *testing.T) {
	q := newQueue(func(int) {})
	get := func(id courier.OrderID) work {
		q.add(Batch{Hints: []Hint{{OrderID: id}}})
		return q.get()
	}
	q.done(get("x"), nil)
	get("x") // and is processing for long
	for i := range maxRecent {
		q.done(get(courier.OrderID(fmt.Sprint(i))), nil)
	}
	if w := get("x"); len(w.items) != 0 {
		t.Error("the order is in two batches at a time")
	}
}

// TestDoneItemsAreBounded: a flood of orders does not fill the memory.
func TestDoneItemsAreBounded(t *testing.T) {
	q := newQueue(func(int) {})
	for i := range maxRecent + 100 {
		done := q.add(Batch{Hints: []Hint{{OrderID: courier.OrderID(fmt.Sprint(i))}}})
		q.done(q.get(), nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if len(q.items) != maxRecent {
		t.Errorf("%d items are remembered, want %d", len(q.items), maxRecent)
	}
	if q.items["99"] != nil || q.items["100"] == nil {
		t.Error("not the oldest items were forgotten")
	}
}

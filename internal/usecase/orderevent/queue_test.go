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

// desk is a Coalescer whose batches wait for the test to end them. Their GETs begin
// at once, unless the test holds them.
type desk struct {
	*Coalescer
	batches  chan Batch
	results  chan error
	holdGETs bool
	served   int
}

// atDesk runs test in a bubble, beside a Coalescer with two workers.
func atDesk(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{batches: make(chan Batch, 10), results: make(chan error)}
		d.Coalescer = NewCoalescer(func(_ context.Context, b Batch) error {
			if !d.holdGETs {
				for _, h := range b.Hints {
					b.Asking(h.OrderID)
				}
			}
			d.batches <- b
			select {
			case err := <-d.results:
				return err
			case <-t.Context().Done(): // a test that has failed
				return context.Canceled
			}
		}, func(context.Context) {}, 2, func(hints int) { d.served += hints })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); d.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		time.Sleep(time.Minute) // so that events can be older than the bubble's first look
		test(t, d)
	})
}

// submit hands hints over, and returns what becomes of them: nothing yet, or an error.
func (d *desk) submit(t *testing.T, hints ...Hint) func() (ended bool, err error) {
	done := make(chan error, 1)
	go func() { done <- d.Submit(t.Context(), Batch{Hints: hints}) }()
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

// inHand returns how many batches were begun since it was asked last.
func (d *desk) inHand() (n int) {
	synctest.Wait()
	for ; len(d.batches) > 0; n++ {
		<-d.batches
	}
	return n
}

// TestEventIsServedByALookThatBeganAfterItCame: duplicates that come after their
// order was taken in hand cost nothing, and nothing else is spared its look. Each
// case fails when its condition is taken out of serves.
func TestEventIsServedByALookThatBeganAfterItCame(t *testing.T) {
	const before, after = -time.Second, time.Second
	for _, c := range []struct {
		name     string
		first    Hint
		second   Hint
		received time.Duration // of the second, from when the first was taken; 0 means none
		serves   bool
	}{
		{"came before", Hint{Said: courier.ClassActive}, Hint{Said: courier.ClassActive}, before, true},
		{"claims less", Hint{Said: courier.ClassCompleted}, Hint{Said: courier.ClassActive}, before, true},
		{"came after", Hint{Said: courier.ClassActive}, Hint{Said: courier.ClassActive}, after, false},
		{"when is not known", Hint{Said: courier.ClassActive}, Hint{Said: courier.ClassActive}, 0, false},
		{"claims more", Hint{Said: courier.ClassActive}, Hint{Said: courier.ClassCompleted}, before, false},
		{"a claimed look", Hint{}, Hint{Token: 7}, before, false},
		{"the sweep", Hint{}, Hint{Sweep: true}, before, false},
		{"the look was no event's", Hint{Token: 7}, Hint{}, before, false},
	} {
		c.first.OrderID, c.second.OrderID = "x", "x"
		begin := func(t *testing.T, d *desk) (first func() (bool, error)) {
			first = d.submit(t, c.first)
			if c.received != 0 {
				c.second.Received = time.Now().Add(c.received)
			}
			time.Sleep(2 * time.Second)
			if got := d.inHand(); got != 1 {
				t.Fatalf("%d batches in hand, want that of the first", got)
			}
			return first
		}
		more := map[bool]int{true: 0, false: 1}[c.serves]
		check := func(t *testing.T, d *desk, second func() (bool, error)) {
			if ended, err := second(); ended != c.serves || err != nil {
				t.Errorf("the second: ended %v, %v", ended, err)
			}
			if got := d.inHand(); got != more || d.served != 1-more {
				t.Errorf("%d more looks and %d served, want %d and %d", got, d.served, more, 1-more)
			}
			for range more {
				d.results <- nil
			}
		}
		t.Run(c.name+", in hand", func(t *testing.T) {
			atDesk(t, func(t *testing.T, d *desk) {
				first := begin(t, d)
				second := d.submit(t, c.second)
				if ended, _ := second(); ended {
					t.Error("the second ended before the look that serves it did")
				}
				d.results <- nil
				if ended, err := first(); !ended || err != nil {
					t.Errorf("the first: ended %v, %v", ended, err)
				}
				check(t, d, second)
			})
		})
		t.Run(c.name+", settled", func(t *testing.T) {
			atDesk(t, func(t *testing.T, d *desk) {
				begin(t, d)
				d.results <- nil
				synctest.Wait()
				second := d.submit(t, c.second)
				check(t, d, second)
			})
		})
	}
}

// TestEventIsServedByALookThatIsToBegin: while a large batch asks for one order after
// the other, what comes of those behind needs no look of its own; once the GET has
// begun it does. It fails when the moment at which the batch was taken counts instead.
func TestEventIsServedByALookThatIsToBegin(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		d.holdGETs = true
		d.submit(t, Hint{OrderID: "x", Said: courier.ClassActive})
		time.Sleep(time.Second)
		event := func() Hint { return Hint{OrderID: "x", Said: courier.ClassActive, Received: time.Now()} }
		inTime := d.submit(t, event())
		more := d.submit(t, Hint{OrderID: "x", Said: courier.ClassCompleted, Received: time.Now()})
		(<-d.batches).Asking("x")
		time.Sleep(time.Second)
		late := d.submit(t, event())
		d.results <- nil
		if ended, err := inTime(); !ended || err != nil {
			t.Errorf("the event before the GET: ended %v, %v", ended, err)
		}
		if d.served != 1 {
			t.Errorf("%d served, want the one before the GET that claims no more", d.served)
		}
		if got := d.inHand(); got != 1 {
			t.Fatalf("%d more looks, want one for the others", got)
		}
		d.results <- nil
		for name, outcome := range map[string]func() (bool, error){"that claims more": more, "after the GET": late} {
			if ended, err := outcome(); !ended || err != nil {
				t.Errorf("the event %s: ended %v, %v", name, ended, err)
			}
		}
		d.submit(t, Hint{OrderID: "never asked"})
		d.results <- nil
		d.inHand()
		d.submit(t, Hint{OrderID: "never asked", Received: time.Now()})
		if got := d.inHand(); got != 1 {
			t.Errorf("after a look without a GET: %d looks, want 1", got)
		}
		d.results <- nil
	})
}

// TestLookThatIsToBeginServesEventsOnly: a look that no event asked for schedules
// nothing when service-order is away, and a look of our own is about its token. Each
// case fails when its condition is taken out of serves.
func TestLookThatIsToBeginServesEventsOnly(t *testing.T) {
	for name, c := range map[string]struct{ first, second Hint }{
		"an event, by a claimed look": {Hint{Token: 7}, Hint{}},
		"an event, by the sweep's":    {Hint{Sweep: true}, Hint{}},
		"a claimed look":              {Hint{}, Hint{Token: 7}},
		"the sweep":                   {Hint{}, Hint{Sweep: true}},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(t *testing.T, d *desk) {
				d.holdGETs = true
				c.first.OrderID, c.second.OrderID = "x", "x"
				d.submit(t, c.first)
				second := d.submit(t, c.second)
				if got := d.inHand(); got != 1 {
					t.Fatalf("%d looks, want that of the first", got)
				}
				d.results <- nil
				if got := d.inHand(); got != 1 || d.served != 0 {
					t.Errorf("%d more looks and %d served, want 1 and 0", got, d.served)
				}
				d.results <- nil
				if ended, err := second(); !ended || err != nil {
					t.Errorf("the second: ended %v, %v", ended, err)
				}
			})
		})
	}
}

// TestLookThatFailsServesNobody: whoever shared it learns so, and it is not remembered.
func TestLookThatFailsServesNobody(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		away := errors.New("the database is away")
		event := Hint{OrderID: "x", Received: time.Now().Add(-time.Second)}
		first, second := d.submit(t, event), d.submit(t, event)
		d.inHand()
		d.results <- away
		for _, outcome := range []func() (bool, error){first, second} {
			if ended, err := outcome(); !ended || !errors.Is(err, away) {
				t.Errorf("ended %v, %v", ended, err)
			}
		}
		again := d.submit(t, event)
		if got := d.inHand(); got != 1 || d.served != 0 {
			t.Errorf("submitted again: %d looks, %d served, want 1 and 0", got, d.served)
		}
		d.results <- nil
		if ended, err := again(); !ended || err != nil {
			t.Errorf("again: ended %v, %v", ended, err)
		}
	})
}

// TestOrderIsInOneBatchAtATime: two would wait for each other's row. What came
// meanwhile is taken afterwards, all at once, and others do not wait for it.
func TestOrderIsInOneBatchAtATime(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		first := d.submit(t, Hint{OrderID: "x"})
		d.inHand()
		second, third := d.submit(t, Hint{OrderID: "x"}), d.submit(t, Hint{OrderID: "x"}, Hint{OrderID: "y"})
		b := <-d.batches
		if len(b.Hints) != 1 || b.Hints[0].OrderID != "y" {
			t.Errorf("beside x in hand, %v were taken, want y alone", b.Hints)
		}
		d.results <- nil // x or y
		d.results <- nil
		b = <-d.batches
		if len(b.Hints) != 2 || b.Hints[0].OrderID != "x" {
			t.Errorf("then %v were taken, want both hints of x", b.Hints)
		}
		if ended, _ := third(); ended {
			t.Error("the third has ended without its look at x")
		}
		d.results <- nil
		for i, outcome := range []func() (bool, error){first, second, third} {
			if ended, err := outcome(); !ended || err != nil {
				t.Errorf("submission %d: ended %v, %v", i, ended, err)
			}
		}
	})
}

// TestRefusalIsTheRefusedOrdersAlone: whoever submitted others of the batch is not
// told of it, and need do nothing.
func TestRefusalIsTheRefusedOrdersAlone(t *testing.T) {
	q := newQueue(func(int) {})
	twoRefused := q.add(Batch{Hints: []Hint{{OrderID: "bad"}, {OrderID: "good"}, {OrderID: "worse"}}})
	noneRefused := q.add(Batch{Hints: []Hint{{OrderID: "good"}, {OrderID: "fine"}}, Letters: []DeadLetter{{Offset: 7}}})
	w, b := q.take()
	if len(b.Hints) != 5 || len(b.Letters) != 1 {
		t.Fatalf("the batch is %v", b)
	}
	why := errors.New("a value is in the way")
	q.finish(w, fmt.Errorf("save: %w", &RefusedError{map[courier.OrderID]error{"bad": why, "worse": why}}))
	if err := <-noneRefused; err != nil {
		t.Errorf("whose orders were saved learns %v", err)
	}
	err := <-twoRefused
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || len(refused.Orders) != 2 || !errors.Is(refused.Orders["bad"], why) || !errors.Is(refused.Orders["worse"], why) {
		t.Errorf("whose two orders were refused learns %v", err)
	}
	if q.turns["bad"] != nil || q.turns["good"] == nil {
		t.Error("what is remembered is not what was saved")
	}
}

// TestLettersOfABatchAreBounded: a topic full of them does not make one transaction.
func TestLettersOfABatchAreBounded(t *testing.T) {
	q := newQueue(func(int) {})
	for range 5 {
		q.add(Batch{Letters: make([]DeadLetter, 400)})
	}
	for _, want := range []int{1200, 800, 0} {
		if _, b := q.take(); len(b.Letters) != want {
			t.Errorf("%d letters in a batch, want %d", len(b.Letters), want)
		}
	}
}

// TestForgettingALookLeavesTheNewerOne: what goes is a settled look, not its order, of
// which another may be in hand. Without the comparison in remember the order is in two
// batches at a time.
func TestForgettingALookLeavesTheNewerOne(t *testing.T) {
	q := newQueue(func(int) {})
	take := func(id courier.OrderID) taken {
		q.add(Batch{Hints: []Hint{{OrderID: id}}})
		w, _ := q.take()
		return w
	}
	q.finish(take("x"), nil)
	take("x") // and it is in hand for long
	for i := range maxSettled {
		q.finish(take(courier.OrderID(fmt.Sprint(i))), nil)
	}
	if w := take("x"); len(w.turns) != 0 {
		t.Error("the order is in two batches at a time")
	}
}

// TestSettledLooksAreBounded: a flood of orders does not grow the memory for ever.
func TestSettledLooksAreBounded(t *testing.T) {
	q := newQueue(func(int) {})
	for i := range maxSettled + 100 {
		done := q.add(Batch{Hints: []Hint{{OrderID: courier.OrderID(fmt.Sprint(i))}}})
		w, _ := q.take()
		q.finish(w, nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if len(q.turns) != maxSettled {
		t.Errorf("%d looks are remembered, want %d", len(q.turns), maxSettled)
	}
	if q.turns["99"] != nil || q.turns["100"] == nil {
		t.Error("the oldest are not those that went")
	}
}

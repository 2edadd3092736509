package orderevent

import (
	"errors"
	"slices"
	"sync"
	"time"

	"service-courier/internal/courier"
)

// maxSettled bounds the looks that are remembered after their COMMIT: about as
// many as events are in memory at a time, and a megabyte.
const maxSettled = 8_192

// queue is where hints wait for their batch, by order. An order is in one batch
// of this process at a time: two would wait for each other's row, or race to make
// it. What comes of it meanwhile waits for the next batch, unless the look in hand
// serves it.
// The shape is that of the work queues of Kubernetes' controllers.
type queue struct {
	mu      sync.Mutex
	turns   map[courier.OrderID]*turn // the latest of each order
	line    []*turn                   // those that wait, in order of arrival
	letters []ownedLetters
	settled [maxSettled]*turn // a ring
	oldest  int               // in settled
	served  func(hints int)
}

// turn is one look at one order, from the first hint of it to the COMMIT.
type turn struct {
	orderID courier.OrderID
	stage   stage
	hints   []owned
	fresh   bool          // an event is among the hints that it was taken in hand with
	said    courier.Class // the most that they claimed
	asked   time.Time     // when the GET began; zero until then
	serving int           // hints that came since it was taken in hand and are served
	next    []owned       // hints that came since then and want a look of their own
}

type stage uint8

const (
	stageWaiting stage = iota
	stageInHand
	stageSettled
)

// owned is a hint with whom it is from.
type owned struct {
	hint Hint
	from *submission
}

type ownedLetters struct {
	letters []DeadLetter
	from    *submission
}

// submission waits for its parts, which may be in several batches.
type submission struct {
	left int
	err  error
	done chan error // buffered: the submitter may have left
}

// dispose ends a part of it.
func (s *submission) dispose(err error) {
	s.err = join(s.err, err)
	s.left--
	if s.left == 0 {
		s.done <- s.err
	}
}

func newQueue(served func(hints int)) *queue {
	return &queue{turns: make(map[courier.OrderID]*turn), served: served}
}

// add puts a batch in line. The channel tells, once, what became of it.
func (q *queue) add(b Batch) <-chan error {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &submission{left: len(b.Hints), done: make(chan error, 1)}
	if len(b.Letters) > 0 {
		s.left++
		q.letters = append(q.letters, ownedLetters{b.Letters, s})
	}
	for _, h := range b.Hints {
		q.addHint(owned{h, s})
	}
	return s.done
}

func (q *queue) addHint(o owned) {
	t := q.turns[o.hint.OrderID]
	switch {
	case t == nil:
		q.wait(o.hint.OrderID, []owned{o})
	case t.stage == stageWaiting:
		t.hints = append(t.hints, o)
	case t.stage == stageInHand && t.serves(o.hint):
		t.hints = append(t.hints, o)
		t.serving++
	case t.stage == stageInHand:
		t.next = append(t.next, o)
	case t.serves(o.hint):
		q.served(1)
		o.from.dispose(nil)
	default:
		q.wait(o.hint.OrderID, []owned{o})
	}
}

// serves reports whether an event needs no look but this one: it has come before
// the GET begins, so the answer tells of its change too, and nothing about it would
// be scheduled that was not scheduled for the others. The GETs of a large batch begin
// one after the other, while more comes of its orders.
func (t *turn) serves(h Hint) bool {
	toBegin := t.stage == stageInHand && t.asked.IsZero()
	before := !h.Received.IsZero() && h.Received.Before(t.asked)
	return (toBegin || before) && h.event() && t.fresh && h.Said <= t.said
}

// asking notes that the GET about an order in hand begins.
func (q *queue) asking(id courier.OrderID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turns[id].asked = time.Now()
}

func (q *queue) wait(id courier.OrderID, hints []owned) {
	t := &turn{orderID: id, hints: hints}
	q.turns[id] = t
	q.line = append(q.line, t)
}

// taken is what a worker has in hand.
type taken struct {
	turns   []*turn
	letters []ownedLetters
}

// take takes the first in line, about maxBatch orders and as many letters. A
// submission's orders are not parted: of two batches the later may be saved first,
// and a partition's orders would come into line in another order than they came.
func (q *queue) take() (taken, Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var w taken
	b := Batch{Asking: q.asking}
	n := min(len(q.line), maxBatch)
	for n > 0 && n < len(q.line) && q.line[n].hints[0].from == q.line[n-1].hints[0].from {
		n++
	}
	w.turns = slices.Clone(q.line[:n])
	q.line = slices.Delete(q.line, 0, n)
	for _, t := range w.turns {
		t.stage = stageInHand
		for _, o := range t.hints {
			t.fresh = t.fresh || o.hint.event()
			t.said = max(t.said, o.hint.Said)
			b.Hints = append(b.Hints, o.hint)
		}
	}
	for len(q.letters) > 0 && len(b.Letters) < maxBatch {
		w.letters = append(w.letters, q.letters[0])
		b.Letters = append(b.Letters, q.letters[0].letters...)
		q.letters = slices.Delete(q.letters, 0, 1)
	}
	return w, b
}

// finish tells everybody what became of it, and puts in line what came meanwhile.
// Only what was saved is remembered.
func (q *queue) finish(w taken, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range w.turns {
		failed := errorOf(t.orderID, err)
		for _, o := range t.hints {
			o.from.dispose(failed)
		}
		if failed == nil && t.serving > 0 {
			q.served(t.serving)
		}
		t.hints = nil
		switch {
		case len(t.next) > 0:
			q.wait(t.orderID, t.next)
			t.next = nil
		case failed == nil:
			q.remember(t)
		default:
			delete(q.turns, t.orderID)
		}
	}
	for _, l := range w.letters {
		l.from.dispose(errorOf("", err))
	}
}

// remember keeps a settled turn, and forgets the one that is kept longest.
func (q *queue) remember(t *turn) {
	t.stage = stageSettled
	if old := q.settled[q.oldest]; old != nil && q.turns[old.orderID] == old {
		delete(q.turns, old.orderID)
	}
	q.settled[q.oldest] = t
	q.oldest = (q.oldest + 1) % maxSettled
}

// idle reports that nothing waits.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.line)+len(q.letters) == 0
}

// errorOf returns what the error of a batch says of one of its orders: of a
// refusal only the refused ones.
func errorOf(id courier.OrderID, err error) error {
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok {
		return err
	}
	if why, is := refused.Orders[id]; is {
		return &RefusedError{map[courier.OrderID]error{id: why}}
	}
	return nil
}

package orderevent

import (
	"errors"
	"slices"
	"sync"
	"time"

	"service-courier/internal/courier"
)

// queue is a work queue like those of Kubernetes controllers: workers add, get and
// done. An order is one item, which is queued, processing or done. An item is never
// processed twice at once, since two batches would wait for each other's row or race
// to insert it; it is queued again when hints arrived while it was processing. A hint
// that arrived before the item's fetch began is coalesced: the answer covers it.
type queue struct {
	mu          sync.Mutex
	items       map[courier.OrderID]*item // the latest of each order
	queued      []*item                   // in order of arrival
	deadLetters []pendingDeadLetters
	recent      [maxRecent]*item // ring of done items, for hints that arrive late
	oldest      int              // in recent
	coalesced   func(hints int)  // reports hints that needed no batch
}

// maxRecent bounds the done items that are remembered: about as many as there are
// events in memory at a time. They take about a megabyte.
const maxRecent = 8_192

// item is one order, from its first hint to the COMMIT.
type item struct {
	orderID      courier.OrderID
	state        itemState
	hints        []pendingHint // answered when the item is done
	event        bool          // an event was among its hints when a worker got it
	eventClass   courier.Class // the highest one of those hints
	fetchStarted time.Time     // zero before the fetch
	coalesced    int           // hints coalesced while processing
	requeue      []pendingHint // hints that arrived while processing and need another fetch
}

type itemState uint8

const (
	stateQueued itemState = iota
	stateProcessing
	stateDone
)

// pendingHint is a hint whose submission waits for the result.
type pendingHint struct {
	hint       Hint
	submission *submission
}

type pendingDeadLetters struct {
	deadLetters []DeadLetter
	submission  *submission
}

// submission waits for its parts, which may be in several batches.
type submission struct {
	remaining int
	err       error
	result    chan error // buffered: the submitter may have left
}

// finish records the result of one part.
func (s *submission) finish(err error) {
	s.err = joinRefusals(s.err, err)
	s.remaining--
	if s.remaining == 0 {
		s.result <- s.err
	}
}

func newQueue(coalesced func(hints int)) *queue {
	return &queue{items: make(map[courier.OrderID]*item), coalesced: coalesced}
}

// add queues a batch. The channel returns the result of the whole batch, once.
func (q *queue) add(b Batch) <-chan error {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &submission{remaining: len(b.Hints), result: make(chan error, 1)}
	if len(b.DeadLetters) > 0 {
		s.remaining++
		q.deadLetters = append(q.deadLetters, pendingDeadLetters{b.DeadLetters, s})
	}
	for _, h := range b.Hints {
		q.addHint(pendingHint{h, s})
	}
	return s.result
}

func (q *queue) addHint(p pendingHint) {
	it := q.items[p.hint.OrderID]
	switch {
	case it == nil:
		q.enqueue(p.hint.OrderID, []pendingHint{p})
	case it.state == stateQueued:
		it.hints = append(it.hints, p)
	case it.state == stateProcessing && it.covers(p.hint):
		it.hints = append(it.hints, p)
		it.coalesced++
	case it.state == stateProcessing:
		it.requeue = append(it.requeue, p)
	case it.covers(p.hint):
		q.coalesced(1)
		p.submission.finish(nil)
	default:
		q.enqueue(p.hint.OrderID, []pendingHint{p})
	}
}

// covers reports whether the item's fetch also answers this event: the event arrived
// before the fetch began, and causes no recheck that the item's other hints do not cause.
// The fetches of a large batch begin one after the other while more events arrive.
func (it *item) covers(h Hint) bool {
	notFetched := it.state == stateProcessing && it.fetchStarted.IsZero()
	arrivedBefore := !h.Received.IsZero() && h.Received.Before(it.fetchStarted)
	return (notFetched || arrivedBefore) && h.isEvent() && it.event && h.EventClass <= it.eventClass
}

// fetchStarting marks that the fetch of a processing item begins now.
func (q *queue) fetchStarting(id courier.OrderID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items[id].fetchStarted = time.Now()
}

func (q *queue) enqueue(id courier.OrderID, hints []pendingHint) {
	it := &item{orderID: id, hints: hints}
	q.items[id] = it
	q.queued = append(q.queued, it)
}

// work is what one worker processes.
type work struct {
	batch       Batch
	items       []*item
	deadLetters []pendingDeadLetters
}

// get takes the first queued items, about maxBatch of them, and as many dead letters.
// The items of one submission stay together: of two batches the later may be saved
// first, and the orders of a partition would lose their order in the waiting queue.
func (q *queue) get() work {
	q.mu.Lock()
	defer q.mu.Unlock()
	var w work
	n := min(len(q.queued), maxBatch)
	for n > 0 && n < len(q.queued) && q.queued[n].hints[0].submission == q.queued[n-1].hints[0].submission {
		n++
	}
	w.items = slices.Clone(q.queued[:n])
	q.queued = slices.Delete(q.queued, 0, n)
	for _, it := range w.items {
		it.state = stateProcessing
		for _, p := range it.hints {
			it.event = it.event || p.hint.isEvent()
			it.eventClass = max(it.eventClass, p.hint.EventClass)
			w.batch.Hints = append(w.batch.Hints, p.hint)
		}
	}
	for len(q.deadLetters) > 0 && len(w.batch.DeadLetters) < maxBatch {
		w.deadLetters = append(w.deadLetters, q.deadLetters[0])
		w.batch.DeadLetters = append(w.batch.DeadLetters, q.deadLetters[0].deadLetters...)
		q.deadLetters = slices.Delete(q.deadLetters, 0, 1)
	}
	return w
}

// done answers the submissions and requeues the items that got more hints. Only items
// that were saved are remembered.
func (q *queue) done(w work, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range w.items {
		itemErr := resultOf(it.orderID, err)
		for _, p := range it.hints {
			p.submission.finish(itemErr)
		}
		if itemErr == nil && it.coalesced > 0 {
			q.coalesced(it.coalesced)
		}
		it.hints = nil
		switch {
		case len(it.requeue) > 0:
			q.enqueue(it.orderID, it.requeue)
			it.requeue = nil
		case itemErr == nil:
			q.remember(it)
		default:
			delete(q.items, it.orderID)
		}
	}
	for _, p := range w.deadLetters {
		p.submission.finish(resultOf("", err))
	}
}

// remember keeps a done item and forgets the oldest one, unless that order has a newer
// item.
func (q *queue) remember(it *item) {
	it.state = stateDone
	if evicted := q.recent[q.oldest]; evicted != nil && q.items[evicted.orderID] == evicted {
		delete(q.items, evicted.orderID)
	}
	q.recent[q.oldest] = it
	q.oldest = (q.oldest + 1) % maxRecent
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queued)+len(q.deadLetters) == 0
}

// resultOf returns what the error of a batch means for one of its orders: a
// RefusedError concerns only the orders it names.
func resultOf(id courier.OrderID, err error) error {
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok {
		return err
	}
	if cause, isRefused := refused.Orders[id]; isRefused {
		return refuse(id, cause)
	}
	return nil
}

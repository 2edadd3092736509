package orderevent

import (
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
)

// Hint says: check this order.
type Hint struct {
	OrderID    courier.OrderID
	EventClass courier.Class // of the status in the event; ClassUnknown for any other hint
	Token      int64         // of the claimed recheck; 0 for any other hint
	Resync     bool          // from the resync, which repeats itself: nothing is scheduled for it
	Source     string        // for the journal: partition@offset, or the name of the task
	Trace      []byte        // the record's W3C traceparent as it arrived; nil when it has none
	// Received is when an event arrived in this process, by its monotonic clock: a
	// fetch that starts later covers it. With zero, only a fetch that has not started
	// when the hint is submitted does.
	Received time.Time
}

// isEvent reports whether the hint comes from an event, not from a recheck or the resync.
func (h Hint) isEvent() bool { return h.Token == 0 && !h.Resync }

// DeadLetter is a record that can never be processed; a batch sets the fields up to
// Detail.
type DeadLetter = deadletters.DeadLetter

// Batch is what is submitted together, or reconciled in one transaction.
type Batch struct {
	Hints       []Hint // those of one order in order of arrival
	DeadLetters []DeadLetter
}

func (b Batch) size() int { return len(b.Hints) + len(b.DeadLetters) }

// mergedHint is all that the hints of a batch say about one order.
type mergedHint struct {
	orderID    courier.OrderID
	hints      int           // how many were merged
	eventClass courier.Class // the highest one
	token      int64         // of the claimed recheck; 0 when there is none
	event      bool          // at least one hint is an event
	command    bool          // for a command, whose caller gets the answer: nothing is scheduled for it
	source     string        // of the latest event, or else of the latest hint
}

// mergeHints makes one hint per order, in order of arrival. Correctness needs it:
// one statement cannot save the same order twice. Only hints that arrived before
// the fetch may be merged, since the answer does not cover later changes.
func mergeHints(hints []Hint) []mergedHint {
	merged := make([]mergedHint, 0, len(hints))
	index := make(map[courier.OrderID]int, len(hints))
	for _, h := range hints {
		i, known := index[h.OrderID]
		if !known {
			i = len(merged)
			index[h.OrderID] = i
			merged = append(merged, mergedHint{orderID: h.OrderID})
		}
		m := &merged[i]
		m.hints++
		m.eventClass = max(m.eventClass, h.EventClass)
		m.token = max(m.token, h.Token)
		if h.isEvent() || !m.event {
			m.source = h.Source
		}
		m.event = m.event || h.isEvent()
	}
	return merged
}

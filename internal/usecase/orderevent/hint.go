package orderevent

import (
	"time"

	"service-courier/internal/courier"
)

// Hint says: look at this order again.
type Hint struct {
	OrderID courier.OrderID
	Said    courier.Class // what an event claimed; ClassUnknown when it was no event
	Token   int64         // of the look that was claimed; 0 for any other hint
	Sweep   bool          // of the sweep, which comes again by itself: nothing is scheduled for it
	Source  string        // for the journal: partition@offset, or the worker's name
	Trace   []byte        // the record's W3C traceparent, as it came; nil when it has none
	// Received is when an event came into this process, by its monotonic clock: a GET
	// that begins later serves it. Zero: only one that has not begun when it is submitted does.
	Received time.Time
}

// event reports that somebody told of the order; else it is a look of our own.
func (h Hint) event() bool { return h.Token == 0 && !h.Sweep }

// DeadLetter is a record that can never be processed, byte for byte.
type DeadLetter struct {
	Topic      string
	Partition  int32
	Offset     int64
	ProducedAt time.Time // the record's own time, as Kafka has it
	Key        []byte
	Payload    []byte
	Headers    []Header
	Reason     string // one of a few constant words, to filter by
	Detail     string // what exactly was wrong
}

// Header is a header of a Kafka record.
type Header struct{ Key, Value []byte }

// Batch is what is submitted together, or reconciled in one transaction.
type Batch struct {
	Hints   []Hint // those of one order in order of arrival
	Letters []DeadLetter
	// Asking is called when the GET about an order of the batch begins: what has come
	// of it until then is served by that GET. Nil where nobody wants to know.
	Asking func(courier.OrderID)
}

func (b Batch) size() int { return len(b.Hints) + len(b.Letters) }

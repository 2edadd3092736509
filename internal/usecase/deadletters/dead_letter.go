// Package deadletters is the use case of an operator who handles records that can
// never be processed: inspect, edit, redrive or discard them.
//
//	pending ──redrive──► redriven
//	   └─────discard───► discarded
//
// A handled dead letter is kept for KeepHandled. Redriving publishes the record to the
// order topic, and marks the dead letter only after the acknowledgement. A crash in
// between repeats the record, which is harmless, because an event is only a hint; marking
// first could lose it. A record that fails again becomes a new dead letter; the header
// HeaderRedrives counts its redrives.
//
// The package knows no Kafka and no SQL. A batch of order events creates dead letters.
package deadletters

import (
	"context"
	"errors"
	"strconv"
	"time"
)

const (
	// MaxRedrives is how often one record is redriven. An edit resets the count.
	MaxRedrives = 5
	// KeepHandled is how long a handled dead letter is kept.
	KeepHandled = 30 * 24 * time.Hour
	// HeaderRedrives is the Kafka header that counts the redrives of a record.
	HeaderRedrives = "service-courier-redrives"
)

// Errors that callers distinguish.
var (
	ErrNotFound     = errors.New("no such dead letter")
	ErrHandled      = errors.New("the dead letter is already handled")
	ErrChanged      = errors.New("the dead letter has changed")
	ErrRedriveLimit = errors.New("the dead letter was redriven too often: edit or discard it")
	ErrNoRecord     = errors.New("the dead letter is a batch that was not decoded: discard it, or edit it to redrive one record")
	// ErrNotPublished means that Kafka did not acknowledge the record.
	ErrNotPublished = errors.New("the record was not acknowledged by Kafka")
	// ErrUnreachable means that no broker answered: the next record would not be published
	// either.
	ErrUnreachable = errors.New("no broker answers")
	// ErrForbidden means that the Kafka user lacks a permission.
	ErrForbidden = errors.New("the Kafka user of this service may not write to the topic")
)

// Status is the status of a dead letter.
type Status string

// The statuses.
const (
	Pending   Status = "pending"
	Redriven  Status = "redriven"
	Discarded Status = "discarded"
)

// Header is a header of a Kafka record.
type Header struct{ Key, Value []byte }

// DeadLetter is a record that can never be processed, byte for byte, and how it was
// handled. A batch sets the fields up to Detail. Key, Payload and Original are nil
// where the record has none.
type DeadLetter struct {
	Topic      string
	Partition  int32
	Offset     int64
	ProducedAt time.Time // timestamp of the record
	Key        []byte
	Payload    []byte // with the last edit
	Headers    []Header
	Reason     string // one of Reasons
	Detail     string // why processing failed

	ID        int64
	CreatedAt time.Time
	Original  []byte // payload as read from the topic
	Redrives  int    // of the record, before it became this dead letter
	Status    Status
	HandledAt time.Time // zero while pending
	EditedAt  time.Time // zero if never edited
}

// Summary is a dead letter in a list.
type Summary struct {
	ID        int64
	Partition int32
	Offset    int64
	CreatedAt time.Time
	Reason    string
	Redrives  int
	Status    Status
	Edited    bool
	Preview   []byte // first bytes of the payload
	Size      int    // of the payload, in bytes
}

// CountRedrives reads how often a record was redriven. An invalid count is 0: any
// producer may write headers, and the count decides only when redriving stops.
func CountRedrives(headers []Header) int {
	redrives := 0
	for _, h := range headers {
		if string(h.Key) != HeaderRedrives {
			continue
		}
		if n, err := strconv.ParseUint(string(h.Value), 10, 15); err == nil {
			redrives = max(redrives, int(n))
		}
	}
	return redrives
}

// record is what a redrive publishes: the record with its edited payload and one more
// redrive.
func (l DeadLetter) record() Record {
	r := Record{Key: l.Key, Payload: l.Payload, Headers: make([]Header, 0, len(l.Headers)+1)}
	for _, h := range l.Headers {
		if string(h.Key) != HeaderRedrives {
			r.Headers = append(r.Headers, h)
		}
	}
	r.Headers = append(r.Headers, Header{[]byte(HeaderRedrives), strconv.AppendInt(nil, int64(l.Redrives)+1, 10)})
	return r
}

// Store stores dead letters.
type Store interface {
	// Last returns the highest id; 0 without dead letters.
	Last(ctx context.Context) (int64, error)
	// Count counts the dead letters of a Filter.
	Count(ctx context.Context, f Filter) (int, error)
	// Page returns at most limit dead letters of a Filter with after < id <= upTo, lowest
	// first.
	Page(ctx context.Context, f Filter, after, upTo int64, limit int) ([]Summary, error)
	// Get returns one dead letter, or ErrNotFound.
	Get(ctx context.Context, id int64) (DeadLetter, error)
	// Edit replaces the payload of l and resets its redrives; ErrChanged unless it is
	// pending and unchanged since it was read.
	Edit(ctx context.Context, l DeadLetter, payload []byte) error
	// Mark sets the status of l; ErrChanged unless it is pending and unchanged since it
	// was read.
	Mark(ctx context.Context, l DeadLetter, as Status) error
	// Purge deletes at most limit dead letters that were handled longer ago than age.
	Purge(ctx context.Context, age time.Duration, limit int) (int, error)
}

// Publisher publishes records to the order topic.
type Publisher interface {
	// Publish returns when every in-sync replica has the record. After an error the
	// record may or may not be published.
	Publish(ctx context.Context, r Record) (RecordPosition, error)
}

// Record is what is published.
type Record struct {
	Key, Payload []byte
	Headers      []Header
}

// RecordPosition is where a record is in its topic.
type RecordPosition struct {
	Partition int32
	Offset    int64
}

// Filter selects dead letters by reason and status.
type Filter struct {
	Reason  string // empty: any
	Handled bool   // handled instead of pending
}

// Selection selects the dead letters of a command: exactly one field is set, so that
// an empty selection never means all.
type Selection struct {
	IDs    []int64
	Reason string
	All    bool
}

// Validate returns an error unless exactly one field is set.
func (s Selection) Validate() error {
	ways := 0
	for _, set := range []bool{len(s.IDs) > 0, s.Reason != "", s.All} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("select dead letters by their ids, by --reason, or with --all: exactly one of these")
	}
	return nil
}

package deadletters

import (
	"errors"
	"strconv"
	"time"
)

const (
	// MaxRounds is how often one record is redriven; then only an edit, which
	// begins the count anew, or a drop gets rid of it.
	MaxRounds = 5
	// KeepHandled is how long a letter is kept after it was handled.
	KeepHandled = 30 * 24 * time.Hour
	// HeaderRounds is the Kafka header that counts a record's rounds.
	HeaderRounds = "service-courier-redrives"
)

// The errors that a caller may want to tell apart.
var (
	ErrNotFound = errors.New("no such dead letter")
	ErrHandled  = errors.New("the dead letter is handled already")
	// ErrChanged says that somebody edited or handled the letter meanwhile.
	ErrChanged = errors.New("somebody changed the dead letter meanwhile: look at it again")
	// ErrRoundsUsedUp refuses a record that was bad each time.
	ErrRoundsUsedUp = errors.New("it was redriven too often and was bad each time: edit or drop it")
	// ErrNotPublished says that Kafka did not acknowledge the record.
	ErrNotPublished = errors.New("the record was not taken by Kafka")
	// ErrForbidden says that Kafka does not let us publish, now or later.
	ErrForbidden = errors.New("the Kafka user of this service may not write to the topic")
)

// Status says whether somebody has handled a letter.
type Status string

// The statuses.
const (
	Waiting  Status = "waiting"
	Redriven Status = "redriven"
	Dropped  Status = "dropped"
)

// Header is a header of a Kafka record.
type Header struct{ Key, Value []byte }

// Letter is a record that could not be processed, and what was done about it.
// Absent bytes (a record without key or value) are nil, not empty.
type Letter struct {
	ID         int64
	Topic      string
	Partition  int32
	Offset     int64
	ProducedAt time.Time
	CreatedAt  time.Time
	Reason     string // one constant word
	Detail     string // what exactly was wrong
	Key        []byte
	Payload    []byte // as edited last
	Original   []byte // as it was in the topic
	Headers    []Header
	Rounds     int // how often it was redriven before it became this letter
	Status     Status
	HandledAt  time.Time // zero while it waits
	EditedAt   time.Time // zero when it never was
}

// Head is what a list shows of a letter.
type Head struct {
	ID        int64
	Partition int32
	Offset    int64
	CreatedAt time.Time
	Reason    string
	Rounds    int
	Status    Status
	Edited    bool
	Begins    []byte // the first bytes of the payload, as edited last
	Size      int    // of the payload, in bytes
}

// Rounds reads how often a record was redriven. What is no number counts
// nothing: anybody may write headers, and all they decide is how soon a redrive
// stops.
func Rounds(headers []Header) int {
	rounds := 0
	for _, h := range headers {
		if string(h.Key) != HeaderRounds {
			continue
		}
		if n, err := strconv.ParseUint(string(h.Value), 10, 15); err == nil {
			rounds = max(rounds, int(n))
		}
	}
	return rounds
}

// record is what a redrive publishes: the record as it came, with the payload as
// edited and one more round.
func (l Letter) record() Record {
	r := Record{Key: l.Key, Payload: l.Payload, Headers: make([]Header, 0, len(l.Headers)+1)}
	for _, h := range l.Headers {
		if string(h.Key) != HeaderRounds {
			r.Headers = append(r.Headers, h)
		}
	}
	r.Headers = append(r.Headers, Header{[]byte(HeaderRounds), strconv.AppendInt(nil, int64(l.Rounds)+1, 10)})
	return r
}

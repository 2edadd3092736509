package outbox

import (
	"context"
	"errors"
	"fmt"

	"service-courier/internal/usecase/livefeed"
)

// page is how many changes are read, and how many are published between two stores of the
// position. Behind a backlog, larger ones take fewer requests per event.
const page = 4000

// ErrMoved means that another replica, or an operator, has stored a position meanwhile.
var ErrMoved = errors.New("the position of the outbox has changed meanwhile")

// Positions stores up to which id of the journal everything is published.
type Positions interface {
	// Position returns the position, or false when there is none yet.
	Position(ctx context.Context) (id int64, ok bool, err error)
	// Begin stores the first position, unless there is one.
	Begin(ctx context.Context, at livefeed.Cursor) error
	// Advance replaces the position. The error is ErrMoved when it is not from.
	Advance(ctx context.Context, from, to int64) error
}

// Publisher publishes events.
type Publisher interface {
	// Publish returns nil once every event is acknowledged by all in-sync replicas, or
	// will never be accepted, which the publisher reports. After an error any of them may
	// be published, but not after an earlier one of the same order that is not.
	Publish(ctx context.Context, events []Event) error
}

// Outbox publishes the changes of a journal. One replica runs it at a time; two at once
// would publish events twice.
type Outbox struct {
	journal   livefeed.Journal
	positions Positions
	publisher Publisher
	reader    *livefeed.Reader // nil after an error
}

// New returns an Outbox.
func New(journal livefeed.Journal, positions Positions, publisher Publisher) *Outbox {
	return &Outbox{journal: journal, positions: positions, publisher: publisher}
}

// Publish publishes every change up to now. The first call ever publishes none: the
// outbox begins at the end of the journal. After an error the next call goes on from the
// stored position.
func (o *Outbox) Publish(ctx context.Context) error {
	err := o.begin(ctx)
	for more := true; more && err == nil; {
		more, err = o.publishPage(ctx)
	}
	if err != nil {
		o.reader = nil
		return err
	}
	return o.reader.Blocked()
}

// begin sets the reader to the stored position. Another replica may have moved it.
func (o *Outbox) begin(ctx context.Context) error {
	id, ok, err := o.positions.Position(ctx)
	switch {
	case err != nil:
		return err
	case ok && o.reader != nil && o.reader.At().ID == id:
		return nil
	case ok:
		end, err := o.journal.End(ctx)
		o.reader = livefeed.NewReader(o.journal, livefeed.Cursor{Epoch: end.Epoch, ID: id})
		return err
	}
	if o.reader, err = livefeed.BeginReader(ctx, o.journal, 0); err != nil {
		return err
	}
	return o.positions.Begin(ctx, o.reader.At())
}

// publishPage publishes some changes, stores the position, and reports whether there may
// be more.
func (o *Outbox) publishPage(ctx context.Context) (more bool, err error) {
	from := o.reader.At().ID
	events := make([]Event, 0, page)
	changes := 0
	if err := o.reader.Read(ctx, page, func(c livefeed.Change) {
		changes++
		if c.CourierChange == "" {
			events = append(events, newEvent(c))
		}
	}); err != nil {
		return false, fmt.Errorf("read the journal: %w", err)
	}
	if o.reader.At().ID == from {
		return false, nil
	}
	if err := o.publisher.Publish(ctx, events); err != nil {
		return false, err
	}
	return changes == page, o.positions.Advance(ctx, from, o.reader.At().ID)
}

package livefeed

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"service-courier/internal/courier"
)

// Kind is the kind of a Message.
type Kind string

// The kinds. KindLive means that changes have an id from here on.
const (
	KindSnapshot Kind = "snapshot"
	KindChange   Kind = "change"  // of an order
	KindCourier  Kind = "courier" // a change of a courier
	KindLive     Kind = "live"
)

// Message is a message to a subscriber.
type Message struct {
	Kind Kind
	// ID is the cursor to reconnect with. It is empty between a snapshot and the last
	// change that it includes: no single cursor says which of the changes before that one
	// the client has received.
	ID   string
	Text []byte // shared, read-only; nil for KindLive
}

// Subscription is the position of one subscriber. It is for one goroutine.
type Subscription struct {
	hub   *Hub
	close sync.Once

	at      Cursor    // sent up to here
	fresh   *snapshot // to be sent next, or nil
	overlap *snapshot // the last one, until the position is behind every change it includes
}

// begin sets the first position.
func (s *Subscription) begin(ctx context.Context, lastID string) error {
	cursor, err := ParseCursor(lastID)
	resuming := err == nil
	for first := true; ; first = false {
		begun, nextRound, err := s.tryBegin(cursor, resuming, first)
		if begun || err != nil {
			return err
		}
		select {
		case <-nextRound:
		case <-ctx.Done():
			return fmt.Errorf("%w: the live feed did not begin in time: %w", courier.ErrUnavailable, ctx.Err())
		case <-s.hub.ended:
			return fmt.Errorf("%w: %w", courier.ErrUnavailable, ErrEnded)
		}
	}
}

// tryBegin sets the position, or returns the channel that signals the next round. A
// cursor ahead of the ring may come from another replica, which has read further: it
// gets one more round.
func (s *Subscription) tryBegin(cursor Cursor, resuming, first bool) (begun bool, nextRound <-chan struct{}, err error) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !first && h.failure != nil:
		return false, nil, fmt.Errorf("%w: %w", courier.ErrUnavailable, h.failure)
	case h.ring == nil:
		return false, h.nextRound, nil
	case h.outageError() != nil:
		return false, nil, h.outageError()
	case resuming && h.ring.reaches(cursor) && cursor.ID <= h.ring.end.ID:
		s.at = cursor
		return true, nil, nil
	case resuming && first && h.ring.reaches(cursor):
		return false, h.nextRound, nil
	}
	return s.restart(), h.nextRound, nil
}

// restart sets the position to a snapshot. It returns false when the next round has to
// read one first. Called with the hub's mu held.
func (s *Subscription) restart() bool {
	fresh := s.hub.usable()
	if fresh == nil {
		return false
	}
	s.fresh, s.overlap, s.at = fresh, fresh, fresh.begin
	return true
}

// Next waits for the next messages. The error is that of ctx, ErrEnded, or one that matches
// courier.ErrUnavailable when the journal has not been readable for seconds.
func (s *Subscription) Next(ctx context.Context) (iter.Seq[Message], error) {
	for {
		p, nextRound, err := s.take()
		if err != nil {
			return nil, err
		}
		if !p.empty() {
			return p.messages, nil
		}
		select {
		case <-nextRound:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.hub.ended:
			return nil, ErrEnded
		}
	}
}

// take returns everything after the position and advances it.
func (s *Subscription) take() (p part, nextRound <-chan struct{}, err error) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.outageError(); err != nil {
		return p, nil, err
	}
	if h.ring == nil {
		return p, h.nextRound, nil
	}
	if !h.ring.reaches(s.at) { // the subscriber fell behind, or the journal was replaced
		if !s.restart() {
			return p, h.nextRound, nil
		}
		h.resent++
	}
	p = part{fresh: s.fresh, overlap: s.overlap, frames: h.ring.after(s.at)}
	s.fresh = nil
	s.at.ID = max(s.at.ID, h.ring.end.ID)
	if s.overlap != nil && s.at.ID >= s.overlap.end() {
		p.live, s.overlap = s.at.String(), nil
	}
	return p, h.nextRound, nil
}

// Close ends the subscription. It may be called again.
func (s *Subscription) Close() {
	s.close.Do(func() {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		s.hub.subscribers--
	})
}

// part is what is sent at a time, in this order.
type part struct {
	fresh   *snapshot // or nil
	frames  []frame
	overlap *snapshot // omit the changes it includes and send the others without id; nil: send all
	live    string    // the cursor after the overlap; "" while that has not ended
}

func (p part) empty() bool { return p.fresh == nil && len(p.frames) == 0 && p.live == "" }

func (p part) messages(yield func(Message) bool) {
	if p.fresh != nil && !yield(Message{Kind: KindSnapshot, Text: p.fresh.text}) {
		return
	}
	for _, f := range p.frames {
		m := Message{Kind: f.kind, ID: f.cursor, Text: f.text}
		if p.overlap != nil {
			if p.overlap.includes(f.id) {
				continue
			}
			m.ID = ""
		}
		if !yield(m) {
			return
		}
	}
	if p.live != "" {
		yield(Message{Kind: KindLive, ID: p.live})
	}
}

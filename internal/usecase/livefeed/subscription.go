package livefeed

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"service-courier/internal/courier"
)

// Kind is what a Message tells.
type Kind string

// The kinds. Live says that from here on changes are named.
const (
	KindSnapshot Kind = "snapshot"
	KindChange   Kind = "change"
	KindLive     Kind = "live"
)

// Message is one thing to tell a client.
type Message struct {
	Kind Kind
	// ID is the cursor to come back with; empty while there is none. That is so
	// between a snapshot and the end of the transactions that were under way when it
	// was taken: no single cursor says which of them a client was told.
	ID   string
	Text []byte // shared, not to be changed; nil for KindLive
}

// Subscription is one client's place in the feed. It is for one goroutine.
type Subscription struct {
	hub   *Hub
	close sync.Once

	at    Cursor    // told up to here
	fresh *snapshot // still to be told; nil when none is
	seen  *Seen     // by the snapshot told last; nil once all that it may not have seen was told
}

// begin finds the client's beginning, or returns why there is none now.
func (s *Subscription) begin(ctx context.Context, lastID string) error {
	cursor, err := ParseCursor(lastID)
	resuming := err == nil
	for first := true; ; first = false {
		begun, news, err := s.tryBegin(cursor, resuming, first)
		if begun || err != nil {
			return err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("%w: the live feed cannot begin: %w", courier.ErrUnavailable, ctx.Err())
		case <-s.hub.ended:
			return fmt.Errorf("%w: %w", courier.ErrUnavailable, ErrEnded)
		}
	}
}

// tryBegin waits with news for what is not there yet. A cursor ahead of the ring
// may be another replica's, which has read on already: it gets one more round.
func (s *Subscription) tryBegin(cursor Cursor, resuming, first bool) (begun bool, news <-chan struct{}, err error) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !first && h.failure != nil:
		return false, nil, fmt.Errorf("%w: %w", courier.ErrUnavailable, h.failure)
	case h.ring == nil:
		return false, h.news, nil
	case resuming && h.ring.covers(cursor):
		s.at = cursor
		return true, nil, nil
	case resuming && first && h.ring.end.Compare(cursor) < 0:
		return false, h.news, nil
	}
	return s.restart(), h.news, nil
}

// restart lets the client begin with a snapshot; false when the next round has
// to read one first. Under the hub's mu.
func (s *Subscription) restart() bool {
	fresh := s.hub.usable()
	if fresh == nil {
		return false
	}
	s.fresh, s.seen, s.at = fresh, &fresh.seen, fresh.begin()
	return true
}

// Next waits for what is to be told. The error is that of ctx, or ErrEnded.
func (s *Subscription) Next(ctx context.Context) (iter.Seq[Message], error) {
	for {
		p, news := s.take()
		if !p.empty() {
			return p.messages, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.hub.ended:
			return nil, ErrEnded
		}
	}
}

// take returns all there is behind the client's place and moves it on.
func (s *Subscription) take() (p part, news <-chan struct{}) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ring == nil {
		return p, h.news
	}
	if h.ring.floor.Compare(s.at) > 0 { // the ring has gone over its place
		if !s.restart() {
			return p, h.news
		}
		h.lost++
	}
	p = part{fresh: s.fresh, seen: s.seen, frames: h.ring.after(s.at)}
	s.fresh = nil
	if h.ring.end.Compare(s.at) > 0 {
		s.at = h.ring.end
	}
	if s.seen != nil && s.at.Tx >= s.seen.To {
		p.live, s.seen = s.at.String(), nil
	}
	return p, h.news
}

// Close gives the place up. Calling it again does no harm.
func (s *Subscription) Close() {
	s.close.Do(func() {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		s.hub.clients--
	})
}

// part is what is told at a time, in this order.
type part struct {
	fresh  *snapshot // nil: none
	frames []frame
	seen   *Seen  // leaves out those it has seen, and the others get no id; nil: all are told
	live   string // the cursor that ends the part of a snapshot; "" when it has not ended
}

func (p part) empty() bool { return p.fresh == nil && len(p.frames) == 0 && p.live == "" }

func (p part) messages(yield func(Message) bool) {
	if p.fresh != nil && !yield(Message{Kind: KindSnapshot, Text: p.fresh.text}) {
		return
	}
	for _, f := range p.frames {
		m := Message{Kind: KindChange, ID: f.id, Text: f.text}
		if p.seen != nil {
			if p.seen.Has(f.Tx) {
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

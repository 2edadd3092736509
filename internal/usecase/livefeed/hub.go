package livefeed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"service-courier/internal/courier"
)

const (
	// readEvery is how often the journal is read while there are clients, and so
	// how often each of them is told something at most.
	readEvery = 100 * time.Millisecond
	// readWithin bounds a round of reading.
	readWithin = 5 * time.Second
	// joinWithin bounds how long a client waits for its beginning.
	joinWithin = 3 * time.Second
	// snapshotGoodFor is how long a snapshot serves those who come after it.
	snapshotGoodFor = time.Second
	// maxClients bounds what strangers can make this process do.
	maxClients = 4096
)

// Encoder turns what is told into what is sent, once for all clients.
type Encoder interface {
	Change(c Change) []byte
	Snapshot(s Snapshot) []byte
}

// Outage is told of every round of reading that failed or worked.
type Outage interface {
	Failed(ctx context.Context, err error)
	Works(ctx context.Context)
}

// Hub reads the journal for all its clients, and only while there are any.
type Hub struct {
	source Source
	encode Encoder
	outage Outage
	wake   chan struct{} // a client came
	ended  chan struct{} // closed when Run has returned

	mu       sync.Mutex
	clients  int
	lost     int           // clients that fell behind and were told anew
	ring     *ring         // nil while nobody listens
	snapshot *snapshot     // the latest; nil when there is none
	wanted   bool          // a snapshot is to be read in the next round
	failure  error         // of the last round
	news     chan struct{} // closed after the next round
}

// snapshot is a Snapshot as it is sent.
type snapshot struct {
	seen Seen
	text []byte
	at   time.Time
}

// begin is where the changes begin that a snapshot may not have seen.
func (s *snapshot) begin() Cursor { return Cursor{Tx: s.seen.From} }

// NewHub returns a Hub that reads source in Run.
func NewHub(source Source, encode Encoder, outage Outage) *Hub {
	return &Hub{
		source: source, encode: encode, outage: outage,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), news: make(chan struct{}),
	}
}

// Clients returns how many listen now, and how many fell so far behind since the
// start that they were told anew how things stand.
func (h *Hub) Clients() (now, lost int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients, h.lost
}

// Run serves clients until ctx ends; then every subscription ends. It is called
// once.
func (h *Hub) Run(ctx context.Context) {
	defer h.end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
			h.serve(ctx)
		}
	}
}

// serve reads until nobody listens any more.
func (h *Hub) serve(ctx context.Context) {
	timer := time.NewTicker(readEvery)
	defer timer.Stop()
	var reader *Reader
	for !h.deserted() {
		reader = h.round(ctx, reader)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// end leaves nothing to those who come now.
func (h *Hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring, h.snapshot = nil, nil
	close(h.ended)
}

// deserted reports whether nobody listens, and forgets then what was read.
func (h *Hub) deserted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients > 0 {
		return false
	}
	h.ring, h.snapshot, h.wanted = nil, nil, false
	return true
}

// round reads once and tells all who wait. It returns the reader to go on with.
func (h *Hub) round(ctx context.Context, reader *Reader) *Reader {
	limited, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	next, err := h.read(limited, reader)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		h.outage.Failed(ctx, err)
	default:
		h.outage.Works(ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failure = err
	close(h.news)
	h.news = make(chan struct{})
	return next
}

// read makes the ring if there is none, takes the snapshot that somebody wants,
// and only then reads on: so what the snapshot has not seen mostly is in the ring
// already.
func (h *Hub) read(ctx context.Context, reader *Reader) (_ *Reader, err error) {
	if reader == nil {
		if reader, err = h.begin(ctx); err != nil {
			return nil, err
		}
	}
	if err := h.takeSnapshot(ctx); err != nil {
		return reader, err
	}
	var frames []frame
	err = reader.Read(ctx, func(c Change) { frames = append(frames, frame{c.Cursor, c.String(), h.encode.Change(c)}) })
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring.add(frames, reader.At())
	return reader, err
}

// begin starts so far back that those who were here a moment ago can go on.
func (h *Hub) begin(ctx context.Context) (*Reader, error) {
	end, err := h.source.End(ctx)
	if err != nil {
		return nil, err
	}
	from, err := h.source.Latest(ctx, end, ringSize)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring = &ring{floor: from, end: from}
	return NewReader(h.source, from), nil
}

func (h *Hub) takeSnapshot(ctx context.Context) error {
	h.mu.Lock()
	wanted := h.wanted
	h.mu.Unlock()
	if !wanted {
		return nil
	}
	s, err := h.source.Snapshot(ctx)
	if err != nil {
		return err
	}
	fresh := &snapshot{seen: s.Seen, text: h.encode.Snapshot(s), at: time.Now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snapshot, h.wanted = fresh, false
	return nil
}

// usable returns the latest snapshot if it is fresh and the ring has all that it
// has not seen; else it asks for another. Under mu.
func (h *Hub) usable() *snapshot {
	s := h.snapshot
	if s != nil && time.Since(s.at) < snapshotGoodFor && h.ring != nil && h.ring.floor.Compare(s.begin()) <= 0 {
		return s
	}
	h.wanted = true
	return nil
}

var (
	// ErrEnded says that the feed has ended: the service stops.
	ErrEnded = errors.New("the live feed has ended")
	errFull  = fmt.Errorf("%w: too many listen to the live feed already", courier.ErrUnavailable)
)

// Subscribe begins behind the cursor that lastID names, when that is one which
// is not too old; else with a snapshot. The error matches courier.ErrUnavailable
// when the beginning cannot be had now. The caller closes the subscription.
func (h *Hub) Subscribe(ctx context.Context, lastID string) (*Subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	h.mu.Lock()
	if h.clients >= maxClients {
		h.mu.Unlock()
		return nil, errFull
	}
	h.clients++
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default: // it is awake
	}
	s := &Subscription{hub: h}
	if err := s.begin(ctx, lastID); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

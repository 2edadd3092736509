package livefeed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"service-courier/internal/courier"
)

const (
	readEvery        = 100 * time.Millisecond // between two rounds of reading
	readTimeout      = 5 * time.Second        // of one round
	failingTimeout   = 3 * time.Second        // without a round that succeeds, until subscriptions end
	subscribeTimeout = 3 * time.Second
	snapshotMaxAge   = time.Second // for which a snapshot is shared
	maxSubscribers   = 4096        // limits the memory that clients can use
	ringSize         = 8192        // changes kept for subscribers that reconnect or are slow
)

// Encoder encodes messages, once for all subscribers.
type Encoder interface {
	Change(c Change) []byte
	Snapshot(s Snapshot) []byte
}

// Outage reports rounds that failed or succeeded.
type Outage interface {
	Failed(ctx context.Context, err error)
	Recovered(ctx context.Context)
}

// Hub reads the journal for all subscribers, and only while there are any.
type Hub struct {
	source  Source
	encode  Encoder
	outage  Outage
	log     *slog.Logger
	trigger chan struct{} // signals a new subscriber
	ended   chan struct{} // closed when Run has returned

	mu          sync.Mutex
	subscribers int
	resent      int           // snapshots resent to subscribers that fell behind
	ring        *ring         // nil without subscribers
	snapshot    *snapshot     // the latest, or nil
	wanted      bool          // the next round reads a snapshot
	failure     error         // of the last round
	readAt      time.Time     // of the last round that succeeded
	nextRound   chan struct{} // closed after the next round
}

// snapshot is an encoded Snapshot.
type snapshot struct {
	begin    Cursor  // every change up to here is included
	included []int64 // the further changes that are, by id
	text     []byte
	at       time.Time
}

func (s *snapshot) includes(id int64) bool {
	_, found := slices.BinarySearch(s.included, id)
	return found || id <= s.begin.ID
}

// end is the last change that is included.
func (s *snapshot) end() int64 {
	if n := len(s.included); n > 0 {
		return s.included[n-1]
	}
	return s.begin.ID
}

// NewHub returns a Hub that reads source in Run.
func NewHub(source Source, encode Encoder, outage Outage, log *slog.Logger) *Hub {
	return &Hub{
		source: source, encode: encode, outage: outage, log: log,
		trigger: make(chan struct{}, 1), ended: make(chan struct{}), nextRound: make(chan struct{}),
	}
}

// Subscribers returns the number of subscribers, and how many snapshots were resent
// to subscribers that fell behind.
func (h *Hub) Subscribers() (now, resent int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.subscribers, h.resent
}

// Run serves subscribers until ctx ends; then every subscription ends. It is called
// once.
func (h *Hub) Run(ctx context.Context) {
	defer h.end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.trigger:
			h.serve(ctx)
		}
	}
}

// serve reads until there are no subscribers.
func (h *Hub) serve(ctx context.Context) {
	ticker := time.NewTicker(readEvery)
	defer ticker.Stop()
	var reader *Reader
	for !h.idle() {
		reader = h.round(ctx, reader)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (h *Hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring, h.snapshot = nil, nil
	close(h.ended)
}

// idle reports that there are no subscribers, and then drops what was read.
func (h *Hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers > 0 {
		return false
	}
	h.ring, h.snapshot, h.wanted = nil, nil, false
	return true
}

// round reads once and notifies all subscribers. It returns the reader of the next round.
func (h *Hub) round(ctx context.Context, reader *Reader) *Reader {
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	next, err := h.read(limited, reader)
	failure := err
	if failure == nil && next != nil {
		failure = next.Blocked() // reported only: subscribers are still accepted
	}
	switch {
	case ctx.Err() != nil:
	case failure != nil:
		h.outage.Failed(ctx, failure)
	default:
		h.outage.Recovered(ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure = err; err == nil {
		h.readAt = time.Now()
	}
	close(h.nextRound)
	h.nextRound = make(chan struct{})
	return next
}

// read reads the journal into the ring, which it creates if necessary. If a snapshot is
// wanted, it is read first, so that the changes it does not include are usually in the
// ring already. After a panic, the next round begins a new ring at the end of the
// journal, behind the changes that caused it; subscribers get a snapshot instead.
func (h *Hub) read(ctx context.Context, reader *Reader) (next *Reader, err error) {
	defer func() {
		if p := recover(); p != nil {
			next, err = nil, h.panicked(ctx, p)
		}
	}()
	if reader == nil {
		if reader, err = h.begin(ctx); err != nil {
			return nil, err
		}
	}
	if err := h.readSnapshot(ctx, reader.At()); err != nil {
		return reader, err
	}
	var frames []frame
	epoch := reader.At().Epoch
	err = reader.Read(ctx, 0, func(c Change) {
		kind := KindChange
		if c.CourierChange != "" {
			kind = KindCourier
		}
		frames = append(frames, frame{c.ID, Cursor{epoch, c.ID}.String(), kind, h.encode.Change(c)})
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if errors.Is(err, ErrReplaced) {
		h.log.WarnContext(ctx, "journal replaced, live feed restarted", slog.Any("reason", err))
		h.ring, h.snapshot = nil, nil
		return nil, nil
	}
	h.ring.add(frames, reader.At())
	return reader, err
}

var errPanicked = errors.New("the live feed panicked")

// panicked logs a panic, once while it repeats, and drops what was read.
func (h *Hub) panicked(ctx context.Context, p any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errors.Is(h.failure, errPanicked) {
		h.log.ErrorContext(ctx, "panic recovered", slog.String("component", "live feed"), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	}
	h.ring, h.snapshot = nil, nil
	return fmt.Errorf("%w: %v", errPanicked, p)
}

// begin starts ringSize changes before the end, so that clients that reconnect can
// continue; after a panic at the end.
func (h *Hub) begin(ctx context.Context) (*Reader, error) {
	h.mu.Lock()
	changes := ringSize
	if errors.Is(h.failure, errPanicked) {
		changes = 0
	}
	h.mu.Unlock()
	reader, err := BeginReader(ctx, h.source, changes)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring = &ring{floor: reader.At().ID, end: reader.At()}
	return reader, nil
}

func (h *Hub) readSnapshot(ctx context.Context, begin Cursor) error {
	h.mu.Lock()
	wanted := h.wanted
	h.mu.Unlock()
	if !wanted {
		return nil
	}
	s, err := h.source.Snapshot(ctx, begin.ID)
	if err != nil {
		return err
	}
	fresh := &snapshot{begin: begin, included: s.Included, text: h.encode.Snapshot(s), at: time.Now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snapshot, h.wanted = fresh, false
	return nil
}

// usable returns the latest snapshot if it is recent and the ring has every change it
// does not include; otherwise nil, and the next round reads one. Called with mu held.
func (h *Hub) usable() *snapshot {
	s := h.snapshot
	if s != nil && time.Since(s.at) < snapshotMaxAge && h.ring != nil && h.ring.reaches(s.begin) {
		return s
	}
	h.wanted = true
	return nil
}

// outageError is the error of subscriptions while the journal cannot be read: one that stayed
// open would look as if nothing changed. Called with mu held.
func (h *Hub) outageError() error {
	if h.failure == nil || time.Since(h.readAt) < failingTimeout {
		return nil
	}
	return fmt.Errorf("%w: %w", courier.ErrUnavailable, h.failure)
}

var (
	// ErrEnded means that the service stops.
	ErrEnded = errors.New("the live feed has ended")
	errFull  = fmt.Errorf("%w: too many subscribers of the live feed", courier.ErrUnavailable)
)

// Subscribe continues after the cursor lastID, or begins with a snapshot if there is
// none, or one that is too old. The error matches courier.ErrUnavailable. The caller
// closes the subscription.
func (h *Hub) Subscribe(ctx context.Context, lastID string) (*Subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, subscribeTimeout)
	defer cancel()
	h.mu.Lock()
	if h.subscribers >= maxSubscribers {
		h.mu.Unlock()
		return nil, errFull
	}
	h.subscribers++
	h.mu.Unlock()
	select {
	case h.trigger <- struct{}{}:
	default: // triggered already
	}
	s := &Subscription{hub: h}
	if err := s.begin(ctx, lastID); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// frame is an encoded change.
type frame struct {
	id     int64
	cursor string
	kind   Kind
	text   []byte
}

// ring has every change after floor up to end. Frames are never modified, and add
// appends behind them, so a slice of them stays valid without the lock.
type ring struct {
	frames []frame
	floor  int64
	end    Cursor
}

// add appends the changes up to end and drops the oldest.
func (r *ring) add(frames []frame, end Cursor) {
	r.frames = append(r.frames, frames...)
	r.end = end
	if extra := len(r.frames) - ringSize; extra > 0 {
		r.floor = r.frames[extra-1].id
		r.frames = r.frames[extra:]
	}
}

// reaches reports whether the ring has everything between the cursor and its end.
func (r *ring) reaches(c Cursor) bool { return c.Epoch == r.end.Epoch && r.floor <= c.ID }

// after returns the changes after a cursor that the ring reaches.
func (r *ring) after(c Cursor) []frame {
	i, _ := slices.BinarySearchFunc(r.frames, c.ID+1, func(f frame, id int64) int { return cmp.Compare(f.id, id) })
	return r.frames[i:]
}

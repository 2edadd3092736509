package livefeed_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a journal in memory. Change n of a transaction is of order o-n.
type source struct {
	mu        sync.Mutex
	changes   []livefeed.Change
	end       uint64
	seen      livefeed.Seen
	err       error
	reads     int
	snapshots int

	hangs bool // End answers nothing; set before anybody listens
}

// commit appends a change for each transaction and moves the end behind them.
func (s *source) commit(txs ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tx := range txs {
		id := int64(len(s.changes) + 1)
		s.changes = append(s.changes, livefeed.Change{
			Cursor: livefeed.Cursor{Tx: tx, ID: id}, OrderID: courier.OrderID(fmt.Sprintf("o-%d", tx)),
		})
		s.end = tx + 1
	}
	s.seen = livefeed.Seen{From: s.end, To: s.end}
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source) After(_ context.Context, from livefeed.Cursor, limit int) ([]livefeed.Change, livefeed.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	next := livefeed.Cursor{Tx: max(s.end, from.Tx)}
	var page []livefeed.Change
	for _, c := range s.changes {
		if c.Compare(from) <= 0 || c.Tx >= s.end {
			continue
		}
		if len(page) == limit {
			next = page[limit-1].Cursor
			break
		}
		page = append(page, c)
	}
	return page, next, s.err
}

func (s *source) End(ctx context.Context) (livefeed.Cursor, error) {
	if s.hangs {
		<-ctx.Done()
		return livefeed.Cursor{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return livefeed.Cursor{Tx: s.end}, s.err
}

func (s *source) Latest(_ context.Context, end livefeed.Cursor, n int) (livefeed.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.changes) == 0 {
		return end, s.err
	}
	return s.changes[max(0, len(s.changes)-1-n)].Cursor, s.err
}

func (s *source) Snapshot(context.Context) (livefeed.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots++
	return livefeed.Snapshot{Seen: s.seen}, s.err
}

// counts returns how often the journal and a snapshot were read.
func (s *source) counts() (reads, snapshots int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads, s.snapshots
}

// encoder sends the order's id.
type encoder struct{}

func (encoder) Change(c livefeed.Change) []byte   { return []byte(c.OrderID) }
func (encoder) Snapshot(livefeed.Snapshot) []byte { return []byte("all") }

// failures counts those that the hub tells.
type failures struct{ n, works int }

func (f *failures) Failed(context.Context, error) { f.n++ }
func (f *failures) Works(context.Context)         { f.works++ }

// world is a hub at work on a source, until the end of the test.
type world struct {
	*testing.T
	*source
	hub  *livefeed.Hub
	told *failures
	stop func()
}

func newWorld(t *testing.T) world {
	t.Helper()
	s, told := &source{end: 1, seen: livefeed.Seen{From: 1, To: 1}}, &failures{}
	hub := livefeed.NewHub(s, encoder{}, told)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); hub.Run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return world{t, s, hub, told, stop}
}

func (w world) join(lastID string) *livefeed.Subscription {
	w.Helper()
	s, err := w.hub.Subscribe(w.Context(), lastID)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(s.Close)
	return s
}

// next returns what is told next, as "kind text@id", and the last id told.
func (w world) next(s *livefeed.Subscription) (told, lastID string) {
	w.Helper()
	messages, err := s.Next(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var all []string
	for m := range messages {
		named := ""
		if m.ID != "" {
			named, lastID = "@", m.ID
		}
		all = append(all, string(m.Kind)+" "+string(m.Text)+named)
	}
	return strings.Join(all, ", "), lastID
}

func (w world) expect(s *livefeed.Subscription, want string) (lastID string) {
	w.Helper()
	told, lastID := w.next(s)
	if told != want {
		w.Fatalf("told %q, want %q", told, want)
	}
	return lastID
}

package livefeed_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a journal in memory. Change n is of order o-n.
type source struct {
	mu        sync.Mutex
	epoch     uint64
	changes   []livefeed.Change // that are visible, by id
	end       int64
	writers   []livefeed.Writer
	err       error
	reads     int
	snapshots int

	hangs bool // End does not return; set before the first subscriber
}

// commit makes changes visible.
func (s *source) commit(ids ...int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.changes = slices.Insert(s.changes, s.after(id), livefeed.Change{ID: id, OrderID: courier.OrderID(fmt.Sprintf("o-%d", id))})
		s.end = max(s.end, id)
	}
}

// write sets the transactions that write the journal.
func (s *source) write(writers ...livefeed.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers = writers
}

// replace empties the journal, as when the database is restored.
func (s *source) replace() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.changes, s.end = s.epoch+1, nil, 0
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source) End(ctx context.Context) (livefeed.Cursor, error) {
	if s.hangs {
		<-ctx.Done()
		return livefeed.Cursor{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return livefeed.Cursor{Epoch: s.epoch, ID: s.end}, s.err
}

// after returns the index of the first change after id.
func (s *source) after(id int64) int {
	i, _ := slices.BinarySearchFunc(s.changes, id+1, func(c livefeed.Change, id int64) int { return cmp.Compare(c.ID, id) })
	return i
}

func (s *source) After(_ context.Context, id int64, limit int) ([]livefeed.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := s.changes[s.after(id):]
	return slices.Clone(page[:min(limit, len(page))]), s.err
}

func (s *source) Writers(context.Context) ([]livefeed.Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writers), s.err
}

func (s *source) Before(_ context.Context, id int64, n int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.changes) == 0 {
		return id, s.err
	}
	return s.changes[max(0, s.after(id)-1-n)].ID, s.err
}

func (s *source) Snapshot(_ context.Context, id int64) (livefeed.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots++
	var included []int64
	for _, c := range s.changes[s.after(id):] {
		included = append(included, c.ID)
	}
	return livefeed.Snapshot{Included: included}, s.err
}

// counts returns how often the journal and a snapshot were read.
func (s *source) counts() (reads, snapshots int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads, s.snapshots
}

// poison is an order whose changes make the encoder panic.
const poison = "o-30000"

// encoder encodes the order id.
type encoder struct{}

func (encoder) Change(c livefeed.Change) []byte {
	if c.OrderID == poison {
		panic("poison")
	}
	return []byte(c.OrderID)
}

func (encoder) Snapshot(livefeed.Snapshot) []byte { return []byte("all") }

// outages counts what the hub reports.
type outages struct {
	mu                sync.Mutex
	failed, recovered int
	last              error
}

func (o *outages) Failed(_ context.Context, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed, o.last = o.failed+1, err
}

func (o *outages) Recovered(context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.recovered++
}

// reported returns the numbers of failures and recoveries, and the last failure.
func (o *outages) reported() (failed, recovered int, last error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed, o.recovered, o.last
}

// cursor is one of the first epoch.
func cursor(id int64) string { return livefeed.Cursor{Epoch: 1, ID: id}.String() }

// world is a hub that reads a source until the end of the test.
type world struct {
	*testing.T
	*source
	hub     *livefeed.Hub
	outages *outages
	log     *bytes.Buffer
	stop    func()
}

func newWorld(t *testing.T) world {
	t.Helper()
	s, o, log := &source{epoch: 1}, &outages{}, &bytes.Buffer{}
	hub := livefeed.NewHub(s, encoder{}, o, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); hub.Run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return world{t, s, hub, o, log, stop}
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

// next returns the next messages as "kind text@", with @ where they have an id, and the
// last id.
func (w world) next(s *livefeed.Subscription) (sent, lastID string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	messages, err := s.Next(ctx)
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
	sent, lastID := w.next(s)
	if sent != want {
		w.Fatalf("sent %q, want %q", sent, want)
	}
	return lastID
}

package rest_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/access"
	"service-courier/internal/courier"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/livefeed"
)

// still is a journal in which nothing happens.
type still struct {
	err     error
	waiting []livefeed.OpenOrder
	busy    bool // or else something does whenever it is read
}

func (s still) After(_ context.Context, from livefeed.Cursor, _ int) ([]livefeed.Change, livefeed.Cursor, error) {
	if s.busy {
		from.ID++
		return []livefeed.Change{{Cursor: from}}, from, s.err
	}
	return nil, from, s.err
}

func (s still) End(context.Context) (livefeed.Cursor, error) { return livefeed.Cursor{Tx: 7}, s.err }

func (s still) Latest(_ context.Context, end livefeed.Cursor, _ int) (livefeed.Cursor, error) {
	return end, s.err
}

func (s still) Snapshot(context.Context) (livefeed.Snapshot, error) {
	return livefeed.Snapshot{
		Seen: livefeed.Seen{From: 7, To: 7}, Couriers: map[courier.Status]int{courier.StatusBusy: 3}, Waiting: livefeed.OpenOrders{First: s.waiting},
	}, s.err
}

type untold struct{}

func (untold) Failed(context.Context, error) {}
func (untold) Works(context.Context)         {}

// wire is a client's connection: it keeps what was written and the deadlines.
type wire struct {
	mu      sync.Mutex
	header  http.Header
	status  int
	body    strings.Builder
	flushes int
	read    time.Time // the deadline; the server sets one for the request
	write   time.Time // the deadline
	stuck   bool      // it takes nothing any more
}

func (w *wire) Header() http.Header    { return w.header }
func (w *wire) WriteHeader(status int) { w.status = status }
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stuck {
		<-time.After(time.Until(w.write))
		return 0, context.DeadlineExceeded
	}
	return w.body.Write(b)
}
func (w *wire) Flush()                             { w.flushes++ }
func (w *wire) SetReadDeadline(t time.Time) error  { w.read = t; return nil }
func (w *wire) SetWriteDeadline(t time.Time) error { w.write = t; return nil }
func (w *wire) told() string                       { w.mu.Lock(); defer w.mu.Unlock(); return w.body.String() }

// stream serves one client until it is stopped.
func stream(t *testing.T, journal still, callers rest.Callers, w http.ResponseWriter) (ended <-chan struct{}, leave func()) {
	t.Helper()
	deps := dependencies(new(fake), io.Discard)
	hub := livefeed.NewHub(journal, rest.StreamEncoder{}, untold{})
	deps.Stream, deps.Callers = hub, callers
	h := rest.New(rest.Config{}, deps).Handler()
	ctx, cancel := context.WithCancel(t.Context())
	go hub.Run(ctx)
	done := make(chan struct{})
	r := request(t, "GET /api/v1/stream", "", "Authorization: Bearer "+readToken).WithContext(ctx)
	go func() {
		defer close(done)
		h.ServeHTTP(w, r)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return done, cancel
}

// TestStreamOutlivesTheRequestTimeout also holds what a silent client is told. Left with
// the deadline of a request's body, it would end while nobody sends anything.
func TestStreamOutlivesTheRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{header: make(http.Header), read: time.Now().Add(10 * time.Second)}
		ended, leave := stream(t, still{}, nil, w)
		<-time.After(40 * time.Second)
		want := `event: snapshot
data: {"at":"0001-01-01T00:00:00Z","couriers":{"available":0,"busy":3,"paused":0},` +
			`"waiting":{"count":0,"missing":0,"late":0,"orders":[]},"assigned":{"count":0,"missing":0,"late":0,"orders":[]},` +
			`"held":{"count":0,"missing":0,"late":0,"orders":[]}}

id: 7.0
event: live
data: ` + `

:

:

`
		if got := w.told(); got != want {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
		if w.header.Get("Content-Type") != "text/event-stream" || w.header.Get("Cache-Control") != "no-store" || w.flushes < 3 {
			t.Errorf("headers %v, %d flushes", w.header, w.flushes)
		}
		if !w.read.IsZero() {
			t.Errorf("the client is to send something until %v", w.read)
		}
		leave()
		<-ended
	})
}

func TestStuckClientIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{header: make(http.Header)}
		ended, _ := stream(t, still{}, nil, w)
		<-time.After(time.Second)
		w.mu.Lock()
		w.stuck = true
		w.mu.Unlock()
		began := time.Now()
		<-ended
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("it was kept for %v", took)
		}
	})
}

// slowWire takes a chunk in 3 s.
type slowWire struct{ *wire }

func (w slowWire) Write(b []byte) (int, error) {
	<-time.After(3 * time.Second)
	if len(b) > 4<<10 || time.Now().After(w.write) {
		return 0, context.DeadlineExceeded
	}
	return w.wire.Write(b)
}

// TestSlowClient: one that takes each chunk in its time is told everything, though
// all of it takes longer than a chunk may; but it is not waited for for ever, since
// what it is told is kept so long.
func TestSlowClient(t *testing.T) {
	for chunks, served := range map[int]bool{6: true, 20: false} {
		synctest.Test(t, func(t *testing.T) {
			w := slowWire{&wire{header: make(http.Header)}}
			ended, leave := stream(t, still{waiting: []livefeed.OpenOrder{{Reason: strings.Repeat("x", chunks*4<<10)}}}, nil, w)
			<-time.After(2 * time.Minute)
			leave()
			<-ended
			if got := strings.Contains(w.told(), "event: live"); got != served {
				t.Errorf("%d chunks: told to the end: %t, want %t; %d bytes", chunks, got, served, len(w.told()))
			}
		})
	}
}

// lent is a token that can be taken away.
type lent struct{ back atomic.Bool }

func (l *lent) Caller(context.Context, string) (access.Caller, bool) {
	return access.Caller{Name: "monitor", Role: access.Read}, !l.back.Load()
}

// TestStreamEndsWithItsToken: also where so much happens that no heartbeat is due.
func TestStreamEndsWithItsToken(t *testing.T) {
	for name, journal := range map[string]still{"silence": {}, "changes": {busy: true}} {
		synctest.Test(t, func(t *testing.T) {
			token, w := new(lent), &wire{header: make(http.Header)}
			ended, _ := stream(t, journal, token, w)
			<-time.After(31 * time.Second)
			select {
			case <-ended:
				t.Fatalf("%s: it has ended: %s", name, w.told())
			default:
			}
			token.back.Store(true)
			before := w.told()
			select {
			case <-ended:
			case <-time.After(16 * time.Second):
				t.Errorf("%s: it goes on without a token", name)
			}
			if more := strings.TrimPrefix(w.told(), before); more != "" {
				t.Errorf("%s: told without a token: %s", name, more)
			}
		})
	}
}

func TestStreamCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{header: make(http.Header)}
		ended, _ := stream(t, still{err: io.ErrUnexpectedEOF}, nil, w)
		<-ended
		if w.status != http.StatusServiceUnavailable || w.header.Get("Retry-After") == "" || !strings.Contains(w.told(), `"code"`) {
			t.Errorf("status %d, %v: %s", w.status, w.header, w.told())
		}
	})
}

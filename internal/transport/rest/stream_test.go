package rest_test

import (
	"context"
	"io"
	"log/slog"
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

// still is a journal without changes.
type still struct {
	err     error
	waiting []livefeed.ActiveOrder
	busy    *atomic.Int64 // or the last change; there is another one at each read
}

func (s still) End(context.Context) (livefeed.Cursor, error) {
	if s.busy != nil {
		return livefeed.Cursor{Epoch: 7, ID: s.busy.Add(1)}, s.err
	}
	return livefeed.Cursor{Epoch: 7}, s.err
}

func (s still) After(_ context.Context, id int64, _ int) ([]livefeed.Change, error) {
	if s.busy != nil {
		return []livefeed.Change{{ID: id + 1}}, s.err
	}
	return nil, s.err
}

func (s still) Writers(context.Context) ([]livefeed.Writer, error) { return nil, s.err }

func (s still) Before(_ context.Context, id int64, _ int) (int64, error) { return id, s.err }

func (s still) Snapshot(context.Context, int64) (livefeed.Snapshot, error) {
	return livefeed.Snapshot{
		Couriers: map[courier.Status]int{courier.StatusBusy: 3}, Waiting: livefeed.ActiveOrders{First: s.waiting},
	}, s.err
}

type noOutage struct{}

func (noOutage) Failed(context.Context, error) {}
func (noOutage) Recovered(context.Context)     {}

// wire is the connection of a client: it records what is written and the deadlines.
type wire struct {
	mu      sync.Mutex
	header  http.Header
	status  int
	body    strings.Builder
	flushes int
	read    time.Time // the deadline; the server sets one for the request
	write   time.Time // the deadline
	stuck   bool      // it reads no more
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
func (w *wire) sent() string                       { w.mu.Lock(); defer w.mu.Unlock(); return w.body.String() }

// stream serves one client until it is stopped.
func stream(t *testing.T, journal still, callers rest.Callers, w http.ResponseWriter) (ended <-chan struct{}, leave func()) {
	t.Helper()
	deps := dependencies(new(fake), io.Discard)
	hub := livefeed.NewHub(journal, rest.StreamEncoder{}, noOutage{}, slog.New(slog.DiscardHandler))
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

// TestStreamOutlivesTheRequestTimeout: a stream without changes sends heartbeats, and
// does not end with the read deadline of the request.
func TestStreamOutlivesTheRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{header: make(http.Header), read: time.Now().Add(10 * time.Second)}
		ended, leave := stream(t, still{}, nil, w)
		<-time.After(40 * time.Second)
		want := `event: snapshot
data: {"at":"0001-01-01T00:00:00Z","couriers":{"available":0,"busy":3,"paused":0},` +
			`"waiting":{"count":0,"missing":0,"overdue":0,"orders":[]},"assigned":{"count":0,"missing":0,"overdue":0,"orders":[]},` +
			`"held":{"count":0,"missing":0,"overdue":0,"orders":[]}}

id: 7.0
event: live
data: ` + `

:

:

`
		if got := w.sent(); got != want {
			t.Errorf("sent\n%s\nwant\n%s", got, want)
		}
		if w.header.Get("Content-Type") != "text/event-stream" || w.header.Get("Cache-Control") != "no-store" || w.flushes < 3 {
			t.Errorf("headers %v, %d flushes", w.header, w.flushes)
		}
		if !w.read.IsZero() {
			t.Errorf("the read deadline is still %v", w.read)
		}
		leave()
		<-ended
		if !w.write.After(time.Now()) { // fails without finish
			t.Error("net/http has no time to write the end of the body")
		}
	})
}

// unsubscribable fails the test when a stream is subscribed to.
type unsubscribable struct{ *testing.T }

func (u unsubscribable) Subscribe(context.Context, string) (*livefeed.Subscription, error) {
	u.Error("HEAD subscribes")
	return nil, courier.ErrUnavailable
}

// TestCourierEvent: the courier of an event is described as in the list of couriers.
func TestCourierEvent(t *testing.T) {
	got := string(rest.StreamEncoder{}.Change(livefeed.Change{
		ID: 4, At: time.Unix(0, 0), Source: "dispatcher:anna", CourierID: 7, CourierName: "Anna <&>", Transport: courier.Car, CourierChange: livefeed.CourierPaused,
		CourierPhone: "+79000000001", CourierStatus: courier.StatusBusy, CourierOrder: "o-7", PauseAfter: true, Deliveries: 3,
	}))
	want := `{"at":"1970-01-01T00:00:00Z","change":"paused","courier":{"id":7,"name":"Anna \u003c\u0026\u003e","phone":"+79000000001","status":"busy",` +
		`"transport_type":"car","pause_after_delivery":true,"order_id":"o-7","deliveries":3},"source":"dispatcher:anna"}`
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

// TestHEADOfTheStreamEnds: the mux routes HEAD to the GET, and the next request on the
// connection, behind a proxy of another client, waits for it.
func TestHEADOfTheStreamEnds(t *testing.T) {
	deps := dependencies(new(fake), io.Discard)
	deps.Stream = unsubscribable{t}
	statuses := make(served)
	deps.Requests = statuses
	w := do(rest.New(rest.Config{}, deps).Handler(), request(t, "HEAD /api/v1/stream", ""))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if statuses[http.StatusOK] != 1 {
		t.Errorf("counted %v", statuses)
	}
}

// served counts responses by their status.
type served map[int]int

func (s served) Served(_, _ string, status int, _ time.Duration) { s[status]++ }
func (served) Refused(string)                                    {}

func TestStuckClientIsDisconnected(t *testing.T) {
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
			t.Errorf("it was connected for %v", took)
		}
	})
}

// slowWire reads a chunk in 3 s.
type slowWire struct{ *wire }

func (w slowWire) Write(b []byte) (int, error) {
	<-time.After(3 * time.Second)
	if len(b) > 4<<10 || time.Now().After(w.write) {
		return 0, context.DeadlineExceeded
	}
	return w.wire.Write(b)
}

// TestSlowClient: a client that reads each chunk in time receives everything, although
// all of it takes longer than one chunk may; but only within a limit, since the events
// stay in memory until then.
func TestSlowClient(t *testing.T) {
	for chunks, served := range map[int]bool{6: true, 20: false} {
		synctest.Test(t, func(t *testing.T) {
			w := slowWire{&wire{header: make(http.Header)}}
			ended, leave := stream(t, still{waiting: []livefeed.ActiveOrder{{Reason: strings.Repeat("x", chunks*4<<10)}}}, nil, w)
			<-time.After(2 * time.Minute)
			leave()
			<-ended
			if got := strings.Contains(w.sent(), "event: live"); got != served {
				t.Errorf("%d chunks: complete: %t, want %t; %d bytes", chunks, got, served, len(w.sent()))
			}
		})
	}
}

// revocable is a token that can be revoked.
type revocable struct{ revoked atomic.Bool }

func (r *revocable) Caller(context.Context, string) (access.Caller, bool) {
	return access.Caller{Name: "monitor", Role: access.Read}, !r.revoked.Load()
}

// TestStreamEndsWhenTokenIsRevoked: also when changes leave no time for a heartbeat.
func TestStreamEndsWhenTokenIsRevoked(t *testing.T) {
	for name, journal := range map[string]still{"silence": {}, "changes": {busy: new(atomic.Int64)}} {
		synctest.Test(t, func(t *testing.T) {
			token, w := new(revocable), &wire{header: make(http.Header)}
			ended, _ := stream(t, journal, token, w)
			<-time.After(31 * time.Second)
			select {
			case <-ended:
				t.Fatalf("%s: ended: %s", name, w.sent())
			default:
			}
			synctest.Wait() // a change may be due now, too
			token.revoked.Store(true)
			before := w.sent()
			select {
			case <-ended:
			case <-time.After(16 * time.Second):
				t.Errorf("%s: continues without a token", name)
			}
			if more := strings.TrimPrefix(w.sent(), before); more != "" {
				t.Errorf("%s: sent without a token: %s", name, more)
			}
		})
	}
}

func TestStreamUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{header: make(http.Header)}
		ended, _ := stream(t, still{err: io.ErrUnexpectedEOF}, nil, w)
		<-ended
		if w.status != http.StatusServiceUnavailable || w.header.Get("Retry-After") == "" || !strings.Contains(w.sent(), `"code"`) {
			t.Errorf("status %d, %v: %s", w.status, w.header, w.sent())
		}
	})
}

package faults

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// front is a proxy of service-order that can break answers.
type front struct {
	t    *testing.T
	next http.Handler
	addr string
	gets atomic.Int64
	// lists counts the requests for the list of orders: one per resync.
	lists atomic.Int64
	bad   atomic.Pointer[http.HandlerFunc] // answers in place of service-order
	// harmed is when bad answered its first request; nil: not yet.
	harmed atomic.Pointer[time.Time]
	// unlisted fails the list of orders, and so every resync: only events are left.
	unlisted atomic.Bool

	mu     sync.Mutex
	server *httptest.Server
	hung   chan struct{} // closed to end hanging requests
}

func newFront(t *testing.T, next http.Handler) *front {
	t.Helper()
	f := &front{t: t, next: next, hung: make(chan struct{})}
	f.listen("127.0.0.1:0")
	f.addr = f.server.Listener.Addr().String()
	t.Cleanup(func() {
		f.heal()
		f.refuse()
	})
	return f
}

func (f *front) url() string { return "http://" + f.addr }

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.gets.Add(1)
	if r.URL.Path == listPath {
		f.lists.Add(1)
	}
	if f.unlisted.Load() && r.URL.Path == listPath {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if bad := f.bad.Load(); bad != nil {
		f.harmed.CompareAndSwap(nil, new(time.Now()))
		(*bad)(w, r)
		return
	}
	f.next.ServeHTTP(w, r)
}

func (f *front) listen(addr string) {
	f.t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.server = httptest.NewUnstartedServer(f)
	_ = f.server.Listener.Close()
	f.server.Listener = l
	f.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		// With a small buffer the bytes sent are about the bytes read.
		_ = c.(*net.TCPConn).SetWriteBuffer(16 << 10)
		return ctx
	}
	f.server.Start()
}

// refuse closes the port.
func (f *front) refuse() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server != nil {
		f.server.CloseClientConnections()
		f.server.Close()
		f.server = nil
	}
}

// fail answers every request with h.
func (f *front) fail(h http.HandlerFunc) { f.bad.Store(&h) }

// hang does not answer until the client gives up or heal is called.
func (f *front) hang(_ http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	hung := f.hung
	f.mu.Unlock()
	select {
	case <-r.Context().Done():
	case <-hung:
	}
}

// drip answers one byte a second.
func (f *front) drip(w http.ResponseWriter, r *http.Request) {
	for range 1000 {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// notFound is service-order's own 404.
func notFound(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"code":"not_found","message":"order not found"}`))
}

// heal restores normal answers.
func (f *front) heal() {
	f.bad.Store(nil)
	f.harmed.Store(nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.hung)
	f.hung = make(chan struct{})
	if f.server == nil {
		f.listen(f.addr)
	}
}

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

// front stands before service-order and breaks what passes.
type front struct {
	t    *testing.T
	next http.Handler
	addr string
	gets atomic.Int64
	// lists counts the sweeps: each asks for one.
	lists atomic.Int64
	bad   atomic.Pointer[http.HandlerFunc] // answers instead of service-order
	// harmed is when the first request came that bad answered; nil: none did.
	harmed atomic.Pointer[time.Time]
	// unlisted fails the list of orders, and with it every sweep: events alone must do.
	unlisted atomic.Bool

	mu     sync.Mutex
	server *httptest.Server
	hung   chan struct{} // closed to let hanging requests go
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
		// The system takes little ahead of the client: what was sent is about what was read.
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

// break makes every answer bad.
func (f *front) fail(h http.HandlerFunc) { f.bad.Store(&h) }

// hang answers nothing until the requester gives up, or heal.
func (f *front) hang(_ http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	hung := f.hung
	f.mu.Unlock()
	select {
	case <-r.Context().Done():
	case <-hung:
	}
}

// drip answers a byte at a time, a second each.
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

// heal makes everything work again.
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

// Package wire is a TCP proxy for fault tests. It forwards bytes until a trap springs:
// at a statement or request that the test names, one connection hangs or breaks. So a
// test chooses the moment of a crash without hooks in the product. The proxy knows no
// protocol: it searches for text in what a client sends.
package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Statements of the transaction of a batch, as the driver sends them: BEGIN together with
// the first statement, COMMIT together with the last. Only batches prepare these.
var (
	Begin  = execution("begin isolation level read committed")
	Commit = execution("commit")
)

// execution is in what the driver sends to execute a prepared statement, and not in what it
// sends to prepare it: the empty name of a portal comes before the name of the statement.
func execution(sql string) string {
	digest := sha256.Sum256([]byte(sql))
	return fmt.Sprintf("\x00stmtcache_%x\x00", digest[:24])
}

// Trap is the moment at which one connection stops for good.
type Trap struct {
	Text   string // in what the client sends
	Skip   int64  // how many matches are forwarded first
	Answer bool   // the request is forwarded and its answer lost; else the request is lost
	Cut    bool   // the connection breaks; else it hangs
}

// Wire is a proxy in front of a server.
type Wire struct {
	listener net.Listener
	to       string
	refused  []byte
	set      atomic.Pointer[trap]

	mu    sync.Mutex
	open  map[net.Conn]struct{} // nil when closed
	conns sync.WaitGroup
}

type trap struct {
	Trap
	left   atomic.Int64  // matches to forward
	sprung chan struct{} // closed when it springs
}

// New returns a Wire to the server at addr, until the test ends. A request that
// contains refused, if not empty, breaks its connection.
func New(tb testing.TB, addr, refused string) *Wire {
	tb.Helper()
	return At(tb, "127.0.0.1:0", addr, refused)
}

// At is New with the address of the proxy.
func At(tb testing.TB, at, addr, refused string) *Wire {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", at)
	if err != nil {
		tb.Fatal(err)
	}
	w := &Wire{listener: l, to: addr, refused: []byte(refused), open: make(map[net.Conn]struct{})}
	w.conns.Go(w.accept)
	tb.Cleanup(w.close)
	return w
}

// Addr is the address of the proxy.
func (w *Wire) Addr() string { return w.listener.Addr().String() }

// Lay sets a trap, which springs once and then closes sprung.
func (w *Wire) Lay(t Trap) (sprung <-chan struct{}) {
	laid := &trap{Trap: t, sprung: make(chan struct{})}
	laid.left.Store(t.Skip)
	w.set.Store(laid)
	return laid.sprung
}

// caught returns the trap if this request springs it.
func (w *Wire) caught(sent []byte) *trap {
	t := w.set.Load()
	if t == nil || !bytes.Contains(sent, []byte(t.Text)) || t.left.Add(-1) >= 0 || !w.set.CompareAndSwap(t, nil) {
		return nil
	}
	return t
}

func (w *Wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.conns.Go(func() { w.serve(client) })
	}
}

func (w *Wire) serve(client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", w.to)
	if err != nil || !w.keep(client, server) {
		return
	}
	defer w.drop(client, server)
	c := &connection{Wire: w, client: client, server: server}
	var back sync.WaitGroup
	back.Go(c.answers)
	c.requests()
	_ = server.Close()
	back.Wait()
}

func (w *Wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		if w.open == nil {
			_ = c.Close()
			continue
		}
		w.open[c] = struct{}{}
	}
	return w.open != nil
}

func (w *Wire) drop(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(w.open, c)
	}
}

func (w *Wire) close() {
	_ = w.listener.Close()
	w.mu.Lock()
	for c := range w.open {
		_ = c.Close()
	}
	w.open = nil
	w.mu.Unlock()
	w.conns.Wait()
}

// connection is one connection of a client.
type connection struct {
	*Wire
	client, server net.Conn
	lost           atomic.Pointer[trap] // loses the next answer
}

// requests forwards what the client sends. A trapped request is not forwarded, and the
// connection ends with its client.
func (c *connection) requests() {
	chunk := make([]byte, 32<<10)
	for {
		n, err := c.client.Read(chunk)
		if err != nil {
			return
		}
		if len(c.refused) > 0 && bytes.Contains(chunk[:n], c.refused) {
			return
		}
		switch t := c.caught(chunk[:n]); {
		case t == nil:
		case t.Answer:
			c.lost.Store(t)
		default:
			c.spring(t, c.client)
			return
		}
		if _, err := c.server.Write(chunk[:n]); err != nil {
			return
		}
	}
}

// answers forwards what the server sends.
func (c *connection) answers() {
	defer c.client.Close()
	chunk := make([]byte, 32<<10)
	for {
		n, err := c.server.Read(chunk)
		if err != nil {
			return
		}
		if t := c.lost.Load(); t != nil {
			c.spring(t, c.server)
			return
		}
		if _, err := c.client.Write(chunk[:n]); err != nil {
			return
		}
	}
}

// spring stops the connection: it breaks, or hangs until the other end of reader has
// closed.
func (c *connection) spring(t *trap, reader io.Reader) {
	close(t.sprung)
	if t.Cut {
		_ = c.client.Close()
		return
	}
	_, _ = io.Copy(io.Discard, reader)
}

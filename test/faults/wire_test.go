package faults

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"service-courier/internal/config"
)

// wire stands before PostgreSQL and passes bytes on, until a trap springs.
type wire struct {
	listener net.Listener
	to       string
	set      atomic.Pointer[trap]

	mu    sync.Mutex
	open  map[net.Conn]struct{} // nil when closed
	conns sync.WaitGroup
}

// trap is the moment at which one connection stops, for good.
type trap struct {
	statement string // as the driver sends it
	skip      atomic.Int64
	answer    bool          // PostgreSQL gets the statement, and its answer is lost
	cut       bool          // the connection breaks; else it hangs
	sprung    chan struct{} // closed at that moment
}

// Statements of the transaction of a batch. Nothing else begins one.
const (
	begin  = "begin isolation level"
	commit = "commit\x00"
)

func newWire(t *testing.T, database string) *wire {
	t.Helper()
	to, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &wire{listener: l, to: to.Host, open: make(map[net.Conn]struct{})}
	p.conns.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// through sends a replica to its database over the wire.
func (p *wire) through(c *config.Config) {
	u, err := url.Parse(c.DatabaseURL)
	if err != nil {
		panic(err) // newWire has parsed it already
	}
	u.Host = p.listener.Addr().String()
	c.DatabaseURL = u.String()
}

// lay sets a trap that springs once.
func (p *wire) lay(t *trap, skip int64) (sprung <-chan struct{}) {
	t.skip.Store(skip)
	t.sprung = make(chan struct{})
	p.set.Store(t)
	return t.sprung
}

// caught returns the trap when what a client sends springs it.
func (p *wire) caught(sent []byte) *trap {
	t := p.set.Load()
	if t == nil || !bytes.Contains(sent, []byte(t.statement)) || t.skip.Add(-1) >= 0 || !p.set.CompareAndSwap(t, nil) {
		return nil
	}
	return t
}

func (p *wire) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.conns.Go(func() { p.serve(client) })
	}
}

func (p *wire) serve(client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.to)
	if err != nil || !p.keep(client, server) {
		return
	}
	defer p.drop(client, server)
	c := &connection{wire: p, client: client, server: server}
	var back sync.WaitGroup
	back.Go(c.answers)
	c.statements()
	_ = server.Close()
	back.Wait()
}

func (p *wire) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.open == nil {
			_ = c.Close()
			continue
		}
		p.open[c] = struct{}{}
	}
	return p.open != nil
}

func (p *wire) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.open, c)
	}
}

func (p *wire) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for c := range p.open {
		_ = c.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.conns.Wait()
}

// connection is one of a client's.
type connection struct {
	*wire
	client, server net.Conn
	lost           atomic.Pointer[trap] // the next answer falls into it
}

// statements passes on what the client sends. One that falls into a trap is
// never passed on, and the connection ends when its client does.
func (c *connection) statements() {
	chunk := make([]byte, 32<<10)
	for {
		n, err := c.client.Read(chunk)
		if err != nil {
			return
		}
		switch t := c.caught(chunk[:n]); {
		case t == nil:
		case t.answer:
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

// answers passes on what PostgreSQL sends.
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

// spring stops the connection: it breaks, or hangs until the reader's other
// end has gone.
func (c *connection) spring(t *trap, reader io.Reader) {
	close(t.sprung)
	if t.cut {
		_ = c.client.Close()
		return
	}
	_, _ = io.Copy(io.Discard, reader)
}

// Package connections limits the connections of an HTTP server, and keeps room for health
// checks: requests that count use only a part of the connections, and the others give way
// to new ones, the one without such a request for longest first. Clients that only
// connect, send a request slowly, or read or send none, thus keep no other one out.
package connections

import (
	"container/list"
	"context"
	"errors"
	"net"
	"sync"
)

// Limit limits the connections of one listener.
type Limit struct {
	most    int
	counted int // requests at a time
	full    func()

	mu      sync.Mutex
	open    int
	serving int       // counted requests
	idle    list.List // of *conn without a counted request, the longest idle first
}

// New returns a Limit of most connections, at least 4, of which three quarters may serve
// counted requests. It calls full, which must not block, whenever a connection gives way.
func New(most int, full func()) *Limit {
	most = max(most, 4)
	return &Limit{most: most, counted: most * 3 / 4, full: full}
}

// Requests is how many counted requests there may be at a time.
func (l *Limit) Requests() int { return l.counted }

// Listener limits the connections of a listener.
func (l *Limit) Listener(next net.Listener) net.Listener { return listener{next, l} }

type listener struct {
	net.Listener
	limit *Limit
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, limit: l.limit}
	if gaveWay := l.limit.add(c); gaveWay != nil {
		_ = gaveWay.Close() // the client may try again
		l.limit.full()
	}
	return c, nil
}

// conn is a connection of the listener.
type conn struct {
	net.Conn
	limit *Limit
	place *list.Element // in idle; nil while it serves a counted request, or is closed
	gone  bool
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.limit.remove(c)
	return c.Conn.Close()
}

// CloseWrite lets net/http send an answer whose request it does not read to the end: a
// connection that is closed at once may be reset before the client has read the answer.
func (c *conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// add returns the connection to close for c, or nil.
func (l *Limit) add(c *conn) (gaveWay *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if longest := l.idle.Front(); l.open >= l.most && longest != nil {
		gaveWay = longest.Value.(*conn)
		l.drop(gaveWay)
	}
	l.open++
	c.place = l.idle.PushBack(c)
	return gaveWay
}

func (l *Limit) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(c)
}

// drop forgets a connection. Called with mu held.
func (l *Limit) drop(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	l.open--
	if c.place != nil {
		l.idle.Remove(c.place)
		c.place = nil
	}
}

type connKey struct{}

// Context is the ConnContext of the HTTP server.
func (l *Limit) Context(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Begin counts a request until end is called. It returns false when too many are being
// served. The connection of ctx, if there is one, is not closed meanwhile.
func (l *Limit) Begin(ctx context.Context) (end func(), ok bool) {
	c, _ := ctx.Value(connKey{}).(*conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.serving >= l.counted {
		return nil, false
	}
	l.serving++
	if c != nil && c.place != nil {
		l.idle.Remove(c.place)
		c.place = nil
	}
	return func() { l.end(c) }, true
}

func (l *Limit) end(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serving--
	if c != nil && !c.gone {
		c.place = l.idle.PushBack(c)
	}
}

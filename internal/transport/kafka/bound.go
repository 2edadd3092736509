package kafka

import (
	"context"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// boundBy makes the connections of a client break when ctx ends. Nothing else
// bounds sarama: its calls know no context, and its Close waits for them.
func boundBy(ctx context.Context, c *sarama.Config) {
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, dialer{ctx, c.Net.DialTimeout}
}

// dialer closes its connections when ctx ends.
type dialer struct {
	ctx     context.Context
	timeout time.Duration // of one connection
}

// Dial connects.
func (d dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout}).DialContext(d.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &boundConn{conn, context.AfterFunc(d.ctx, func() { _ = conn.Close() })}, nil
}

type boundConn struct {
	net.Conn
	stop func() bool
}

// Close closes the connection and waits for ctx no longer.
func (c *boundConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

package devkafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxFrame is the largest request, far above what kfake accepts as a batch. The first
// bytes of HTTP and TLS are much larger numbers.
const maxFrame = 16 << 20

// framedListener refuses what is not Kafka's protocol. kfake allocates the length that
// a request claims, and any web page can send an HTTP request to the port: "GET " is
// 1.2 GB.
type framedListener struct {
	net.Listener
	log *slog.Logger
}

// Accept implements net.Listener.
func (l framedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framedConn{Conn: conn, log: l.log}, nil
}

// framedConn passes on complete requests only: memory grows with what was received, not
// with what was claimed.
type framedConn struct {
	net.Conn
	log   *slog.Logger
	frame bytes.Buffer
}

// Read implements net.Conn.
func (c *framedConn) Read(b []byte) (int, error) {
	if c.frame.Len() == 0 {
		c.frame = bytes.Buffer{} // a large one is not kept
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	return c.frame.Read(b)
}

func (c *framedConn) next() error {
	length := make([]byte, 4)
	if _, err := io.ReadFull(c.Conn, length); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(length)
	if size > maxFrame {
		return c.refuse(fmt.Errorf("%d bytes: too large, or not Kafka's protocol", size))
	}
	c.frame.Write(length)
	if _, err := io.CopyN(&c.frame, c.Conn, int64(size)); err != nil {
		return err
	}
	request := c.frame.Bytes()[len(length):]
	if len(request) < 2 || kmsg.RequestForKey(int16(binary.BigEndian.Uint16(request))) == nil {
		return c.refuse(errors.New("unknown kind of request")) // kfake would panic
	}
	return nil
}

func (c *framedConn) refuse(err error) error {
	c.log.Warn("Kafka request refused", slog.String("client", c.RemoteAddr().String()), slog.Any("error", err))
	return err
}

package rest

import (
	"bufio"
	"iter"
	"net/http"
	"time"

	"service-courier/internal/usecase/livefeed"
)

// flushWithin is how long a client may take for what it is told at a time.
const flushWithin = 5 * time.Second

// eventWriter writes server-sent events.
type eventWriter struct {
	to     http.ResponseWriter
	buffer *bufio.Writer // the first error stays, and Flush returns it
	conn   *http.ResponseController
}

func newEventWriter(w http.ResponseWriter) *eventWriter {
	return &eventWriter{w, bufio.NewWriter(w), http.NewResponseController(w)}
}

// open begins the answer. The server's bounds are those of a request that ends:
// here each flush has its own.
func (e *eventWriter) open() error {
	h := e.to.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies such as nginx would keep events back
	if err := e.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if err := e.bound(); err != nil {
		return err
	}
	return e.flush()
}

// bound gives the client its time for what is written until the next bound.
func (e *eventWriter) bound() error { return e.conn.SetWriteDeadline(time.Now().Add(flushWithin)) }

func (e *eventWriter) heartbeat() error {
	if err := e.bound(); err != nil {
		return err
	}
	_, _ = e.buffer.WriteString(":\n\n")
	return e.flush()
}

func (e *eventWriter) events(messages iter.Seq[livefeed.Message]) error {
	if err := e.bound(); err != nil {
		return err
	}
	for m := range messages {
		if err := e.event(m); err != nil {
			return err
		}
	}
	return e.flush()
}

func (e *eventWriter) event(m livefeed.Message) error {
	if m.ID != "" {
		_, _ = e.buffer.WriteString("id: ")
		_, _ = e.buffer.WriteString(m.ID)
		_ = e.buffer.WriteByte('\n')
	}
	_, _ = e.buffer.WriteString("event: ")
	_, _ = e.buffer.WriteString(string(m.Kind))
	_, _ = e.buffer.WriteString("\ndata: ")
	_, _ = e.buffer.Write(m.Text)
	_, err := e.buffer.WriteString("\n\n")
	return err
}

func (e *eventWriter) flush() error {
	if err := e.buffer.Flush(); err != nil {
		return err
	}
	return e.conn.Flush()
}

package rest

import (
	"bufio"
	"iter"
	"net/http"
	"slices"
	"time"

	"service-courier/internal/usecase/livefeed"
)

const (
	// takeWithin is how long a client may take nothing of what it is told.
	takeWithin = 5 * time.Second
	// tellWithin is how long it may take for all that it is told at a time, which
	// is kept for it so long.
	tellWithin = 30 * time.Second
	// chunk is how much it is to take within takeWithin.
	chunk = 4 << 10
)

// eventWriter writes server-sent events.
type eventWriter struct {
	to     http.ResponseWriter
	buffer *bufio.Writer // the first error stays, and Flush returns it
	conn   *http.ResponseController
	until  time.Time // what is told now is to be told
}

func newEventWriter(w http.ResponseWriter) *eventWriter {
	e := &eventWriter{to: w, conn: http.NewResponseController(w)}
	e.buffer = bufio.NewWriterSize(e, chunk)
	return e
}

// open begins the answer. The server's bounds are those of a request that ends:
// here each chunk has its own.
func (e *eventWriter) open() error {
	h := e.to.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies such as nginx would keep events back
	if err := e.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	e.begin()
	return e.flush()
}

// begin gives the client its time for what is written until the next begin.
func (e *eventWriter) begin() { e.until = time.Now().Add(tellWithin) }

// Write implements io.Writer for the buffer, chunk by chunk: a client that reads
// slowly is served, one that does not read is not waited for.
func (e *eventWriter) Write(b []byte) (n int, err error) {
	for part := range slices.Chunk(b, chunk) {
		if err := e.bound(); err != nil {
			return n, err
		}
		wrote, err := e.to.Write(part)
		n += wrote
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (e *eventWriter) bound() error {
	deadline := time.Now().Add(takeWithin)
	if e.until.Before(deadline) {
		deadline = e.until
	}
	return e.conn.SetWriteDeadline(deadline)
}

func (e *eventWriter) heartbeat() error {
	e.begin()
	_, _ = e.buffer.WriteString(":\n\n")
	return e.flush()
}

func (e *eventWriter) events(messages iter.Seq[livefeed.Message]) error {
	e.begin()
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
	if err := e.bound(); err != nil {
		return err
	}
	return e.conn.Flush()
}

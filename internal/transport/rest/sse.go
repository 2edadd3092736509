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
	chunkTimeout = 5 * time.Second  // to read one chunk
	sendTimeout  = 30 * time.Second // to read all events sent at a time, which stay in memory until then
	chunkSize    = 4 << 10
)

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

// eventWriter writes server-sent events. The server's own timeouts are those of a
// request that ends; here each chunk has its own.
type eventWriter struct {
	w      http.ResponseWriter
	buffer *bufio.Writer // the first error stays, and Flush returns it
	conn   *http.ResponseController
	until  time.Time // deadline of the events being sent
}

func newEventWriter(w http.ResponseWriter) *eventWriter {
	e := &eventWriter{w: w, conn: http.NewResponseController(w)}
	e.buffer = bufio.NewWriterSize(e, chunkSize)
	return e
}

// open sends the header.
func (e *eventWriter) open() error {
	h := e.w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("X-Accel-Buffering", "no") // or proxies such as nginx buffer events
	if err := e.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	e.begin()
	return e.flush()
}

// begin starts the time for the events written until the next begin.
func (e *eventWriter) begin() { e.until = time.Now().Add(sendTimeout) }

// Write implements io.Writer for the buffer, chunk by chunk, so that a slow client
// is served and a stuck one is disconnected.
func (e *eventWriter) Write(b []byte) (n int, err error) {
	for part := range slices.Chunk(b, chunkSize) {
		if err := e.setDeadline(); err != nil {
			return n, err
		}
		wrote, err := e.w.Write(part)
		n += wrote
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (e *eventWriter) setDeadline() error {
	deadline := time.Now().Add(chunkTimeout)
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

// finish lets net/http write the end of the body: the last deadline has passed in silence.
func (e *eventWriter) finish() error {
	e.begin()
	return e.setDeadline()
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
	if err := e.setDeadline(); err != nil {
		return err
	}
	return e.conn.Flush()
}

package client

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Event is one server-sent event.
type Event struct {
	ID   string // position in the journal; opaque
	Name string // snapshot or the kind of change
	Data []byte // JSON
}

const (
	// reconnectAfter is used until the server sends a retry time.
	reconnectAfter = time.Second
	// maxEvent bounds a line; the longest is a snapshot.
	maxEvent = 16 << 20
	// idleAfter is more than three heartbeats of the server (15 s).
	idleAfter = time.Minute
)

var errIdle = errors.New("no heartbeat for a minute")

// Tail calls handle for each event with data of the stream at path, until ctx ends,
// handle fails or the server refuses. When the connection breaks it calls broken
// and continues after the last event. The first connection has to succeed.
func (c *Client) Tail(ctx context.Context, path string, handle func(Event) error, broken func(error)) error {
	at := position{retry: reconnectAfter}
	for {
		err := c.stream(ctx, path, &at, handle)
		var refused *APIError
		var stopped *handleError
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the caller ended the stream
		case errors.As(err, &stopped):
			return stopped.err
		case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError, !at.connected:
			return err
		}
		broken(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(at.retry):
		}
	}
}

// position is the position in a stream and the time until the next connection.
type position struct {
	connected bool   // at least once
	lastID    string // "": start with a snapshot
	retry     time.Duration
}

// handleError distinguishes an error of handle from those of the connection.
type handleError struct{ err error }

func (e *handleError) Error() string { return e.err.Error() }

func (c *Client) stream(ctx context.Context, path string, at *position, handle func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	header := http.Header{"Accept": {"text/event-stream"}}
	if at.lastID != "" {
		header.Set("Last-Event-ID", at.lastID)
	}
	idle := time.AfterFunc(idleAfter, func() { cancel(errIdle) })
	defer idle.Stop()
	res, err := c.send(ctx, http.MethodGet, path, nil, nil, header)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	at.connected = true
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxEvent)
	var event Event
	for lines.Scan() {
		idle.Reset(idleAfter)
		if name, value := field(lines.Text()); name != "" {
			at.take(name, value)
			event.take(name, value)
			continue
		}
		if lines.Text() != "" { // a comment, which is a heartbeat
			continue
		}
		if event.Data != nil {
			if err := handle(event); err != nil {
				return &handleError{err}
			}
		}
		// "live" has no data, but the first id after a snapshot. A snapshot has no id and
		// starts over. The blank line after a heartbeat changes nothing.
		if event.ID != "" || event.Data != nil {
			at.lastID = event.ID
		}
		event = Event{ID: event.ID}
	}
	return fmt.Errorf("the stream was interrupted: %w", cmp.Or(context.Cause(ctx), lines.Err(), io.ErrUnexpectedEOF))
}

// field splits a line of an event as in the HTML standard. A comment, which is a
// heartbeat, has no name.
func field(line string) (name, value string) {
	name, value, _ = strings.Cut(line, ":")
	return name, strings.TrimPrefix(value, " ")
}

func (p *position) take(name, value string) {
	if ms, err := strconv.ParseUint(value, 10, 16); name == "retry" && err == nil {
		p.retry = time.Duration(ms) * time.Millisecond
	}
}

func (e *Event) take(name, value string) {
	switch name {
	case "id":
		e.ID = value
	case "event":
		e.Name = value
	case "data":
		if e.Data != nil {
			e.Data = append(e.Data, '\n')
		}
		e.Data = append(e.Data, value...)
	}
}

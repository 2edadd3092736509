package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/term"

	"service-courier/internal/cli/client"
	"service-courier/internal/cli/output"
)

// Watch is how a command is repeated.
type Watch struct {
	On       bool
	Interval time.Duration
	Strict   bool // any error ends it
}

// MinInterval is the shortest Watch.Interval.
const MinInterval = 100 * time.Millisecond

func (w Watch) validate(format output.Format) error {
	switch {
	case w.On && format == output.JSON:
		return Usagef("-o json writes one document, which --watch never completes: use -o ndjson")
	case w.Interval < MinInterval:
		return Usagef("--interval: want %v or more", MinInterval)
	}
	return nil
}

// watch runs a command once, or until ctx ends. A table is redrawn on a terminal; everything
// else is appended. An error that may pass does not end it.
func (s *Server) watch(ctx context.Context, w Watch, once func(*Server) error) error {
	if err := w.validate(s.out.Format); err != nil {
		return err
	}
	if !w.On {
		return once(s)
	}
	screen := s.screen()
	for began := false; ; began = true {
		err := screen.show(s, w, once, func(err error) bool { return !w.Strict && mayPass(err, began) })
		if err != nil && ctx.Err() == nil { // not an interrupted request
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(w.Interval):
		}
	}
}

// screen is the terminal on which tables are redrawn; nil when there is none.
type screen struct{ *os.File }

func (s *Server) screen() screen {
	file, _ := s.out.Out.(*os.File)
	if s.out.Format != output.Table || !IsTerminal(s.out.Out) {
		file = nil
	}
	return screen{file}
}

// show runs a command once, and shows what it prints or an error that passes.
func (t screen) show(s *Server, w Watch, once func(*Server) error, passes func(error) bool) error {
	var page bytes.Buffer
	shown := *s
	if t.File != nil {
		fmt.Fprintf(&page, "%s, every %v; Ctrl-C ends\n", time.Now().UTC().Format(time.DateTime+" MST"), w.Interval)
		shown.out.Out, shown.notes = &page, &page
	}
	if err := once(&shown); err != nil {
		if !passes(err) {
			return err
		}
		fmt.Fprintln(shown.notes, output.PrintableLines(err.Error()))
	}
	if t.File == nil {
		return nil
	}
	_, rows, err := term.GetSize(int(t.Fd()))
	if err != nil {
		rows = 0
	}
	_, err = t.Write(redraw(page.Bytes(), rows))
	return err
}

// The control sequences of a terminal.
const (
	toTop      = "\x1b[H"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
	wrapOff    = "\x1b[?7l" // a long line is cut off, so that it takes one row
	wrapOn     = "\x1b[?7h"
)

// redraw writes a page over the one before, without flicker: of more lines than the terminal
// has rows (0: unknown), the first ones.
func redraw(page []byte, rows int) []byte {
	lines := bytes.Split(bytes.TrimSuffix(page, []byte("\n")), []byte("\n"))
	hidden := 0
	if rows > 2 && len(lines) >= rows { // the cursor needs the last row
		hidden = len(lines) - (rows - 2)
		lines = append(lines[:rows-2:rows-2], fmt.Appendf(nil, "… %d more lines", hidden))
	}
	var b bytes.Buffer
	b.WriteString(wrapOff + toTop)
	for _, line := range lines {
		b.Write(line)
		b.WriteString(clearLine + "\r\n")
	}
	b.WriteString(clearBelow + wrapOn)
	return b.Bytes()
}

// mayPass reports whether a later request may succeed. A server that was not reached at
// first has another address.
func mayPass(err error, began bool) bool {
	if _, precondition := errors.AsType[preconditionError](err); precondition {
		return true
	}
	if api, ok := errors.AsType[*client.APIError](err); ok {
		return began && (api.Status == http.StatusServiceUnavailable || api.Status == http.StatusTooManyRequests)
	}
	_, unreachable := errors.AsType[*client.UnreachableError](err)
	return began && unreachable
}

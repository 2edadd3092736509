// Package logging makes the log of the service.
package logging

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"
)

// The formats.
const (
	Text = "text"
	JSON = "json"
)

// NewHandler returns a handler that writes a format, or for "" Text on a terminal and JSON
// elsewhere. Each record at warn or error names its section of the runbook.
func NewHandler(out io.Writer, format string, level slog.Level) slog.Handler {
	if format == "" {
		format = JSON
		if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			format = Text
		}
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: durations}
	if format == Text {
		return runbook{slog.NewTextHandler(out, options)}
	}
	return runbook{slog.NewJSONHandler(out, options)}
}

// durations writes a duration as text, such as "1m30s": slog's nanoseconds do not show
// their unit.
func durations(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// runbook adds the section of the runbook to records at warn or error.
type runbook struct{ slog.Handler }

// Handle implements slog.Handler.
func (h runbook) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		r = r.Clone() // other handlers may have the same record
		r.AddAttrs(slog.String("runbook", runbookPath+Section(r)))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h runbook) WithAttrs(attrs []slog.Attr) slog.Handler {
	return runbook{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h runbook) WithGroup(name string) slog.Handler { return runbook{h.Handler.WithGroup(name)} }

const runbookPath = "docs/runbook.md"

// Section returns the section of the runbook on a record, such as "#postgresql": the one on
// its message, or on its component, since all outages have one message. It is "" for a
// message that the runbook does not have.
func Section(r slog.Record) string {
	section, ok := sections[r.Message]
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "component" && !ok {
			section, ok = sections[a.Value.String()]
		}
		return !ok
	})
	if !ok && (strings.HasPrefix(r.Message, "http: ") || strings.HasPrefix(r.Message, "http2: ")) { // of net/http
		section = httpAPI
	}
	return section
}

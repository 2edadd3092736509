package logging_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"service-courier/internal/logging"
)

func TestFormats(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		logging.Text: `level=INFO msg=served took=1m30s`,
		logging.JSON: `"level":"INFO","msg":"served","took":"1m30s"}`,
		"":           `"level":"INFO","msg":"served","took":"1m30s"}`, // a buffer is no terminal
	} {
		var out bytes.Buffer
		log := slog.New(logging.NewHandler(&out, format, slog.LevelInfo))
		log.Debug("hidden")
		log.Info("served", slog.Duration("took", 90*time.Second))
		if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, "hidden") || strings.Contains(got, "runbook") {
			t.Errorf("%q: %s", format, got)
		}
	}
}

// TestWarningsNameTheirSection: by message, by the component of an outage, and for the
// messages of net/http; attributes of the logger change nothing.
func TestWarningsNameTheirSection(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(logging.NewHandler(&out, logging.Text, slog.LevelInfo)).With(slog.String("replica", "a"))
	for want, write := range map[string]func(){
		"runbook=docs/runbook.md#missing-orders\n": func() { log.Warn("active orders missing in service-order", slog.Int("missing", 1)) },
		"runbook=docs/runbook.md#nothing-is-read\n": func() {
			log.Warn("dependency unavailable, retrying", slog.String("component", "kafka topic"), slog.Any("error", io.EOF))
		},
		"runbook=docs/runbook.md#is-it-working\n": func() { log.Error("panic recovered", slog.String("component", "recheck")) },
		"runbook=docs/runbook.md#http-api\n":      func() { slog.NewLogLogger(log.Handler(), slog.LevelWarn).Print("http: no luck") },
		"runbook=docs/runbook.md\n":               func() { log.Error("unheard of") },
	} {
		out.Reset()
		write()
		if got := out.String(); !strings.HasSuffix(got, want) {
			t.Errorf("%s has not %s", got, want)
		}
	}
}

package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"service-courier/internal/config"
)

// TestLogSaysItsUnits, in a group as well.
func TestLogSaysItsUnits(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	jsonLog(&out, slog.LevelInfo).InfoContext(t.Context(), "served",
		slog.Duration("took", 625353*time.Nanosecond), slog.Any("settings", config.Config{SweepInterval: time.Minute}))
	for _, want := range []string{`"took":"625.353µs"`, `"sweep_interval":"1m0s"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, &out)
		}
	}
}

package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"service-courier/internal/config"
)

func TestLogShowsUnitsOfDurations(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	NewLog(&out, config.Config{}).InfoContext(t.Context(), "served",
		slog.Duration("took", 625353*time.Nanosecond), slog.Any("settings", config.Config{ResyncInterval: time.Minute}))
	for _, want := range []string{`"took":"625.353µs"`, `"resync_interval":"1m0s"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, &out)
		}
	}
}

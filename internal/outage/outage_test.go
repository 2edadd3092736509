package outage_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"service-courier/internal/outage"
)

func TestSaysItOnce(t *testing.T) {
	var out bytes.Buffer
	l := outage.New(slog.New(slog.NewTextHandler(&out, nil)), "kafka")
	l.Works(t.Context())
	for range 3 {
		l.Failed(t.Context(), errors.New("refused"))
	}
	l.Works(t.Context())
	l.Works(t.Context())
	l.Failed(t.Context(), errors.New("refused again"))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("want an outage, its end and the next outage; got:\n%s", out.String())
	}
	for i, want := range []string{"error=refused", "tries=3", `error="refused again"`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d = %s, want %s in it", i, lines[i], want)
		}
	}
}

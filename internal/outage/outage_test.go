package outage_test

import (
	"bytes"
	"errors"
	"fmt"
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

// TestTellsTheNextFault: what was mended may have hidden it, and it may come and
// go with the first.
func TestTellsTheNextFault(t *testing.T) {
	var out bytes.Buffer
	l := outage.New(slog.New(slog.NewTextHandler(&out, nil)), "kafka")
	authority := outage.Mendable{Err: errors.New("unknown authority"), Mend: "correct KAFKA_TLS_CA_FILE"}
	password := fmt.Errorf("connect: %w", outage.Mendable{Err: errors.New("refused"), Mend: "correct KAFKA_SASL_PASSWORD"})
	for range 3 {
		for _, err := range []error{authority, password, errors.New("connection refused")} {
			l.Failed(t.Context(), err)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "unknown authority; correct") || !strings.Contains(lines[1], "connect: refused; correct") {
		t.Errorf("want a line for each of the two, got:\n%s", out.String())
	}
}

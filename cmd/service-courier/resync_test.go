package main

import (
	"testing"
	"time"
)

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"24h": now.Add(-24 * time.Hour), "0s": now, "2026-01-01T00:00:00Z": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parseSince(s, now); err != nil || !got.Equal(want) {
			t.Errorf("parseSince(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "yesterday", "-1h", "2026-01-01"} {
		if got, err := parseSince(s, now); err == nil {
			t.Errorf("parseSince(%q) = %v, want an error", s, got)
		}
	}
}

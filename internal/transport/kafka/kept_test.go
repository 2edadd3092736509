package kafka

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
)

func TestKept(t *testing.T) {
	for _, c := range []struct {
		policy, retention, segment string
		want                       time.Duration
		bad                        bool
	}{
		{"delete", "3600000", "60000", time.Hour + time.Minute, false},
		{"delete", "-1", "60000", Forever, false},
		{"delete", "9223372036854775807", "60000", Forever, false},
		{"compact", "3600000", "60000", Forever, false},
		{"compact,delete", "3600000", "60000", time.Hour + time.Minute, false},
		{"delete", "an hour", "60000", 0, true},
		{"delete", "", "", 0, true},
	} {
		var entries []sarama.ConfigEntry
		for name, value := range map[string]string{"retention.ms": c.retention, "segment.ms": c.segment} {
			if value != "" {
				entries = append(entries, sarama.ConfigEntry{Name: name, Value: value})
			}
		}
		entries = append([]sarama.ConfigEntry{{Name: "cleanup.policy", Value: c.policy}}, entries...)
		if got, err := kept(entries); got != c.want || (err != nil) != c.bad {
			t.Errorf("%+v: kept for %v, %v", c, got, err)
		}
	}
}

// keepsEvents asks a broker that has its defaults: seven days, and seven more until
// a segment is full of age.
func keepsEvents(b bench) {
	got, err := Kept(b.Context(), b.cfg)
	if want := 14 * 24 * time.Hour; err != nil || got != want {
		b.Errorf("the topic keeps events for %v, %v; want %v", got, err, want)
	}
}

package config_test

import (
	"maps"
	"strings"
	"testing"

	"service-courier/internal/config"
)

// TestPorts: one that cannot be is told at the start, not tried for ever.
func TestPorts(t *testing.T) {
	for setting, accepted := range map[string]bool{
		"HTTP_ADDR=127.0.0.1:99999":                false,
		"HTTP_ADDR=127.0.0.1:-1":                   false,
		"HTTP_ADDR=127.0.0.1:0":                    true, // any
		"HTTP_ADDR=127.0.0.1:65535":                true,
		"PPROF_ADDR=127.0.0.1:65536":               false,
		"PPROF_ADDR=127.0.0.1:0":                   true,
		"KAFKA_BROKERS=a:9092,localhost:99999":     false,
		"KAFKA_BROKERS=localhost:0":                false,
		"KAFKA_BROKERS=localhost:65535":            true,
		"ORDER_SERVICE_URL=http://localhost:99999": false,
		"ORDER_SERVICE_URL=http://localhost":       true,
	} {
		name, value, _ := strings.Cut(setting, "=")
		all := map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092"}
		maps.Copy(all, map[string]string{name: value})
		setenv(t, all)
		_, err := config.Load()
		if accepted && err != nil || !accepted && (err == nil || !strings.Contains(err.Error(), name+" ") || !strings.Contains(err.Error(), "65535")) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	t.Setenv("HTTP_ADDR", "127.0.0.1:99999")
	if _, err := config.LoadHTTPAddr(); err == nil || !strings.Contains(err.Error(), "65535") {
		t.Errorf("HTTP_ADDR alone: %v", err)
	}
}

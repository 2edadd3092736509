package config_test

import (
	"strings"
	"testing"

	"service-courier/internal/config"
)

// Only HTTP_ADDR counts: a probe works beside settings that are wrong.
func TestLoadHTTPAddr(t *testing.T) {
	for addr, want := range map[string]string{"": "127.0.0.1:8082", "0.0.0.0:80": "0.0.0.0:80"} {
		setenv(t, map[string]string{"LOG_LEVEL": "loud", "DATABASE_URL": "none"})
		if addr != "" {
			t.Setenv("HTTP_ADDR", addr)
		}
		if got, err := config.LoadHTTPAddr(); got != want || err != nil {
			t.Errorf("HTTP_ADDR=%s: %q, %v", addr, got, err)
		}
	}
	t.Setenv("HTTP_ADDR", "8082")
	if _, err := config.LoadHTTPAddr(); err == nil || !strings.Contains(err.Error(), "HTTP_ADDR") {
		t.Errorf("a port alone: %v", err)
	}
}

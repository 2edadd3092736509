package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"service-courier/internal/config"
)

const (
	goodToken  = "ann:operate:sesame-sesame-sesame-sesame"
	otherToken = "bob:read:SESAME-sesame-sesame-sesame"
)

// TestReachableFromOutside: without tokens only INSECURE opens the API to others.
func TestReachableFromOutside(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(otherToken), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"0.0.0.0:8082", ":8082", "192.168.1.1:80", "[::]:80", "example.org:80"} {
		for _, tt := range []struct {
			settings map[string]string
			accepted bool
			open     bool
		}{
			{map[string]string{}, false, true},
			{map[string]string{"INSECURE": "false"}, false, true},
			{map[string]string{"INSECURE": "1"}, true, true},
			{map[string]string{"API_TOKENS": goodToken}, true, false},
			{map[string]string{"API_TOKENS_FILE": file}, true, false},
			{map[string]string{"API_TOKENS": goodToken, "INSECURE": "1"}, true, false},
		} {
			setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:1", "HTTP_ADDR": addr})
			for name, value := range tt.settings {
				t.Setenv(name, value)
			}
			got, err := config.Load()
			if (err == nil) != tt.accepted || got.Open() != tt.open || got.Private() {
				t.Errorf("HTTP_ADDR=%s %v: open %t, private %t, %v", addr, tt.settings, got.Open(), got.Private(), err)
			}
		}
	}
}

func TestLoopbackNeedsNoTokens(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "localhost:80", "[::1]:80", "127.0.0.5:1"} {
		setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:1", "HTTP_ADDR": addr})
		if got, err := config.Load(); err != nil || got.Open() || !got.Private() {
			t.Errorf("HTTP_ADDR=%s: open %t, private %t, %v", addr, got.Open(), got.Private(), err)
		}
		t.Setenv("API_TOKENS", goodToken)
		if got, err := config.Load(); err != nil || got.Private() {
			t.Errorf("HTTP_ADDR=%s with tokens: private %t, %v", addr, got.Private(), err)
		}
	}
}

// TestBadTokensStopTheStart, and show none.
func TestBadTokensStopTheStart(t *testing.T) {
	dir := t.TempDir()
	empty, bad := filepath.Join(dir, "empty"), filepath.Join(dir, "bad")
	for path, text := range map[string]string{empty: "# nobody\n", bad: "ann:admin:sesame-sesame-sesame-sesame"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, settings := range map[string]map[string]string{
		"no token":     {"API_TOKENS": ","},
		"short":        {"API_TOKENS": goodToken + ",bob:read:sesame"},
		"both":         {"API_TOKENS": goodToken, "API_TOKENS_FILE": bad},
		"no file":      {"API_TOKENS_FILE": filepath.Join(dir, "none")},
		"empty file":   {"API_TOKENS_FILE": empty},
		"bad file":     {"API_TOKENS_FILE": bad},
		"pprof beyond": {"PPROF_ADDR": "0.0.0.0:6060"},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:1"})
			for setting, value := range settings {
				t.Setenv(setting, value)
			}
			_, err := config.Load()
			if err == nil || strings.Contains(err.Error(), "sesame") {
				t.Fatalf("err = %v", err)
			}
			for setting := range settings {
				if !strings.Contains(err.Error(), setting) {
					t.Errorf("%v does not name %s", err, setting)
				}
			}
		})
	}
}

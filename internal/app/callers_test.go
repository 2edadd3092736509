package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"service-courier/internal/config"
)

// TestOpenToTheNetworkIsSaidLoudly, and only then.
func TestOpenToTheNetworkIsSaidLoudly(t *testing.T) {
	const tokens = "ann:operate:sesame-sesame-sesame-sesame"
	for name, tt := range map[string]struct {
		cfg         config.Config
		asks, warns bool
	}{
		"loopback":                     {config.Config{HTTPAddr: "127.0.0.1:8082"}, false, false},
		"insecure":                     {config.Config{HTTPAddr: ":8082", Insecure: true}, false, true},
		"tokens":                       {config.Config{HTTPAddr: ":8082", APITokens: tokens}, true, false},
		"tokens on loopback":           {config.Config{HTTPAddr: "127.0.0.1:8082", APITokens: tokens}, true, false},
		"tokens, and insecure all the": {config.Config{HTTPAddr: ":8082", APITokens: tokens, Insecure: true}, true, false},
	} {
		var log bytes.Buffer
		callers, err := callersOf(t.Context(), tt.cfg, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil || (callers != nil) != tt.asks {
			t.Errorf("%s: asks for tokens: %t, %v", name, callers != nil, err)
		}
		if warned := strings.Contains(log.String(), "level=WARN msg=\"INSECURE"); warned != tt.warns || strings.Contains(log.String(), "sesame") {
			t.Errorf("%s: log %q", name, &log)
		}
	}
}

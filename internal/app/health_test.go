package app

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Each answer of a service, and what a probe makes of it.
func TestHealth(t *testing.T) {
	const lacking = `{"status":"not_ready","parts":[
		{"name":"schema","status":"failing","required":true,"detail":"it is old"},
		{"name":"order_service","status":"failing","required":false,"detail":"away"}]}`
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, lacking)
		}
	}))
	addr := service.Listener.Addr().String()
	t.Setenv("HTTP_ADDR", addr)
	if err := Health(t.Context(), false, io.Discard); err != nil {
		t.Errorf("it lives: %v", err)
	}
	err := Health(t.Context(), true, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "503: schema: it is old") || strings.Contains(err.Error(), "order_service") {
		t.Errorf("it lacks its schema: %v", err)
	}
	service.Close()
	if err := Health(t.Context(), false, io.Discard); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("it is not there: %v", err)
	}
}

func TestReachable(t *testing.T) {
	for listened, want := range map[string]string{
		":8082": "127.0.0.1:8082", "0.0.0.0:8082": "127.0.0.1:8082", "[::]:8082": "[::1]:8082",
		"127.0.0.1:1": "127.0.0.1:1", "10.0.0.1:1": "10.0.0.1:1", "courier:1": "courier:1",
	} {
		if got := reachable(listened); got != want {
			t.Errorf("%s: %s, want %s", listened, got, want)
		}
		if _, _, err := net.SplitHostPort(reachable(listened)); err != nil {
			t.Error(err)
		}
	}
}

package cli

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	const notReady = `{"status":"not_ready","components":[
		{"name":"schema","status":"failing","required":true,"detail":"schema is old"},
		{"name":"order_service","status":"failing","required":false,"detail":"no answer"}]}`
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, notReady)
		}
	}))
	addr := service.Listener.Addr().String()
	t.Setenv("HTTP_ADDR", addr)
	if err := Health(t.Context(), false, io.Discard); err != nil {
		t.Errorf("alive: %v", err)
	}
	err := Health(t.Context(), true, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "503: schema: schema is old") || strings.Contains(err.Error(), "order_service") {
		t.Errorf("no schema: %v", err)
	}
	service.Close()
	if err := Health(t.Context(), false, io.Discard); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("stopped: %v", err)
	}
}

func TestDialAddr(t *testing.T) {
	for listened, want := range map[string]string{
		":8082": "127.0.0.1:8082", "0.0.0.0:8082": "127.0.0.1:8082", "[::]:8082": "[::1]:8082",
		"127.0.0.1:1": "127.0.0.1:1", "10.0.0.1:1": "10.0.0.1:1", "courier:1": "courier:1",
	} {
		if got := dialAddr(listened); got != want {
			t.Errorf("%s: %s, want %s", listened, got, want)
		}
		if _, _, err := net.SplitHostPort(dialAddr(listened)); err != nil {
			t.Error(err)
		}
	}
}

func TestMissingOrders(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "service-order has every active order",
		2: "active orders missing in service-order: 2",
	} {
		if got := missingOrders(n); got != want {
			t.Errorf("%d missing: %q, want %q", n, got, want)
		}
	}
}

package app

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"service-courier/internal/config"
)

func TestWarnsOfOpenAPIOnNetwork(t *testing.T) {
	const tokens = "ann:operate:sesame-sesame-sesame-sesame"
	for name, tt := range map[string]struct {
		cfg                config.Config
		needsTokens, warns bool
	}{
		"loopback":                     {config.Config{HTTPAddr: "127.0.0.1:8082"}, false, false},
		"insecure":                     {config.Config{HTTPAddr: ":8082", Insecure: true}, false, true},
		"tokens":                       {config.Config{HTTPAddr: ":8082", APITokens: tokens}, true, false},
		"tokens on loopback":           {config.Config{HTTPAddr: "127.0.0.1:8082", APITokens: tokens}, true, false},
		"tokens, and insecure all the": {config.Config{HTTPAddr: ":8082", APITokens: tokens, Insecure: true}, true, false},
	} {
		var log bytes.Buffer
		callers, err := loadCallers(t.Context(), tt.cfg, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil || (callers != nil) != tt.needsTokens {
			t.Errorf("%s: needs tokens: %t, %v", name, callers != nil, err)
		}
		if warned := strings.Contains(log.String(), "level=WARN msg=\"api open to the network"); warned != tt.warns || strings.Contains(log.String(), "sesame") {
			t.Errorf("%s: log %q", name, &log)
		}
	}
}

// TestProfilesAreBounded: no request occupies the listener of profiles for long, and
// none under another host name is served.
func TestProfilesAreBounded(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config = newPprofServer(slog.New(slog.DiscardHandler))
	server.Start()
	defer server.Close()
	server.Client().Timeout = 10 * time.Second
	for _, tt := range []struct {
		line, host string
		status     int
	}{
		{"GET profile?seconds=100000", "", http.StatusBadRequest},
		{"GET profile?seconds=9223372036854775807", "", http.StatusBadRequest},
		{"GET trace?seconds=100000", "", http.StatusBadRequest},
		{"GET trace?seconds=1e300", "", http.StatusBadRequest},
		{"GET trace?seconds=Inf", "", http.StatusBadRequest},
		{"GET heap?seconds=100000", "", http.StatusBadRequest},
		{"GET block?seconds=121", "", http.StatusBadRequest},
		{"GET trace?seconds=NaN", "", http.StatusBadRequest},
		{"HEAD profile", "", http.StatusOK}, // 30 s by default
		{"HEAD trace?seconds=60", "", http.StatusOK},
		{"POST profile?seconds=60", "", http.StatusMethodNotAllowed},
		{"GET profile?seconds=60", "evil.example:6060", http.StatusMisdirectedRequest},
		{"GET heap", "evil.example", http.StatusMisdirectedRequest},
		{"GET heap", "localhost:6060", http.StatusOK},
		{"GET trace?seconds=0.01", "", http.StatusOK},
	} {
		method, path, _ := strings.Cut(tt.line, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/debug/pprof/"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		began := time.Now()
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if took := time.Since(began); resp.StatusCode != tt.status || took > 10*time.Second {
			t.Errorf("%s, Host %q: %d after %v, want %d", tt.line, tt.host, resp.StatusCode, took, tt.status)
		}
	}
}

// TestConnectionsLeaveDescriptors for the connections of the service itself.
func TestConnectionsLeaveDescriptors(t *testing.T) {
	for descriptors, want := range map[uint64]int{0: 64, 300: 64, 400: 64, 1024: 644, 4096: 3716, 1 << 20: 8192, math.MaxUint64: 8192} {
		if got := connectionsOf(descriptors); got != want {
			t.Errorf("%d descriptors: %d connections, want %d", descriptors, got, want)
		}
	}
	if got := apiConnections(); got < 64 || got > maxAPIConnections {
		t.Errorf("%d connections here", got)
	}
}

// TestEventsPageRefusesWithProblems: at EVENTS_ADDR another method, and what is not served there,
// get the problems of the API.
func TestEventsPageRefusesWithProblems(t *testing.T) {
	handler := eventsOnly(http.NotFoundHandler())
	for line, want := range map[string]string{
		"POST /api/v1/couriers":             "method_not_allowed",
		"POST /api/v1/orders/o-1/recheck":   "method_not_allowed",
		"DELETE /api/v1/couriers/1":         "method_not_allowed",
		"GET /metrics":                      "route_not_found",
		"POST /dev/v1/order-service/orders": "route_not_found",
	} {
		method, path, _ := strings.Cut(line, " ")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
		if h := w.Header(); h.Get("Content-Type") != "application/problem+json" || !strings.Contains(w.Body.String(), `"code":"`+want+`"`) || (w.Code == http.StatusMethodNotAllowed) != (h.Get("Allow") == "GET, HEAD") {
			t.Errorf("%s: %d %v %s, want %s", line, w.Code, h, w.Body, want)
		}
	}
}

// TestEventsPageHasLimitedConnections: idle ones at EVENTS_ADDR leave descriptors to the API.
func TestEventsPageHasLimitedConnections(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Listener = limitEvents(server.Listener)
	server.Start()
	defer server.Close()
	var conns []net.Conn
	for range maxEventsConnections + 1 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	if err := conns[0].SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := conns[0].Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the longest idle connection is still open")
	}
}

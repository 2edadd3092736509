package rest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/transport/rest"
)

// requestFrom sends a request from an address and returns the status.
func requestFrom(t *testing.T, api http.Handler, remote string) int {
	t.Helper()
	r := request(t, "GET /ping", "")
	r.RemoteAddr = remote
	w := do(api, r)
	h, limited := w.Header(), w.Code == http.StatusTooManyRequests
	if limited != (h.Get("Retry-After") == "1") || limited != (h.Get("Content-Type") == problemType) ||
		limited != strings.Contains(w.Body.String(), `"code":"rate_limited"`) {
		t.Errorf("%d %v %s", w.Code, h, w.Body)
	}
	return w.Code
}

// TestRateLimit: each address has its own limit, which recovers, and loopback has none.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := rest.New(rest.Config{RateLimit: 2}, dependencies(new(fake), io.Discard)).Handler()
		served := func(remote string, n int) (got int) {
			for range n {
				if requestFrom(t, h, remote) == http.StatusOK {
					got++
				}
			}
			return got
		}
		for _, tt := range []struct {
			remote string
			want   int // of 10
		}{
			{"192.0.2.1:1000", 4},
			{"192.0.2.1:1001", 0},
			{"192.0.2.2:1000", 4},
			{"[::ffff:192.0.2.2]:1000", 0}, // the same address, as a dual stack shows it
			{"[2001:db8::1]:1", 4},
			{"[2001:db8::2]:1", 0},
			{"[2001:db8:0:1::1]:1", 4},
			{"127.0.0.1:1", 10},
			{"[::1]:1", 10},
			{"[::ffff:127.0.0.1]:1", 10},
		} {
			if got := served(tt.remote, 10); got != tt.want {
				t.Errorf("%s: %d of 10 served, want %d", tt.remote, got, tt.want)
			}
		}
		time.Sleep(time.Second) // of the bubble's clock
		if got := served("192.0.2.1:1000", 10); got != 2 {
			t.Errorf("a second later %d served, want 2", got)
		}
	})
}

// TestRateLimitRemembersRecentAddresses: more addresses than are remembered are
// served, and one over its limit is remembered by the last generation.
func TestRateLimitRemembersRecentAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := rest.New(rest.Config{RateLimit: 1}, dependencies(new(fake), io.Discard)).Handler()
		for range 2 {
			requestFrom(t, h, "192.0.2.1:1")
		}
		for i := range 10_001 {
			if status := requestFrom(t, h, fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)); status != http.StatusOK {
				t.Fatalf("address %d: %d", i, status)
			}
		}
		if status := requestFrom(t, h, "192.0.2.1:1"); status != http.StatusTooManyRequests {
			t.Errorf("an address over its limit was forgotten: %d", status)
		}
	})
}

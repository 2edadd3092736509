package order_test

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"service-courier/internal/gateway/order"
	"service-courier/internal/outage"
)

// TestCauses: each failure of a real server has its own cause and fix, without the names of
// hosts in what everyone may read.
func TestCauses(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	at := func(url string) order.OrderClient {
		c, err := order.NewHTTPClient(order.Config{BaseURL: url, Timeout: 200 * time.Millisecond, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	for what, c := range map[string]struct {
		client     order.OrderClient
		cause, fix string
	}{
		"refused": {at("http://127.0.0.1:1"), "service-order refuses connections", "start it, or correct ORDER_SERVICE_URL"},
		"no such host": {
			at("http://sesame.invalid:8080"), "the host of ORDER_SERVICE_URL does not resolve", "correct it, or the entry in DNS",
		},
		"silent": {at("http://" + silent.Addr().String()), "service-order does not answer in time", "is not overloaded"},
		"503":    {serve(t, respondStatus(http.StatusServiceUnavailable, "")), "service-order answers with an error", "see the log of service-order"},
		"401": {
			serve(t, respondStatus(http.StatusUnauthorized, `{"code":"unauthorized","message":"x"}`)), "service-order refuses the request", "see the log",
		},
		"another server": {serve(t, respondStatus(http.StatusNotFound, "no page")), "this does not look like service-order", "correct ORDER_SERVICE_URL"},
		"unreadable": {
			serve(t, respondStatus(http.StatusOK, `{"id":"other","status":"created"}`)), "service-order does not answer as expected", "see the log",
		},
	} {
		_, err := c.client.Get(t.Context(), "probe")
		err = order.Explain(err)
		f, ok := errors.AsType[outage.Fixable](err)
		if !ok || f.Cause != c.cause || !strings.Contains(f.Fix, c.fix) {
			t.Errorf("%s: %v, want %q and %q", what, err, c.cause, c.fix)
			continue
		}
		t.Log(err)
		if public := outage.Public(err, ""); strings.Contains(public, "sesame") || strings.Contains(public, "127.0.0.1") {
			t.Errorf("%s: everyone reads %q", what, public)
		}
	}
}

package order_test

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
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
	plain, secure := httptest.NewServer(http.NotFoundHandler()), httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	within := func(timeout time.Duration, url string) order.OrderClient {
		c, err := order.NewHTTPClient(order.Config{BaseURL: url, Timeout: timeout, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	// On a busy machine, and without DNS, an error takes its time; only silence needs a timeout.
	at := func(url string) order.OrderClient { return within(time.Minute, url) }
	for what, c := range map[string]struct {
		client     order.OrderClient
		cause, fix string
	}{
		"refused": {at("http://127.0.0.1:1"), "service-order refuses connections", "start it, or correct ORDER_SERVICE_URL"},
		"no such host": {
			at("http://sesame.invalid:8080"), "the host of ORDER_SERVICE_URL does not resolve", "correct it, or the entry in DNS",
		},
		"https to http": {
			at("https" + strings.TrimPrefix(plain.URL, "http")), "service-order speaks HTTP, not HTTPS", "http:// in ORDER_SERVICE_URL",
		},
		"unknown authority": {at(secure.URL), "the TLS connection to service-order fails", "SSL_CERT_FILE"},
		"closed":            {at("http://" + closing(t)), "the connection to service-order fails", "check that it runs at ORDER_SERVICE_URL"},
		"silent":            {within(200*time.Millisecond, "http://"+silent.Addr().String()), "service-order does not answer in time", "is not overloaded"},
		"503":               {serve(t, respondStatus(http.StatusServiceUnavailable, "")), "service-order answers with an error", "see the log of service-order"},
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
		if text := err.Error(); strings.Count(text, "look like") > 1 || strings.Contains(text, "unavailable") {
			t.Errorf("%s: the cause is stated twice: %s", what, text)
		}
		t.Log(err)
		if public := outage.Public(err, ""); strings.Contains(public, "sesame") || strings.Contains(public, "127.0.0.1") {
			t.Errorf("%s: everyone reads %q", what, public)
		}
	}
}

// closing returns the address of a server that closes each connection without an answer.
func closing(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1<<10)) // a reset would be another error
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// TestCausesGRPC: the same for the gRPC API, whose errors are texts.
func TestCausesGRPC(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	for what, addr := range map[string]string{"refused": "127.0.0.1:1", "another server": web.Listener.Addr().String(), "no such host": "sesame.invalid:1"} {
		client, err := order.NewGRPCClient(order.GRPCConfig{Addr: addr, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		dual := order.NewDualClient(nil, client, client, false)
		f, ok := errors.AsType[outage.Fixable](dual.Check(t.Context()))
		if !ok || f.Cause != "service-order's gRPC API does not answer" || !strings.Contains(f.Fix, "correct ORDER_SERVICE_GRPC_ADDR") {
			t.Errorf("%s: %v", what, f)
		}
	}
}

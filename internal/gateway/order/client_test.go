package order_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/gateway/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, h http.HandlerFunc) *order.HTTPClient {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := order.NewHTTPClient(order.Config{BaseURL: srv.URL, Timeout: time.Second, Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestGetReadsBothNamesOfTheID(t *testing.T) {
	for _, body := range []string{
		`{"id":"42","status":"cooking","created_at":"2026-01-02T03:04:05+03:00","items":[{"x":1}]}`,
		`{"order_id":"42","status":"cooking","created_at":"2026-01-02T03:04:05+03:00"}`,
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/public/api/v1/order/42" || r.Header.Get("Accept") != "application/json" {
				t.Errorf("asked %s %s, Accept %q", r.Method, r.URL.Path, r.Header.Get("Accept"))
			}
			_, _ = io.WriteString(w, body)
		})
		got, err := c.Get(t.Context(), "42")
		want := order.Order{ID: "42", Status: "cooking", CreatedAt: time.Date(2026, 1, 2, 0, 4, 5, 0, time.UTC)}
		if err != nil || got != want {
			t.Errorf("Get = %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestBadTimeCostsNobodyHisCourier(t *testing.T) {
	for _, created := range []string{`1700000000`, `"yesterday"`, `null`, `{}`} {
		c := serve(t, say(`{"id":"42","status":"created","created_at":`+created+`}`))
		if got, err := c.Get(t.Context(), "42"); err != nil || got != (order.Order{ID: "42", Status: "created"}) {
			t.Errorf("created_at %s: Get = %+v, %v", created, got, err)
		}
	}
}

func TestGetNotFound(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"code":"not_found","message":"no"}`)
	})
	if _, err := c.Get(t.Context(), "42"); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("err = %v, want ErrNotFound", err)
	}
}

// TestGetUnusable holds what must never be taken for an answer about the order.
func TestGetUnusable(t *testing.T) {
	bodies := map[string]http.HandlerFunc{
		"another order": say(`{"id":"43","status":"completed"}`),
		"no id":         say(`{"status":"completed"}`),
		"wrong types":   say(`{"id":42,"status":["completed"]}`),
		"not JSON":      say(`<html>`),
		"empty":         say(``),
		"too large":     say(`{"id":"42","status":"completed","x":"` + strings.Repeat("x", 65<<10) + `"}`),
		"error":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/elsewhere") {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"id":"42"`)
		},
	}
	for name, h := range bodies {
		t.Run(name, func(t *testing.T) {
			if o, err := serve(t, h).Get(t.Context(), "42"); !errors.Is(err, order.ErrUnavailable) {
				t.Errorf("Get = %+v, %v; want ErrUnavailable", o, err)
			}
		})
	}
}

func say(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func TestGetHasADeadline(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	c, err := order.NewHTTPClient(order.Config{BaseURL: srv.URL, Timeout: 20 * time.Millisecond, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Get(t.Context(), "42"); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("err = %v, want ErrUnavailable", err)
	}
}

// inMemory answers every request with the same body after a while; it and the body end
// with the request.
type inMemory struct {
	body  string
	takes time.Duration
}

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(m.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	// Byte by byte, so that nothing is read ahead.
	body := &bodyInMemory{iotest.OneByteReader(strings.NewReader(m.body)), r.Context().Err}
	return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
}

type bodyInMemory struct {
	io.Reader
	ended func() error
}

func (b *bodyInMemory) Read(p []byte) (int, error) {
	if err := b.ended(); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

func (*bodyInMemory) Close() error { return nil }

// client returns one that asks m, for a bubble.
func (m inMemory) client(t *testing.T, concurrency int) *order.HTTPClient {
	t.Helper()
	c, err := order.NewHTTPClient(order.Config{
		BaseURL: "http://service-order", Timeout: time.Second, Concurrency: concurrency,
		Wrap: func(http.RoundTripper) http.RoundTripper { return m },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWaitingForATurnIsNoFailure: more GETs than may be under way at a time take
// longer than one deadline all together, and none of them fails for it. It fails when
// the deadline begins before the turn, and when there are no turns.
func TestWaitingForATurnIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each, rounds, atATime = 900 * time.Millisecond, 10, 2
		c := inMemory{`{"id":"42","status":"cooking"}`, each}.client(t, atATime)
		began := time.Now()
		var gets sync.WaitGroup
		for range rounds * atATime {
			gets.Go(func() {
				if _, err := c.Get(t.Context(), "42"); err != nil {
					t.Error(err)
				}
			})
		}
		gets.Wait()
		if took := time.Since(began); took != rounds*each {
			t.Errorf("%d GETs, %d at a time, took %v, want %v", rounds*atATime, atATime, took, rounds*each)
		}
	})
}

// TestConnectionsAreKept: as many as there may be GETs at a time. With the two that
// net/http keeps of a host, nearly every GET would make its own.
func TestConnectionsAreKept(t *testing.T) {
	const atATime, rounds = 8, 20
	var made atomic.Int64
	var arrived sync.WaitGroup // a round's GETs are under way all at once
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived.Done()
		arrived.Wait()
		_, _ = io.WriteString(w, `{"id":"42","status":"cooking"}`)
	}))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c, err := order.NewHTTPClient(order.Config{BaseURL: srv.URL, Timeout: 10 * time.Second, Concurrency: atATime})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for range rounds {
		arrived.Add(atATime)
		var gets sync.WaitGroup
		for range atATime {
			gets.Go(func() {
				if _, err := c.Get(t.Context(), "42"); err != nil {
					t.Error(err)
				}
			})
		}
		gets.Wait()
	}
	// net/http gives up one that a busy machine is slow to hand back: not all 8 are kept always.
	if n := made.Load(); n > 2*atATime {
		t.Errorf("%d connections for %d rounds of %d GETs", n, rounds, atATime)
	}
}

// TestTransportIsBounded: no proxy of the environment answers for service-order, and no
// answer is unpacked or has more of a header than is bounded. It fails without each.
func TestTransportIsBounded(t *testing.T) {
	_, err := order.NewHTTPClient(order.Config{BaseURL: "http://service-order", Wrap: func(inner http.RoundTripper) http.RoundTripper {
		transport, ok := inner.(*http.Transport)
		switch {
		case !ok:
			t.Errorf("the transport is a %T", inner)
		case transport.Proxy != nil:
			t.Error("it asks a proxy")
		case !transport.DisableCompression:
			t.Error("it unpacks answers")
		case transport.MaxResponseHeaderBytes <= 0 || transport.MaxResponseHeaderBytes > 64<<10:
			t.Errorf("it reads %d bytes of header", transport.MaxResponseHeaderBytes)
		}
		return inner
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStatusIsMadePrintable(t *testing.T) {
	c := serve(t, say(`{"id":"42","status":"`+strings.Repeat(`\u0000`, 30)+strings.Repeat("я", 40)+`"}`))
	got, err := c.Get(t.Context(), "42")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Status) > order.MaxStatusLen || strings.ContainsRune(got.Status, 0) {
		t.Errorf("status = %q", got.Status)
	}
}

func TestNewHTTPClientRefusesBadURLs(t *testing.T) {
	for _, u := range []string{"", "localhost:8080", "ftp://x", "http://"} {
		if _, err := order.NewHTTPClient(order.Config{BaseURL: u}); err == nil {
			t.Errorf("NewHTTPClient(%q) gave no error", u)
		}
	}
}

package order_test

import (
	"context"
	"errors"
	"fmt"
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

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, h http.HandlerFunc) *order.HTTPClient {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := order.NewHTTPClient(order.Config{BaseURL: srv.URL, Timeout: time.Minute, Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestGetAcceptsIDAndOrderID(t *testing.T) {
	for _, body := range []string{
		`{"id":"42","status":"cooking","created_at":"2026-01-02T03:04:05+03:00","items":[{"x":1}]}`,
		`{"order_id":"42","status":"cooking","created_at":"2026-01-02T03:04:05+03:00"}`,
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/public/api/v1/order/42" || r.Header.Get("Accept") != "application/json" {
				t.Errorf("request %s %s, Accept %q", r.Method, r.URL.Path, r.Header.Get("Accept"))
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

func TestUnreadableCreatedAtIsIgnored(t *testing.T) {
	for _, created := range []string{
		`1700000000`, `"yesterday"`, `null`, `{}`, `1e999`, `99999999999999999999`, `"infinity"`,
		`"9999-12-31T23:59:59-23:59"`, `"0000-12-31T23:59:59Z"`, `"0001-01-01T00:00:00+23:59"`,
	} {
		c := serve(t, respond(`{"id":"42","status":"created","created_at":`+created+`}`))
		if got, err := c.Get(t.Context(), "42"); err != nil || got != (order.Order{ID: "42", Status: "created"}) {
			t.Errorf("created_at %s: Get = %+v, %v", created, got, err)
		}
	}
}

// TestErrorsShowNoURL: the URL may have a password, also with an id that never was parsed.
func TestErrorsShowNoURL(t *testing.T) {
	for _, base := range []string{
		"http://me:sesame@127.0.0.1:1", "http://sesame@127.0.0.1:1/base", "http://me:ses\x00ame@h", "http://me:1/sesame@h?x", "ftp://me:sesame@h", "http://me:ses ame@h:x",
	} {
		c, err := order.NewHTTPClient(order.Config{BaseURL: base, Timeout: time.Second, Concurrency: 1})
		if err == nil {
			for _, id := range []courier.OrderID{"42", "x\x00y", "../x", "%zz"} {
				_, failed := c.Get(t.Context(), id)
				err = errors.Join(err, failed)
			}
			err = errors.Join(err, c.List(t.Context(), time.Time{}, nil))
		}
		if err == nil || strings.Contains(err.Error(), "ses") || strings.Contains(err.Error(), "ame@") || strings.Contains(err.Error(), "me:") {
			t.Errorf("%q: %v", base, err)
		}
	}
}

// TestNoIDLeavesItsPath: an invalid id is not sent at all.
func TestNoIDLeavesItsPath(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("request %s", r.RequestURI) })
	for _, id := range []courier.OrderID{"", ".", "..", "../../x", "a/b", "a?all=1", "a#b", "%2e%2e", "a\x00", "a b", "\xff"} {
		if _, err := c.Get(t.Context(), id); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%q: %v, want ErrUnavailable", id, err)
		}
	}
}

// TestOnlyServiceOrderSaysNotFound: any other 404, of an ingress, a file server or another
// service, says nothing about the order.
func TestOnlyServiceOrderSaysNotFound(t *testing.T) {
	for body, own := range map[string]bool{
		`{"code":"not_found","message":"no"}`:                     true,
		`{"message":"no","code":"not_found","details":{"id":42}}`: true,
		"404 page not found\n":                                    false,
		"default backend - 404":                                   false,
		"<html>not_found</html>":                                  false,
		``:                                                        false,
		`null`:                                                    false,
		`"not_found"`:                                             false,
		`["not_found"]`:                                           false,
		`{"error":"not_found"}`:                                   false,
		`{"CODE":"not_found"}`:                                    false,
		`{"code":["not_found"]}`:                                  false,
		`{"code":404,"message":"not_found"}`:                      false,
		`{"code":"route_not_found"}`:                              false,
		`{"code":"not_found"} {}`:                                 false,
		`{"code":"not_found","x":"` + strings.Repeat("x", 65<<10) + `"}`: false,
	} {
		_, err := serve(t, respondStatus(http.StatusNotFound, body)).Get(t.Context(), "42")
		if errors.Is(err, order.ErrNotFound) != own || errors.Is(err, order.ErrNotServiceOrder) == own || errors.Is(err, order.ErrUnavailable) == own {
			t.Errorf("404 %.80s: %v", body, err)
		}
	}
}

// TestLooksLikeServiceOrder: doctor and /readyz distinguish service-order from another
// server.
func TestLooksLikeServiceOrder(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"its order":       {200, `{"id":"probe","status":"created"}`, nil},
		"its 404":         {404, `{"code":"not_found"}`, nil},
		"its refusal":     {401, `{"code":"unauthorized","message":"no user"}`, order.ErrUnavailable},
		"its failure":     {500, `{"code":"internal"}`, order.ErrUnavailable},
		"a gateway's 503": {503, `<html>`, order.ErrUnavailable},
		"too many":        {429, ``, order.ErrUnavailable},
		"a page":          {200, `<html>`, order.ErrNotServiceOrder},
		"a list":          {200, `[]`, order.ErrNotServiceOrder},
		"a login page":    {401, `<html>`, order.ErrNotServiceOrder},
		"a redirect":      {302, ``, order.ErrNotServiceOrder},
		"another 404":     {404, `404 page not found`, order.ErrNotServiceOrder},
	} {
		err := order.Check(t.Context(), serve(t, respondStatus(c.status, c.body)))
		if !errors.Is(err, c.want) || errors.Is(err, order.ErrNotServiceOrder) != errors.Is(c.want, order.ErrNotServiceOrder) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func respondStatus(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestGetUnusable: none of these is an answer about the order.
func TestGetUnusable(t *testing.T) {
	bodies := map[string]http.HandlerFunc{
		"another order": respond(`{"id":"43","status":"completed"}`),
		"no id":         respond(`{"status":"completed"}`),
		"wrong types":   respond(`{"id":42,"status":["completed"]}`),
		"not JSON":      respond(`<html>`),
		"empty":         respond(``),
		"too large":     respond(`{"id":"42","status":"completed","x":"` + strings.Repeat("x", 65<<10) + `"}`),
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

func respond(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func TestGetTimesOut(t *testing.T) {
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

// inMemory answers every request with the same body after a while.
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
	// Byte by byte: nothing is read ahead.
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

// client returns a client of m, for a synctest bubble.
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

// TestWaitForASlotDoesNotTimeOut: many more GETs than slots take longer than one
// timeout, and none fails. It fails if the timeout starts before the slot is
// free, and without slots.
func TestWaitForASlotDoesNotTimeOut(t *testing.T) {
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

// TestConnectionsAreReused: with the two idle connections per host that net/http
// keeps by default, almost every GET would open its own.
func TestConnectionsAreReused(t *testing.T) {
	const atATime, rounds = 8, 20
	var opened atomic.Int64
	var arrived sync.WaitGroup // all GETs of a round run at once
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived.Done()
		arrived.Wait()
		_, _ = io.WriteString(w, `{"id":"42","status":"cooking"}`)
	}))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
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
	// On a busy machine net/http may replace some of the connections.
	if n := opened.Load(); n > 2*atATime {
		t.Errorf("%d connections for %d rounds of %d GETs", n, rounds, atATime)
	}
}

// TestTransportIsBounded: no proxy, no decompression, bounded headers.
func TestTransportIsBounded(t *testing.T) {
	_, err := order.NewHTTPClient(order.Config{BaseURL: "http://service-order", Wrap: func(inner http.RoundTripper) http.RoundTripper {
		transport, ok := inner.(*http.Transport)
		switch {
		case !ok:
			t.Errorf("the transport is a %T", inner)
		case transport.Proxy != nil:
			t.Error("it uses a proxy")
		case !transport.DisableCompression:
			t.Error("it decompresses answers")
		case transport.MaxResponseHeaderBytes <= 0 || transport.MaxResponseHeaderBytes > 64<<10:
			t.Errorf("it reads %d bytes of headers", transport.MaxResponseHeaderBytes)
		}
		return inner
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStatusIsMadePrintable(t *testing.T) {
	c := serve(t, respond(`{"id":"42","status":"`+strings.Repeat(`\u0000`, 30)+strings.Repeat("я", 40)+`"}`))
	got, err := c.Get(t.Context(), "42")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Status) > order.MaxStatusLen || strings.ContainsRune(got.Status, 0) {
		t.Errorf("status = %q", got.Status)
	}
}

func TestNewHTTPClientRejectsBadURLs(t *testing.T) {
	for _, u := range []string{"", "localhost:8080", "ftp://x", "http://"} {
		if _, err := order.NewHTTPClient(order.Config{BaseURL: u}); err == nil {
			t.Errorf("NewHTTPClient(%q) returned no error", u)
		}
	}
}

func TestListStreamsEveryOrder(t *testing.T) {
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3*3600))
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/public/api/v1/orders" || r.URL.Query().Get("from") != "2026-01-02T00:04:05Z" {
			t.Errorf("request %s", r.URL)
		}
		_, _ = io.WriteString(w, "[")
		for i := range 5000 { // together far more than the limit of one element
			_, _ = fmt.Fprintf(w, `{"id":"o%d","status":"cooking","items":[%s]}, {"id":"../x"}, 7,`, i, strings.Repeat(`"x",`, 20)+`"x"`)
		}
		_, _ = io.WriteString(w, `{"order_id":"last","status":"completed"}]`)
	})
	var got []order.Order
	err := c.List(t.Context(), from, func(o order.Order) error { got = append(got, o); return nil })
	if err != nil || len(got) != 5001 || got[5000] != (order.Order{ID: "last", Status: "completed"}) {
		t.Fatalf("%d orders, %v", len(got), err)
	}
}

func TestIncompleteListFails(t *testing.T) {
	bodies := map[string]http.HandlerFunc{
		"not a list":   respond(`{"id":"1"}`),
		"cut":          respond(`[{"id":"1","status":"created"},`),
		"cut at end":   respond(`[{"id":"1","status":"created"}`),
		"empty":        respond(``),
		"huge element": respond(`[{"id":"` + strings.Repeat("x", 200<<10) + `"}]`),
		"error":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	}
	for name, h := range bodies {
		t.Run(name, func(t *testing.T) {
			err := serve(t, h).List(t.Context(), time.Time{}, func(order.Order) error { return nil })
			if !errors.Is(err, order.ErrUnavailable) {
				t.Errorf("err = %v, want ErrUnavailable", err)
			}
		})
	}
}

// TestListOfAnotherServiceFails: a resync that took it for an empty list would not read
// these orders again.
func TestListOfAnotherServiceFails(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"page": respond(`<html>`), "object": respond(`{"orders":[]}`), "text": respond(`"[]"`), "null": respond(`null`),
		"other things": respond(`[{"name":"x"},7,null,"o-1"]`),
		"404":          respondStatus(http.StatusNotFound, `404 page not found`),
		"own 404":      respondStatus(http.StatusNotFound, `{"code":"not_found"}`),
	} {
		err := serve(t, h).List(t.Context(), time.Time{}, func(order.Order) error { return nil })
		if !errors.Is(err, order.ErrNotServiceOrder) || errors.Is(err, order.ErrNotFound) {
			t.Errorf("%s: err = %v, want ErrNotServiceOrder", name, err)
		}
	}
	for _, list := range []string{`[]`, `[{"id":"../x"}]`} {
		if err := serve(t, respond(list)).List(t.Context(), time.Time{}, func(order.Order) error { return nil }); err != nil {
			t.Errorf("%s: %v", list, err)
		}
	}
}

func TestListStopsAtErrorOfCallback(t *testing.T) {
	enough := errors.New("enough")
	c := serve(t, respond(`[{"id":"1"},{"id":"2"}]`))
	if err := c.List(t.Context(), time.Time{}, func(order.Order) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("err = %v, want %v", err, enough)
	}
}

// TestTricklingListFails: bytes arrive, but no order. Without the timeout of the
// next order, the test's context ends it.
func TestTricklingListFails(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `[{"id":"1"}, `)
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-r.Context().Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
		}
	}))
	t.Cleanup(srv.Close)
	c, err := order.NewHTTPClient(order.Config{BaseURL: srv.URL, Timeout: 20 * time.Millisecond, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	listed := 0
	err = c.List(ctx, time.Time{}, func(order.Order) error { listed++; return nil })
	if !errors.Is(err, order.ErrUnavailable) || ctx.Err() != nil || listed != 1 {
		t.Errorf("%d orders, then %v; want one, then ErrUnavailable", listed, err)
	}
	if !strings.Contains(fmt.Sprint(err), "stalled") {
		t.Errorf("the error does not name the cause: %v", err)
	}
}

// TestSlowCallbackDoesNotStallList fails if the timeout of the next order runs
// while the callback handles the previous one.
func TestSlowCallbackDoesNotStallList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory{body: `[{"id":"1"},{"id":"2"}]`}.client(t, 1)
		listed := 0
		err := c.List(t.Context(), time.Time{}, func(order.Order) error {
			<-time.After(time.Minute) // far longer than the timeout of the next order
			listed++
			return nil
		})
		if err != nil || listed != 2 {
			t.Errorf("%d orders, then %v; want both", listed, err)
		}
	})
}

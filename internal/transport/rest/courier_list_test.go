package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/couriers"
)

// manyCouriers has couriers 1 to size.
type manyCouriers struct {
	fake
	size  int64
	fails int64 // the page after this courier fails; 0: none
	pages atomic.Int64
}

func (f *manyCouriers) Page(_ context.Context, _ couriers.Filter, after int64, limit int) ([]courier.Courier, error) {
	f.pages.Add(1)
	if f.fails > 0 && after == f.fails {
		return nil, courier.ErrUnavailable
	}
	var page []courier.Courier
	for id := max(after, 0) + 1; id <= f.size && len(page) < limit; id++ {
		page = append(page, courier.Courier{ID: id, Name: "Anna Karenina", Phone: fmt.Sprintf("+7900%07d", id), Status: courier.StatusAvailable, Transport: courier.Car})
	}
	return page, nil
}

func (f *manyCouriers) handler(log io.Writer) http.Handler {
	deps := dependencies(&f.fake, log)
	deps.Couriers = f
	return rest.New(rest.Config{}, deps).Handler()
}

func TestAllCouriersAreListed(t *testing.T) {
	for _, size := range []int64{0, 1, 249, 250, 251, 500, 2500} {
		f := &manyCouriers{size: size}
		w := do(f.handler(io.Discard), request(t, "GET /couriers", ""))
		var all []struct{ ID int64 }
		if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || int64(len(all)) != size || all == nil {
			t.Fatalf("%d couriers: %d, %v", size, len(all), err)
		}
		for i, c := range all {
			if c.ID != int64(i)+1 {
				t.Fatalf("%d couriers: number %d is %d", size, i, c.ID)
			}
		}
		if w := do(f.handler(io.Discard), request(t, "HEAD /couriers", "")); w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Type") != jsonType {
			t.Errorf("HEAD: %d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
		}
	}
}

// stuck is a client that stops reading with the first byte.
type stuck struct {
	*httptest.ResponseRecorder
	reached chan struct{}
	release chan struct{}
	once    sync.Once
}

func (s *stuck) Write([]byte) (int, error) {
	s.once.Do(func() { close(s.reached) })
	<-s.release
	return 0, errors.New("the client has disconnected")
}

// TestSlowReaderHoldsOnePage of any number of couriers.
func TestSlowReaderHoldsOnePage(t *testing.T) {
	var log bytes.Buffer
	f := &manyCouriers{size: 100_000}
	client := &stuck{ResponseRecorder: httptest.NewRecorder(), reached: make(chan struct{}), release: make(chan struct{})}
	ended := make(chan any)
	go func() {
		defer func() { ended <- recover() }()
		f.handler(&log).ServeHTTP(client, request(t, "GET /couriers", ""))
	}()
	<-client.reached
	if n := f.pages.Load(); n != 1 {
		t.Errorf("%d pages were read for a client that has read nothing", n)
	}
	close(client.release)
	if end, _ := (<-ended).(error); !errors.Is(end, http.ErrAbortHandler) {
		t.Errorf("ended with %v", end)
	}
	if n := f.pages.Load(); n != 1 || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("%d pages; log:\n%s", n, &log)
	}
}

// TestPartOfAListIsNoList: a page that cannot be read ends the connection, with a line in
// the log.
func TestPartOfAListIsNoList(t *testing.T) {
	var log bytes.Buffer
	server := httptest.NewServer((&manyCouriers{size: 2500, fails: 2000}).handler(&log))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/couriers", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("%d bytes are taken for the list", len(body))
	}
	server.Close()
	if !strings.Contains(log.String(), "operation=list-all-couriers") {
		t.Errorf("log:\n%s", &log)
	}
}

// BenchmarkSlowReadersOfAllCouriers reports the memory that the service holds for each
// client that reads nothing of a list of 100,000 couriers (about 10 MB).
func BenchmarkSlowReadersOfAllCouriers(b *testing.B) {
	const clients = 60
	f := &manyCouriers{size: 100_000}
	server := httptest.NewServer(f.handler(io.Discard))
	defer server.Close()
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		before := heap()
		conns := make([]net.Conn, clients)
		for i := range conns {
			conn, err := new(net.Dialer).DialContext(b.Context(), "tcp", server.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			conns[i] = conn
			if _, err := io.WriteString(conn, "GET /couriers HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				b.Fatal(err)
			}
		}
		for pages := int64(-1); pages != f.pages.Load(); { // until all wait for their clients
			pages = f.pages.Load()
			runtime.GC()
			runtime.Gosched()
		}
		b.ReportMetric((heap()-before)/clients/1024, "KiB-held/client")
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
}

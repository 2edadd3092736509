package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/couriers"
)

func start(t *testing.T, f *fake) *rest.Server {
	t.Helper()
	s := rest.New(rest.Config{Addr: "127.0.0.1:0"}, dependencies(f, io.Discard))
	if s.Addr() != "" {
		t.Errorf("Addr() before Start = %q", s.Addr())
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// get sends a request on a new connection and returns the status.
func get(ctx context.Context, url string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestLifecycle(t *testing.T) {
	s := start(t, new(fake))
	if status, err := get(t.Context(), "http://"+s.Addr()+"/ping"); status != http.StatusOK {
		t.Fatalf("ping: %d, %v", status, err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("Start worked twice")
	}
	for range 2 {
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
	if _, err := get(t.Context(), "http://"+s.Addr()+"/ping"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Stop: %v, want the connection refused", err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("Start worked after Stop")
	}
}

// TestServerTimeouts: a slow or silent client does not keep its connection for ever,
// and the timeout of a handler fits in. The test fails without each timeout.
func TestServerTimeouts(t *testing.T) {
	s := rest.New(rest.Config{}, dependencies(new(fake), io.Discard)).HTTP()
	const handler = 5 * time.Second
	for name, c := range map[string]struct{ bound, least, most time.Duration }{
		"header": {s.ReadHeaderTimeout, time.Second, 10 * time.Second},
		"read":   {s.ReadTimeout, s.ReadHeaderTimeout, 30 * time.Second},
		"write":  {s.WriteTimeout, handler, time.Minute},
		"idle":   {s.IdleTimeout, time.Second, 2 * time.Minute},
	} {
		if c.bound < c.least || c.bound > c.most {
			t.Errorf("%s: %v, want %v to %v", name, c.bound, c.least, c.most)
		}
	}
	if s.MaxHeaderBytes != 16<<10 {
		t.Errorf("%d bytes of header, want 16 KiB", s.MaxHeaderBytes)
	}
}

func TestStopBeforeStart(t *testing.T) {
	s := rest.New(rest.Config{Addr: "127.0.0.1:0"}, dependencies(new(fake), io.Discard))
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("Start worked after Stop")
	}
}

func TestPortInUse(t *testing.T) {
	first := start(t, new(fake))
	defer func() { _ = first.Stop(context.Background()) }()
	second := rest.New(rest.Config{Addr: first.Addr()}, dependencies(new(fake), io.Discard))
	err := second.Start(t.Context())
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("err = %v, want EADDRINUSE", err)
	}
	for _, part := range []string{"cannot serve HTTP", first.Addr(), "HTTP_ADDR"} { // what, where, how to fix
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// blocking is a use case that signals its call and then waits.
type blocking struct {
	fake
	requested, release chan struct{}
}

func (b *blocking) Page(ctx context.Context, _ couriers.Filter, _ int64, _ int) ([]courier.Courier, error) {
	close(b.requested)
	select {
	case <-b.release:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// withOpenRequest starts a server with one open request.
func withOpenRequest(t *testing.T) (b *blocking, s *rest.Server, answered <-chan error) {
	t.Helper()
	b = &blocking{requested: make(chan struct{}), release: make(chan struct{})}
	deps := dependencies(&b.fake, io.Discard)
	deps.Couriers = b
	s = rest.New(rest.Config{Addr: "127.0.0.1:0", RequestTimeout: time.Minute}, deps)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		status, err := get(t.Context(), "http://"+s.Addr()+"/couriers")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		done <- err
	}()
	<-b.requested
	return b, s, done
}

func TestStopWaitsForOpenRequests(t *testing.T) {
	b, s, answered := withOpenRequest(t)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.WithoutCancel(t.Context())) }()
	for { // until the listener is closed
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(b.release)
	if err := <-answered; err != nil {
		t.Errorf("the open request: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// TestStopWithUnusedConnection: a client has connected and sent nothing, as browsers do in
// advance. No request is open, so Stop succeeds.
func TestStopWithUnusedConnection(t *testing.T) {
	b, s, answered := withOpenRequest(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Connections are accepted in their order: with this answer the first one is accepted.
	close(b.release)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/livez", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if err := errors.Join(<-answered, s.Stop(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestStopClosesHangingRequests(t *testing.T) {
	_, s, answered := withOpenRequest(t)
	ctx, cancel := contextGone(t.Context())
	defer cancel()
	if err := s.Stop(ctx); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("Stop: %v, want it to say that requests were cut off", err)
	}
	if err := <-answered; err == nil {
		t.Error("the open request was served")
	}
}

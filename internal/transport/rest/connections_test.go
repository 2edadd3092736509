package rest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"service-courier/internal/access"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/livefeed"
)

// listening is a started server of at most 16 connections: 12 requests, 8 streams, of one
// caller 3 requests and 2 streams.
type listening struct {
	*testing.T
	*rest.Server
}

func listen(t *testing.T, change func(*rest.Dependencies)) listening {
	t.Helper()
	deps := dependencies(new(fake), io.Discard)
	deps.Stream = nil
	if change != nil {
		change(&deps)
	}
	s := rest.New(rest.Config{Addr: "127.0.0.1:0", MaxConnections: 16}, deps)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Stop(ctx) // cuts off what the test left open
	})
	return listening{t, s}
}

// send opens a connection and sends text.
func (s listening) send(text string) net.Conn {
	s.Helper()
	conn, err := new(net.Dialer).DialContext(s.Context(), "tcp", s.Addr())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		s.Fatal(err)
	}
	return conn
}

// status returns the status of the answer on a connection.
func (s listening) status(conn net.Conn) int {
	s.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		s.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // closing waits for the end of a stream
	if err != nil {
		s.Fatal(err)
	}
	return answer.StatusCode
}

// probesAnswer requests each probe with a new connection.
func (s listening) probesAnswer() {
	s.Helper()
	for _, probe := range []string{"GET /livez", "GET /readyz", "HEAD /healthcheck", "GET /ping"} {
		conn := s.send(probe + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if status := s.status(conn); status >= http.StatusBadRequest {
			s.Errorf("%s: %d", probe, status)
		}
		_ = conn.Close()
	}
}

// TestProbesHaveRoom: any number of connections without a request, with half a header, with
// a body that follows a refusal slowly, or kept alive after a request, keeps no health
// check out.
func TestProbesHaveRoom(t *testing.T) {
	for name, text := range map[string]string{
		"silent":          "",
		"half a header":   "GET /couriers HTTP/1.1\r\nX-Slow: ",
		"refused body":    "POST /courier HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 60000\r\n\r\n{",
		"kept alive":      "GET /couriers HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"kept alive, 404": "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"pipelined":       strings.Repeat("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 20) + "GET /livez",
		"HTTP/2":          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, nil)
			var conns []net.Conn
			for i := range 100 {
				conns = append(conns, s.send(text))
				if i%20 == 0 {
					s.probesAnswer()
				}
			}
			s.probesAnswer()
			// The first gave way long ago: its client reads the end instead of waiting.
			if err := conns[0].SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conns[0]); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the longest idle connection is still open")
			}
		})
	}
}

// TestRequestsLeaveRoomForProbes: when all requests that may be served hang, others get
// 503, and none is cut off.
func TestRequestsLeaveRoomForProbes(t *testing.T) {
	s := listen(t, func(deps *rest.Dependencies) {
		var entries []string
		for i := range 5 {
			entries = append(entries, fmt.Sprintf("c%d:operate:%024d", i, i))
		}
		deps.Callers, _ = access.Parse(strings.Join(entries, ","))
	})
	slowBody := func(caller int) net.Conn {
		return s.send(fmt.Sprintf("POST /courier HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %024d\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"+
			"Expect: 100-continue\r\n\r\n", caller))
	}
	continues := func(conn net.Conn) { // the server waits for the body
		t.Helper()
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("%q, %v", line, err)
		}
	}
	for caller := range 4 {
		for range 3 {
			continues(slowBody(caller))
		}
		if status := s.status(slowBody(caller)); caller < 3 && status != http.StatusTooManyRequests {
			t.Errorf("the fourth request of a caller: %d", status)
		}
	}
	for range 30 {
		if status := s.status(slowBody(4)); status != http.StatusServiceUnavailable {
			t.Fatalf("the thirteenth request: %d", status)
		}
	}
	s.probesAnswer()
}

// TestOneCallerHasAShareOfTheStreams, by its token or its address, whatever its headers say.
func TestOneCallerHasAShareOfTheStreams(t *testing.T) {
	tokens, err := access.Parse("a:read:" + readToken + ",b:read:" + operateToken)
	if err != nil {
		t.Fatal(err)
	}
	hub := livefeed.NewHub(still{}, rest.StreamEncoder{}, noOutage{}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); hub.Run(ctx) }()
	defer func() { stop(); <-ended }()
	stream := func(s listening, token string, n int) (net.Conn, int) {
		conn := s.send(fmt.Sprintf("GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nX-Forwarded-For: 10.0.0.%d\r\nForwarded: for=10.0.0.%d\r\nX-Real-IP: 10.0.0.%d\r\n\r\n", token, n, n, n))
		return conn, s.status(conn)
	}
	for name, callers := range map[string]rest.Callers{"by token": tokens, "by address": nil} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, func(deps *rest.Dependencies) { deps.Stream, deps.Callers = hub, callers })
			var open []net.Conn
			for i := range 6 {
				conn, status := stream(s, readToken, i)
				want := http.StatusOK
				if i >= 2 {
					want = http.StatusTooManyRequests
				}
				if status != want {
					t.Errorf("stream %d: %d, want %d", i, status, want)
				}
				open = append(open, conn)
			}
			if _, status := stream(s, operateToken, 9); callers != nil && status != http.StatusOK {
				t.Errorf("another caller: %d", status)
			}
			if status := s.status(s.send("GET /couriers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + readToken + "\r\n\r\n")); status != http.StatusOK {
				t.Errorf("another request: %d", status)
			}
			_ = open[0].Close()
			for status := 0; status != http.StatusOK; { // until the server notices
				_, status = stream(s, readToken, 7)
			}
			s.probesAnswer()
		})
	}
}

// TestAddressHasAShareOfThePublicRoutes: signing in needs no token, so its slow bodies count
// for the address.
func TestAddressHasAShareOfThePublicRoutes(t *testing.T) {
	s := listen(t, func(deps *rest.Dependencies) {
		deps.Callers, _ = access.Parse("a:read:" + readToken)
	})
	slowBody := func() net.Conn {
		return s.send("POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	}
	for range 3 {
		if line, err := bufio.NewReader(slowBody()).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("%q, %v", line, err)
		}
	}
	for range 10 {
		if status := s.status(slowBody()); status != http.StatusTooManyRequests {
			t.Fatalf("the fourth request of an address: %d", status)
		}
	}
	if status := s.status(s.send("GET /couriers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + readToken + "\r\n\r\n")); status != http.StatusOK {
		t.Errorf("a caller with a token: %d", status)
	}
	s.probesAnswer()
}

package order_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/ordersv1"
)

// grpcServer answers GetOrderById by a function; GetOrders is not implemented.
type grpcServer struct {
	ordersv1.UnimplementedOrdersServiceServer
	get func(context.Context, string) (*ordersv1.Order, error)
}

//nolint:revive // the name is service-order's
func (s grpcServer) GetOrderById(ctx context.Context, in *ordersv1.GetOrderByIdRequest) (*ordersv1.GetOrderByIdResponse, error) {
	o, err := s.get(ctx, in.GetId())
	return &ordersv1.GetOrderByIdResponse{Order: o}, err
}

// listenGRPC starts a server, without the service if get is nil, and returns its address.
func listenGRPC(t *testing.T, get func(context.Context, string) (*ordersv1.Order, error)) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	if get != nil {
		ordersv1.RegisterOrdersServiceServer(server, grpcServer{get: get})
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

func dialGRPC(t *testing.T, c order.GRPCConfig) *order.GRPCClient {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	client, err := order.NewGRPCClient(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestGRPCGet(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, o := range map[string]*ordersv1.Order{
		"all fields": {Id: "42", UserId: "u", Fio: "x", Items: []*ordersv1.Item{{Name: "x"}}, TotalPrice: 1, Address: &ordersv1.Address{}, Status: "deleted", CreatedAt: timestamppb.New(created)},
		"fields of later versions, a name that is not UTF-8": withFields(&ordersv1.Order{Id: "42", Status: "deleted", CreatedAt: timestamppb.New(created)}, "\x22\x01\xff\xa2\x06\x01x"),
	} {
		addr := listenGRPC(t, func(context.Context, string) (*ordersv1.Order, error) { return o, nil })
		got, err := dialGRPC(t, order.GRPCConfig{Addr: addr}).Get(t.Context(), "42")
		if want := (order.Order{ID: "42", Status: "deleted", CreatedAt: created}); err != nil || got != want {
			t.Errorf("%s: Get = %+v, %v; want %+v", name, got, err, want)
		}
	}
}

// withFields returns o with encoded fields added.
func withFields(o *ordersv1.Order, encoded string) *ordersv1.Order {
	o.ProtoReflect().SetUnknown([]byte(encoded))
	return o
}

// TestGRPCErrors: no answer over gRPC says that an order does not exist.
func TestGRPCErrors(t *testing.T) {
	of := func(o *ordersv1.Order, err error) func(context.Context, string) (*ordersv1.Order, error) {
		return func(context.Context, string) (*ordersv1.Order, error) { return o, err }
	}
	hang := func(ctx context.Context, _ string) (*ordersv1.Order, error) { <-ctx.Done(); return nil, ctx.Err() }
	page := serveHTTP(t)
	for name, c := range map[string]struct {
		addr string
		want error
	}{
		"unknown order":       {listenGRPC(t, of(nil, errors.New("order not found"))), order.ErrCodeUnknown},
		"not_found":           {listenGRPC(t, of(nil, status.Error(codes.NotFound, "no"))), order.ErrUnavailable},
		"internal":            {listenGRPC(t, of(nil, status.Error(codes.Internal, "no"))), order.ErrUnavailable},
		"another service":     {listenGRPC(t, nil), order.ErrNotServiceOrder},
		"another order":       {listenGRPC(t, of(&ordersv1.Order{Id: "43", Status: "cooking"}, nil)), order.ErrUnavailable},
		"no order":            {listenGRPC(t, of(nil, nil)), order.ErrUnavailable},
		"too large":           {listenGRPC(t, of(&ordersv1.Order{Id: "42", Fio: strings.Repeat("x", 65<<10)}, nil)), order.ErrUnavailable},
		"cut":                 {listenGRPC(t, of(withFields(&ordersv1.Order{Id: "42"}, "\x4a\x7f"), nil)), order.ErrUnavailable},
		"status not UTF-8":    {listenGRPC(t, of(withFields(&ordersv1.Order{Id: "42"}, "\x4a\x01\xff"), nil)), order.ErrUnavailable},
		"never answers":       {listenGRPC(t, hang), order.ErrUnavailable},
		"HTTP server":         {page, order.ErrUnavailable},
		"nothing listens":     {"127.0.0.1:1", order.ErrUnavailable},
		"name without a host": {"service-order.invalid:50051", order.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := 300 * time.Millisecond
			if c.want != order.ErrUnavailable { //nolint:errorlint // an answer, which takes its time on a busy machine
				timeout = time.Minute
			}
			_, err := dialGRPC(t, order.GRPCConfig{Addr: c.addr, Timeout: timeout}).Get(t.Context(), "42")
			if !errors.Is(err, c.want) || errors.Is(err, order.ErrNotFound) {
				t.Errorf("Get: %v, want %v", err, c.want)
			}
		})
	}
}

// TestGRPCTimeoutEndsTheCall: service-order is not sent the deadline, but the call that has
// timed out ends there too.
func TestGRPCTimeoutEndsTheCall(t *testing.T) {
	ended := make(chan error, 1)
	addr := listenGRPC(t, func(ctx context.Context, _ string) (*ordersv1.Order, error) {
		_, sent := ctx.Deadline()
		<-ctx.Done()
		if sent {
			ended <- errors.New("the deadline was sent")
		}
		ended <- nil
		return nil, ctx.Err()
	})
	if _, err := dialGRPC(t, order.GRPCConfig{Addr: addr, Timeout: time.Second}).Get(t.Context(), "42"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("Get: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// serveHTTP starts a plain HTTP server and returns its address.
func serveHTTP(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// TestGRPCAnswersAreBounded: what service-order answers cannot break a row or a log line.
func TestGRPCAnswersAreBounded(t *testing.T) {
	addr := listenGRPC(t, func(_ context.Context, id string) (*ordersv1.Order, error) {
		return &ordersv1.Order{Id: id, Status: "\x00\x1b" + strings.Repeat("я", 100), CreatedAt: &timestamppb.Timestamp{Seconds: 1 << 60}}, nil
	})
	got, err := dialGRPC(t, order.GRPCConfig{Addr: addr}).Get(t.Context(), "42")
	if err != nil || strings.ContainsAny(got.Status, "\x00\x1b") || len(got.Status) > order.MaxStatusLen || !got.CreatedAt.IsZero() {
		t.Errorf("Get = %+q, %v", got, err)
	}
}

func TestGRPCSendsNoInvalidID(t *testing.T) {
	addr := listenGRPC(t, func(_ context.Context, id string) (*ordersv1.Order, error) {
		t.Errorf("request for %q", id)
		return nil, errors.New("unknown")
	})
	client := dialGRPC(t, order.GRPCConfig{Addr: addr})
	for _, id := range []courier.OrderID{"", "..", "a/b", "a\x00", "a b", "\xff"} {
		if _, err := client.Get(t.Context(), id); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%q: %v, want ErrUnavailable", id, err)
		}
	}
}

// TestGRPCUsesNoProxy: only service-order itself can answer.
func TestGRPCUsesNoProxy(t *testing.T) {
	var used atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { used.Store(true) }))
	defer proxy.Close()
	t.Setenv("HTTPS_PROXY", proxy.URL)
	if _, err := dialGRPC(t, order.GRPCConfig{Addr: "service-order.invalid:50051"}).Get(t.Context(), "42"); err == nil || used.Load() {
		t.Errorf("Get: %v; the proxy was used: %v", err, used.Load())
	}
}

func TestGRPCAddress(t *testing.T) {
	for _, addr := range []string{"", "localhost", "http://localhost:50051"} {
		if c, err := order.NewGRPCClient(order.GRPCConfig{Addr: addr, Timeout: time.Second}); err == nil {
			_ = c.Close()
			t.Errorf("%q is accepted", addr)
		}
	}
}

// transport is a client with one answer.
type transport struct {
	order.Order
	err   error
	calls atomic.Int64
}

func (f *transport) Get(context.Context, courier.OrderID) (order.Order, error) {
	f.calls.Add(1)
	return f.Order, f.err
}

// TestDualClient: which answer counts, for every combination of the answers of both transports.
func TestDualClient(t *testing.T) {
	cooking, deleted := order.Order{ID: "42", Status: "cooking"}, order.Order{ID: "42", Status: "deleted"}
	for _, c := range []struct {
		name       string
		preferGRPC bool
		http, grpc *transport
		want       order.Order
		wantErr    error
		calls      int64 // calls over gRPC
	}{
		{"the GET comes first", false, &transport{Order: cooking}, &transport{Order: deleted}, cooking, nil, 0},
		{"a deleted order", false, &transport{err: order.ErrNotFound}, &transport{Order: deleted}, deleted, nil, 1},
		{"unknown to both", false, &transport{err: order.ErrNotFound}, &transport{err: order.ErrCodeUnknown}, order.Order{}, order.ErrNotFound, 1},
		{"404, gRPC down", false, &transport{err: order.ErrNotFound}, &transport{err: order.ErrUnavailable}, order.Order{}, order.ErrNotFound, 1},
		{"HTTP down", false, &transport{err: order.ErrUnavailable}, &transport{Order: cooking}, order.Order{}, order.ErrUnavailable, 0},
		{"another service's 404", false, &transport{err: order.ErrNotServiceOrder}, &transport{Order: deleted}, order.Order{}, order.ErrNotServiceOrder, 0},
		{"gRPC first", true, &transport{Order: cooking}, &transport{Order: deleted}, deleted, nil, 1},
		{"gRPC first, unknown there", true, &transport{err: order.ErrNotFound}, &transport{err: order.ErrCodeUnknown}, order.Order{}, order.ErrNotFound, 1},
		{"gRPC first, down", true, &transport{Order: cooking}, &transport{err: order.ErrUnavailable}, cooking, nil, 1},
		{"gRPC first, another service", true, &transport{Order: cooking}, &transport{err: order.ErrNotServiceOrder}, cooking, nil, 1},
		{"gRPC first, both down", true, &transport{err: order.ErrUnavailable}, &transport{err: order.ErrUnavailable}, order.Order{}, order.ErrUnavailable, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := order.NewDualClient(order.NewBreaker(c.http, c.http, slog.New(slog.DiscardHandler)), c.grpc, c.grpc, c.preferGRPC)
			got, err := client.Get(t.Context(), "42")
			if got != c.want || !errors.Is(err, c.wantErr) || c.wantErr == nil && err != nil {
				t.Errorf("Get = %+v, %v; want %+v, %v", got, err, c.want, c.wantErr)
			}
			if n := c.grpc.calls.Load(); n != c.calls {
				t.Errorf("%d calls over gRPC, want %d", n, c.calls)
			}
		})
	}
}

// TestBrokenGRPCIsNotCalled: after a failed Check no fetch waits for gRPC's timeout,
// until a Check succeeds.
func TestBrokenGRPCIsNotCalled(t *testing.T) {
	http, grpc := &transport{Order: order.Order{ID: "42", Status: "cooking"}}, &transport{err: order.ErrUnavailable}
	client := order.NewDualClient(order.NewBreaker(http, http, slog.New(slog.DiscardHandler)), grpc, grpc, true)
	if err := client.Check(t.Context()); err == nil {
		t.Errorf("Check: %v", err)
	}
	before := grpc.calls.Load()
	if o, err := client.Get(t.Context(), "42"); err != nil || o.Status != "cooking" || grpc.calls.Load() != before {
		t.Errorf("Get = %+v, %v after %d calls over gRPC, want %d", o, err, grpc.calls.Load(), before)
	}
	grpc.err = order.ErrCodeUnknown // the probe's answer of a server that works
	if err := client.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	grpc.Order, grpc.err = order.Order{ID: "42", Status: "deleted"}, nil
	if o, err := client.Get(t.Context(), "42"); err != nil || o.Status != "deleted" {
		t.Errorf("Get = %+v, %v", o, err)
	}
}

// TestPauseOnlyWithoutAnyTransport: gRPC being down pauses nothing; with gRPC
// preferred, neither does HTTP being down alone.
func TestPauseOnlyWithoutAnyTransport(t *testing.T) {
	for _, c := range []struct{ preferGRPC, httpDown, grpcDown, paused bool }{
		{false, false, true, false},
		{false, true, false, true},
		{false, true, true, true},
		{true, false, true, false},
		{true, true, false, false},
		{true, true, true, true},
	} {
		http, grpc := &transport{}, &transport{}
		breaker := order.NewBreaker(http, http, slog.New(slog.DiscardHandler))
		client := order.NewDualClient(breaker, grpc, grpc, c.preferGRPC)
		if c.httpDown {
			http.err = order.ErrUnavailable
			for _, id := range []courier.OrderID{"1", "2", "3", "4", "5", "6", "7", "8"} {
				_, _ = breaker.Get(t.Context(), id)
			}
		}
		if c.grpcDown {
			grpc.err = order.ErrUnavailable
		}
		_ = client.Check(t.Context())
		if client.Tripped() != c.paused || (client.Ready(t.Context()) != nil) != c.paused {
			t.Errorf("%+v: Tripped %v, Ready %v", c, client.Tripped(), client.Ready(t.Context()))
		}
	}
}

// TestProbeIsNoFetch: the check of each second is not among the fetches that are measured.
func TestProbeIsNoFetch(t *testing.T) {
	measured, probe := &transport{}, &transport{err: order.ErrCodeUnknown}
	client := order.NewDualClient(order.NewBreaker(&transport{}, &transport{}, slog.New(slog.DiscardHandler)), measured, probe, false)
	if err := client.Check(t.Context()); err != nil || measured.calls.Load() != 0 || probe.calls.Load() != 1 {
		t.Errorf("Check: %v, with %d measured calls and %d probes", err, measured.calls.Load(), probe.calls.Load())
	}
}

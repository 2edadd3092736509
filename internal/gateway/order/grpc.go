package order

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	protobuf "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"service-courier/internal/courier"
	"service-courier/internal/ordersv1"
)

// keepaliveInterval is as short as grpc-go's servers allow; they close a connection that
// is pinged more often. A dead connection with calls is found sooner, by keepaliveTimeout.
const (
	keepaliveInterval = 5 * time.Minute
	keepaliveTimeout  = 10 * time.Second
)

// ErrCodeUnknown matches ErrUnavailable. Over gRPC service-order answers with this code for
// an unknown id and for any error of its own: it runs, but nothing is known of the order.
var ErrCodeUnknown = fmt.Errorf("%w: gRPC code Unknown", ErrUnavailable)

// GRPCConfig configures the gRPC client.
type GRPCConfig struct {
	Addr    string        // host:port
	TLS     bool          // with the certificate authorities of the system
	Timeout time.Duration // of one call, connecting included

	// Options are further options, for traces.
	Options []grpc.DialOption
}

// GRPCClient is an OrderClient over gRPC. Unlike the HTTP client it returns a deleted order
// too, with status deleted, and it never returns ErrNotFound, see ErrCodeUnknown.
type GRPCClient struct {
	timeout time.Duration
	conn    *grpc.ClientConn
}

var _ OrderClient = (*GRPCClient)(nil)

// NewGRPCClient returns a client that connects with its first call. It uses no proxy and
// takes no settings from DNS: only service-order itself can answer.
func NewGRPCClient(c GRPCConfig) (*GRPCClient, error) {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return nil, fmt.Errorf("service-order gRPC address: %w: want host:port", err)
	}
	transport := insecure.NewCredentials()
	if c.TLS {
		transport = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	reconnect := backoff.DefaultConfig
	reconnect.BaseDelay, reconnect.MaxDelay = c.Timeout/10, c.Timeout
	conn, err := grpc.NewClient("dns:///"+c.Addr, append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: c.Timeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveInterval, Timeout: keepaliveTimeout}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxBody), grpc.StaticMethod(), grpc.ForceCodecV2(discardUnknown{encoding.GetCodecV2(proto.Name)}),
		),
		grpc.WithMaxHeaderListSize(maxBody),
	}, c.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("service-order gRPC address: %w", err)
	}
	return &GRPCClient{timeout: c.Timeout, conn: conn}, nil
}

// Close closes the connection.
func (c *GRPCClient) Close() error { return c.conn.Close() }

// Get implements OrderClient with GetOrderById.
func (c *GRPCClient) Get(ctx context.Context, id courier.OrderID) (Order, error) {
	if _, err := courier.ParseOrderID(string(id)); err != nil {
		return Order{}, unavailable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var answer ordersv1.GetOrderStatusResponse
	method, request := ordersv1.OrdersService_GetOrderById_FullMethodName, &ordersv1.GetOrderByIdRequest{Id: string(id)}
	err := c.conn.Invoke(withoutDeadline{ctx}, method, request, &answer) //nolint:contextcheck // it has the values and the end of ctx
	switch status.Code(err) {
	case codes.OK:
	case codes.Unknown:
		return Order{}, ErrCodeUnknown
	case codes.Unimplemented:
		return Order{}, notServiceOrder(err)
	default:
		return Order{}, unavailable(err)
	}
	found := answer.GetOrder()
	if found.GetId() != string(id) {
		return Order{}, unavailable(fmt.Errorf("the answer is another order, %.80q", found.GetId()))
	}
	return Order{ID: id, Status: printable(found.GetStatus()), CreatedAt: timeOf(found.GetCreatedAt())}, nil
}

// withoutDeadline hides the deadline of a context. gRPC sends a deadline as a header whose
// value differs in each call, which both sides store in their HPACK tables at some cost.
// Without it, a call that times out is cancelled on the server as well.
type withoutDeadline struct{ context.Context }

// Deadline implements context.Context.
func (withoutDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

// discardUnknown is gRPC's codec, except that it does not keep the bytes of fields that a
// message does not have.
type discardUnknown struct{ encoding.CodecV2 }

// Unmarshal implements encoding.CodecV2.
func (discardUnknown) Unmarshal(data mem.BufferSlice, v any) error {
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	return protobuf.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(buffer.ReadOnlyData(), v.(protobuf.Message))
}

// timeOf returns the zero time for a time that is missing or invalid, like createdAt.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t.CheckValid() != nil { // it allows the years 1 to 9999
		return time.Time{}
	}
	return t.AsTime()
}

// DualClient is an OrderClient over both transports, HTTP (through its circuit breaker) and
// gRPC. Only HTTP says that an order does not exist; only gRPC returns deleted orders.
type DualClient struct {
	http       *Breaker
	grpc       OrderClient
	probe      OrderClient // grpc without its metrics: a probe is no fetch
	preferGRPC bool
	down       atomic.Bool // gRPC, by the last Check
}

// NewDualClient returns a client that gets an order over HTTP first and, if HTTP answers 404,
// over gRPC; with preferGRPC over gRPC first and, if that fails in any way, over HTTP.
// It calls gRPC only while the last Check succeeded, which uses probe: grpc unmeasured.
func NewDualClient(http *Breaker, grpc, probe OrderClient, preferGRPC bool) *DualClient {
	return &DualClient{http: http, grpc: grpc, probe: probe, preferGRPC: preferGRPC}
}

// Get implements OrderClient.
func (d *DualClient) Get(ctx context.Context, id courier.OrderID) (Order, error) {
	if d.preferGRPC {
		if o, ok := d.getGRPC(ctx, id); ok {
			return o, nil
		}
		return d.http.Get(ctx, id)
	}
	o, err := d.http.Get(ctx, id)
	if errors.Is(err, ErrNotFound) {
		if found, ok := d.getGRPC(ctx, id); ok {
			return found, nil
		}
	}
	return o, err
}

func (d *DualClient) getGRPC(ctx context.Context, id courier.OrderID) (Order, bool) {
	if d.down.Load() {
		return Order{}, false
	}
	o, err := d.grpc.Get(ctx, id)
	return o, err == nil
}

// Check sends a probe over gRPC and returns nil if service-order answers it. Call it once
// a second: while gRPC is broken and no Check has noticed, each Get waits for its timeout.
func (d *DualClient) Check(ctx context.Context) error {
	err := CheckGRPC(ctx, d.probe)
	if ctx.Err() == nil {
		d.down.Store(err != nil)
	}
	return ExplainGRPC(err)
}

// CheckGRPC fetches an order that does not exist and returns nil if service-order answers.
func CheckGRPC(ctx context.Context, service OrderClient) error {
	if _, err := service.Get(ctx, probeID); err != nil && !errors.Is(err, ErrCodeUnknown) {
		return err
	}
	return nil
}

// Tripped reports whether orders cannot be fetched now.
func (d *DualClient) Tripped() bool { return d.http.Tripped() && (!d.preferGRPC || d.down.Load()) }

// Ready returns nil if orders can be fetched now. It may send a probe over HTTP.
func (d *DualClient) Ready(ctx context.Context) error {
	if d.preferGRPC && !d.down.Load() {
		return nil
	}
	return d.http.Ready(ctx)
}

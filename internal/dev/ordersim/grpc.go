package ordersim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"service-courier/internal/ordersv1"
)

// grpcAPI is the gRPC API. Reflection is off and every error has code Unknown, as in the
// original.
type grpcAPI struct {
	ordersv1.UnimplementedOrdersServiceServer
	sim *Sim
}

// GetOrderById returns an order, also a deleted one: the HTTP API answers 404 for it.
//
//nolint:revive // the method's name is service-order's
func (a grpcAPI) GetOrderById(_ context.Context, in *ordersv1.GetOrderByIdRequest) (*ordersv1.GetOrderByIdResponse, error) {
	r := a.sim.store.get(in.GetId())
	if r == nil {
		return nil, status.Error(codes.Unknown, ErrNotFound.Error())
	}
	return &ordersv1.GetOrderByIdResponse{Order: r.message()}, nil
}

// GetOrders returns the orders created at from or later, without deleted ones.
func (a grpcAPI) GetOrders(_ context.Context, in *ordersv1.GetOrdersRequest) (*ordersv1.GetOrdersResponse, error) {
	out := &ordersv1.GetOrdersResponse{}
	for _, r := range a.sim.store.since(in.GetFrom().AsTime()) {
		out.Orders = append(out.Orders, r.message())
	}
	return out, nil
}

func (o Order) message() *ordersv1.Order {
	m := &ordersv1.Order{
		Id: o.ID, UserId: o.UserID, OrderNumber: o.OrderNumber, Fio: o.FIO, RestaurantId: o.RestaurantID, TotalPrice: o.TotalPrice,
		Address: &ordersv1.Address{
			Street: o.Address.Street, House: o.Address.House, Apartment: o.Address.Apartment, Floor: o.Address.Floor, Comment: o.Address.Comment,
		},
		Status: o.Status, CreatedAt: timestamppb.New(o.CreatedAt), UpdatedAt: timestamppb.New(o.UpdatedAt),
		EstimatedDelivery: timestamppb.New(o.EstimatedDelivery),
	}
	for _, i := range o.Items {
		m.Items = append(m.Items, &ordersv1.Item{Name: i.Name, Price: i.Price, Quantity: i.Quantity})
	}
	return m
}

// listenGRPC serves gRPC if there is an address.
func (s *Sim) listenGRPC(ctx context.Context) error {
	if s.cfg.GRPCAddr == "" {
		return nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.cfg.GRPCAddr)
	if err != nil {
		return fmt.Errorf("gRPC: %w: stop what listens there, or choose another address", err)
	}
	s.grpcAddr = listener.Addr().String()
	s.grpc = grpc.NewServer(grpc.UnaryInterceptor(s.interceptFaults))
	ordersv1.RegisterOrdersServiceServer(s.grpc, grpcAPI{sim: s})
	go func() {
		if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.log.Error("gRPC server failed", slog.Any("error", err))
		}
	}()
	return nil
}

// GRPCAddr is the host:port of the gRPC server, empty without one.
func (s *Sim) GRPCAddr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grpcAddr
}

func (s *Sim) stopGRPC(ctx context.Context) {
	if s.grpc == nil {
		return
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.grpc.GracefulStop()
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.grpc.Stop() // also ends the graceful stop
		<-stopped
	}
}

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"service-courier/internal/ordersv1"
)

// orderService is a minimal service-order: a map, and bodies of the real size over HTTP
// and gRPC.
type orderService struct {
	ordersv1.UnimplementedOrdersServiceServer

	numbers   map[string]int // by order id
	completed []atomic.Bool  // by number
	gets      atomic.Int64   // answered, by gRPC as well
	closers   []func()
	addr      string
	grpcAddr  string
}

const orderPath = "/public/api/v1/order/"

// The body around the id and the status, as large as service-order's.
const (
	beforeID     = `{"id":"`
	beforeStatus = `","user_id":"default-user","order_number":"A-000001","fio":"Ivanov I.I.","restaurant_id":"rest-1",` +
		`"items":[{"food_id":"f-1","name":"Pizza Margherita","quantity":1,"price":520},` +
		`{"food_id":"f-2","name":"Pelmeni with sour cream","quantity":2,"price":390},` +
		`{"food_id":"f-3","name":"Caesar salad","quantity":1,"price":450}],"total_price":1750,` +
		`"address":{"street":"Prospekt Mira","house":"12","apartment":"77","floor":"5","comment":"ring twice"},"status":"`
	afterStatus = `","created_at":"2026-01-02T03:04:05.678901234Z","updated_at":"2026-01-02T03:04:06.678901234Z",` +
		`"estimated_delivery":"2026-01-02T03:19:16.678901234Z"}` + "\n"
)

const (
	statusCreated   = "created"
	statusCompleted = "completed"
)

// orderID returns a UUID that looks random, as service-order's ids do, so that the
// entries are spread over the database's indexes.
func orderID(n int) string {
	h := sha256.Sum256(fmt.Append(nil, n))
	return fmt.Sprintf("%x-%x-4%03x-a%03x-%x", h[:4], h[4:6], h[6], h[7], h[8:14])
}

// message has the fields of the body.
var message = &ordersv1.Order{
	UserId: "default-user", OrderNumber: "A-000001", Fio: "Ivanov I.I.", RestaurantId: "rest-1",
	Items: []*ordersv1.Item{
		{Name: "Pizza Margherita", Quantity: 1, Price: 520},
		{Name: "Pelmeni with sour cream", Quantity: 2, Price: 390},
		{Name: "Caesar salad", Quantity: 1, Price: 450},
	},
	TotalPrice:        1750,
	Address:           &ordersv1.Address{Street: "Prospekt Mira", House: "12", Apartment: "77", Floor: "5", Comment: "ring twice"},
	CreatedAt:         timestamppb.New(time.Date(2026, time.January, 2, 3, 4, 5, 678901234, time.UTC)),
	UpdatedAt:         timestamppb.New(time.Date(2026, time.January, 2, 3, 4, 6, 678901234, time.UTC)),
	EstimatedDelivery: timestamppb.New(time.Date(2026, time.January, 2, 3, 19, 16, 678901234, time.UTC)),
}

// startOrderService serves n created orders on free ports.
func startOrderService(ctx context.Context, n int) (*orderService, error) {
	s := &orderService{numbers: make(map[string]int, n), completed: make([]atomic.Bool, n)}
	for i := range n {
		s.numbers[orderID(i)] = i
	}
	overHTTP := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	overGRPC := grpc.NewServer()
	ordersv1.RegisterOrdersServiceServer(overGRPC, s)
	for _, one := range []struct {
		addr  *string
		serve func(net.Listener) error
		close func()
	}{
		{&s.addr, overHTTP.Serve, func() { _ = overHTTP.Close() }},
		{&s.grpcAddr, overGRPC.Serve, overGRPC.Stop},
	} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			s.close()
			return nil, fmt.Errorf("serve orders: %w", err)
		}
		*one.addr = listener.Addr().String()
		s.closers = append(s.closers, one.close)
		go func() {
			if err := one.serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
				panic(err) // every later figure would be wrong
			}
		}()
	}
	return s, nil
}

func (s *orderService) close() {
	for _, closer := range s.closers {
		closer()
	}
}

func (s *orderService) complete(r orderRange) {
	for i := r.from; i < r.to; i++ {
		s.completed[i].Store(true)
	}
}

func (s *orderService) url() string { return "http://" + s.addr }

// ServeHTTP answers only GET …/order/{id}. Without a list of orders, the resync at
// the service's start does none of the measured work.
func (s *orderService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, orderPath)
	w.Header().Set("Content-Type", "application/json")
	number, ok := s.numbers[id]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"not_found","message":"no such order"}`))
		return
	}
	status := s.status(number)
	body := make([]byte, 0, len(beforeID)+len(id)+len(beforeStatus)+len(status)+len(afterStatus))
	body = append(append(append(append(append(body, beforeID...), id...), beforeStatus...), status...), afterStatus...)
	_, _ = w.Write(body) // fails only if the client has disconnected
}

// status returns the status of an order that is fetched, and counts the fetch.
func (s *orderService) status(number int) string {
	s.gets.Add(1)
	if s.completed[number].Load() {
		return statusCompleted
	}
	return statusCreated
}

// GetOrderById is the same over gRPC.
//
//nolint:revive // the method's name is service-order's
func (s *orderService) GetOrderById(_ context.Context, in *ordersv1.GetOrderByIdRequest) (*ordersv1.GetOrderByIdResponse, error) {
	number, ok := s.numbers[in.GetId()]
	if !ok {
		return nil, status.Error(codes.Unknown, "no such order")
	}
	return &ordersv1.GetOrderByIdResponse{Order: &ordersv1.Order{
		Id: in.GetId(), Status: s.status(number), UserId: message.UserId, OrderNumber: message.OrderNumber, Fio: message.Fio,
		RestaurantId: message.RestaurantId, Items: message.Items, TotalPrice: message.TotalPrice, Address: message.Address,
		CreatedAt: message.CreatedAt, UpdatedAt: message.UpdatedAt, EstimatedDelivery: message.EstimatedDelivery,
	}}, nil
}

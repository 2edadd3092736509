package ordersim

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"service-courier/internal/ordersv1"
)

// TestGRPC: a deleted order is still returned, an unknown id has code Unknown, and the
// list leaves deleted orders out, as in the original.
func TestGRPC(t *testing.T) {
	s := startSim(t, Config{GRPCAddr: "127.0.0.1:0", Steps: FrozenSteps()})
	conn, err := grpc.NewClient(s.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	api := ordersv1.NewOrdersServiceClient(conn)
	get := func(id string) (*ordersv1.Order, error) {
		out, err := api.GetOrderById(t.Context(), &ordersv1.GetOrderByIdRequest{Id: id})
		return out.GetOrder(), err
	}

	created, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	got, err := get(created.ID)
	if err != nil || got.GetId() != created.ID || got.GetStatus() != StatusCreated || !got.GetCreatedAt().AsTime().Equal(created.CreatedAt) ||
		got.GetTotalPrice() != created.TotalPrice || len(got.GetItems()) != len(created.Items) || got.GetAddress().GetStreet() != created.Address.Street {
		t.Errorf("order %v, %v; want %+v", got, err, created)
	}
	if err := s.Delete(created.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := get(created.ID); err != nil || got.GetStatus() != StatusDeleted {
		t.Errorf("a deleted order: %v, %v", got, err)
	}
	for _, id := range []string{"unknown", "", "../x"} {
		if got, err := get(id); status.Code(err) != codes.Unknown {
			t.Errorf("order %q: %v, %v; want code Unknown", id, got, err)
		}
	}

	kept, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[*timestamppb.Timestamp]int{nil: 1, timestamppb.New(kept.CreatedAt): 1, timestamppb.New(kept.CreatedAt.Add(time.Hour)): 0} {
		list, err := api.GetOrders(t.Context(), &ordersv1.GetOrdersRequest{From: from})
		if err != nil || len(list.GetOrders()) != want {
			t.Errorf("orders since %v: %v, %v; want %d", from, list, err, want)
		}
	}
}

package ordersv1_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"

	"service-courier/internal/ordersv1"
)

// TestGeneratedCodeMatchesProto: after a change of orders.proto run `make proto`.
func TestGeneratedCodeMatchesProto(t *testing.T) {
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{})}
	files, err := compiler.Compile(t.Context(), "orders.proto")
	if err != nil {
		t.Fatal(err)
	}
	want, got := protodesc.ToFileDescriptorProto(files[0]), protodesc.ToFileDescriptorProto(ordersv1.File_orders_proto)
	want.SourceCodeInfo, got.SourceCodeInfo = nil, nil
	if !proto.Equal(got, want) {
		t.Errorf("orders.pb.go is not generated from orders.proto:\n%v\nwant\n%v", got, want)
	}
	service := files[0].Services().ByName("OrdersService")
	if string(service.FullName()) != ordersv1.OrdersService_ServiceDesc.ServiceName || service.Methods().Len() != len(ordersv1.OrdersService_ServiceDesc.Methods) {
		t.Errorf("orders_grpc.pb.go is not generated from orders.proto: %+v", ordersv1.OrdersService_ServiceDesc)
	}
	for _, method := range ordersv1.OrdersService_ServiceDesc.Methods {
		if service.Methods().ByName(protoreflect.Name(method.MethodName)) == nil {
			t.Errorf("orders.proto has no method %s", method.MethodName)
		}
	}
}

// TestContract: names, numbers and types of service-order's API, which both the gateway
// and the simulator use.
func TestContract(t *testing.T) {
	want := map[string]string{
		"GetOrderByIdRequest":  "1 id string",
		"GetOrderByIdResponse": "1 order orders.v1.Order",
		"GetOrdersRequest":     "1 from google.protobuf.Timestamp",
		"GetOrdersResponse":    "1 orders []orders.v1.Order",
		"Order": "1 id string, 2 user_id string, 3 order_number string, 4 fio string, 5 restaurant_id string, " +
			"6 items []orders.v1.Item, 7 total_price int64, 8 address orders.v1.Address, 9 status string, " +
			"10 created_at google.protobuf.Timestamp, 11 updated_at google.protobuf.Timestamp, 12 estimated_delivery google.protobuf.Timestamp",
		"GetOrderStatusResponse": "1 order orders.v1.OrderStatus",
		"OrderStatus":            "1 id string, 9 status string, 10 created_at google.protobuf.Timestamp",
		"Item":                   "1 name string, 2 price int64, 3 quantity int64",
		"Address":                "1 street string, 2 house string, 3 apartment string, 4 floor string, 5 comment string",
	}
	messages := ordersv1.File_orders_proto.Messages()
	for i := range messages.Len() {
		m := messages.Get(i)
		var fields []string
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			kind := f.Kind().String()
			if f.Message() != nil {
				kind = string(f.Message().FullName())
			}
			if f.IsList() {
				kind = "[]" + kind
			}
			fields = append(fields, fmt.Sprintf("%d %s %s", f.Number(), f.Name(), kind))
		}
		if got := strings.Join(fields, ", "); got != want[string(m.Name())] {
			t.Errorf("%s: %s, want %s", m.Name(), got, want[string(m.Name())])
		}
	}
	for path, want := range map[string]string{
		ordersv1.OrdersService_GetOrderById_FullMethodName: "/orders.v1.OrdersService/GetOrderById",
		ordersv1.OrdersService_GetOrders_FullMethodName:    "/orders.v1.OrdersService/GetOrders",
	} {
		if path != want {
			t.Errorf("method %s, want %s", path, want)
		}
	}
}

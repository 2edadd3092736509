package rest

import (
	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
)

// orderID is an order's id in a path or a body. Its schema is courier.ParseOrderID's
// rule, so that what passed is one.
type orderID string

// Schema implements huma.SchemaProvider.
func (orderID) Schema(huma.Registry) *huma.Schema {
	longest := courier.MaxOrderIDLen
	return &huma.Schema{
		Type: huma.TypeString, Pattern: "^[A-Za-z0-9_-]{1,64}$", MaxLength: &longest,
		Description: "as service-order calls the order",
		Examples:    []any{"8e1eda8f-7b6b-41a9-9b9c-66a2d6592647"},
	}
}

// OrderInput names an order in the path; embed it (exported, or huma does not see it).
type OrderInput struct {
	OrderID orderID `path:"order_id"`
}

package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"service-courier/internal/cli/client"
	"service-courier/internal/cli/output"
	"service-courier/internal/courier"
)

const couriersPath = apiRoot + "/couriers"

var courierColumns = []output.Column{
	{Title: "id", Path: "id"},
	{Title: "name", Path: "name"},
	{Title: "phone", Path: "phone"},
	{Title: "status", Path: "status"},
	{Title: "transport", Path: "transport_type"},
	{Title: "order", Path: "order_id"},
	{Title: "deliveries", Path: "deliveries"},
	{Title: "pause pending", Path: "pause_after_delivery"},
}

// Courier holds the fields to set; "" leaves one as it is.
type Courier struct {
	Name      string `json:"name,omitempty"`
	Phone     string `json:"phone,omitempty"`
	Status    string `json:"status,omitempty"`
	Transport string `json:"transport_type,omitempty"`
}

// ListCouriers prints the couriers with a status and a transport; "": any.
func (s *Server) ListCouriers(ctx context.Context, status, transport string, limit int, w Watch) error {
	l := listing{
		path: couriersPath, query: query("status", status, "transport_type", transport), limit: limit, columns: courierColumns, empty: "no couriers match",
	}
	if status == "" && transport == "" {
		l.empty = "no couriers; register one with 'couriers create'"
	}
	return s.watch(ctx, w, func(s *Server) error { return s.list(ctx, l) })
}

// GetCourier prints one courier.
func (s *Server) GetCourier(ctx context.Context, id string) error {
	path, err := courierPath(id)
	if err != nil {
		return err
	}
	answer, err := s.client.Get(ctx, path, nil)
	if err != nil {
		return err
	}
	return s.out.Item(answer, courierColumns)
}

// CreateCourier registers a courier. A repeated request changes nothing.
func (s *Server) CreateCourier(ctx context.Context, c Courier) error {
	if c.Name == "" || c.Phone == "" || c.Transport == "" {
		return Usagef("--name, --phone and --transport are required")
	}
	return s.change(ctx, http.MethodPost, couriersPath, c, courierColumns, func(answer client.Answer) string {
		if answer.Status == http.StatusOK {
			return "courier already exists"
		}
		return "courier created"
	})
}

// ChangeCourier sets the fields given.
func (s *Server) ChangeCourier(ctx context.Context, id string, c Courier) error {
	if c == (Courier{}) {
		return Usagef("nothing to change: set --name, --phone or --transport")
	}
	return s.changeCourier(ctx, http.MethodPatch, id, "", c, always("courier saved"))
}

// PauseCourier stops assigning orders to a courier, at once or after the delivery
// in progress.
func (s *Server) PauseCourier(ctx context.Context, id string, afterDelivery bool) error {
	body := map[string]bool{"after_delivery": afterDelivery}
	return s.changeCourier(ctx, http.MethodPost, id, "/pause", body, availability)
}

// ResumeCourier assigns orders to a courier again.
func (s *Server) ResumeCourier(ctx context.Context, id string) error {
	return s.changeCourier(ctx, http.MethodPost, id, "/resume", nil, availability)
}

// DeleteCourier deletes a courier.
func (s *Server) DeleteCourier(ctx context.Context, id string) error {
	return s.changeCourier(ctx, http.MethodDelete, id, "", nil, always("courier deleted"))
}

func (s *Server) changeCourier(ctx context.Context, method, id, action string, body any, done func(client.Answer) string) error {
	path, err := courierPath(id)
	if err != nil {
		return err
	}
	return s.change(ctx, method, path+action, body, courierColumns, done)
}

// availability is whether a courier gets orders, after a command that may have changed it.
func availability(answer client.Answer) string {
	var c struct {
		Status             string `json:"status"`
		PauseAfterDelivery bool   `json:"pause_after_delivery"`
	}
	switch err := json.Unmarshal(answer.Body, &c); {
	case err != nil:
		return "the answer is no courier"
	case c.PauseAfterDelivery:
		return "courier is busy, and paused when the delivery ends"
	case c.Status == string(courier.StatusBusy):
		return "courier is busy, and available when the delivery ends"
	}
	return "courier is " + output.Printable(c.Status)
}

func courierPath(arg string) (string, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return "", Usagef("invalid courier id %q: want a number; 'couriers list' shows the ids", arg)
	}
	return couriersPath + "/" + strconv.FormatInt(id, 10), nil
}

package ordersim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// draft is the body of POST and PUT; a field that is not sent stays nil.
type draft struct {
	OrderNumber  *string  `json:"order_number"`
	FIO          *string  `json:"fio"`
	RestaurantID *string  `json:"restaurant_id"`
	Items        []Item   `json:"items"`
	TotalPrice   *int64   `json:"total_price"`
	Address      *Address `json:"address"`
}

func (s *Sim) postOrder(r *http.Request) (int, any, error) {
	who := user(r)
	if who == "" {
		return 0, nil, errUnauthorized
	}
	d, err := readDraft(r)
	if err != nil {
		return 0, nil, err
	}
	if missing := d.missing(); len(missing) > 0 {
		return 0, nil, fmt.Errorf("%w: missing %s", errBadRequest, strings.Join(missing, ", "))
	}
	rec := s.madeUp(who, StatusCreated)
	rec.FIO = ""
	d.apply(&rec.Order)
	if err := s.add(rec); err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, rec.Order, nil
}

// putOrder changes the fields that are sent. Whatever the status was, it is
// updated from then on, and no timer moves it any more.
func (s *Sim) putOrder(r *http.Request) (int, any, error) {
	who := user(r)
	if who == "" {
		return 0, nil, errUnauthorized
	}
	d, err := readDraft(r)
	if err != nil {
		return 0, nil, err
	}
	d.RestaurantID, d.OrderNumber = nil, nil // an order does not change kitchens
	rec, err := s.change(r.PathValue("id"), func(cur, next *record) error {
		if cur.Status == StatusDeleted {
			return ErrNotFound
		}
		if err := owned(cur, who); err != nil {
			return err
		}
		d.apply(&next.Order)
		next.Status = StatusUpdated
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, rec.Order, nil
}

func (s *Sim) deleteOrder(r *http.Request) (int, any, error) {
	who := user(r)
	if who == "" {
		return 0, nil, errUnauthorized
	}
	rec, err := s.change(r.PathValue("id"), func(cur, next *record) error { return remove(cur, next, who) })
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}{rec.ID, rec.Status}, nil
}

func (s *Sim) postSeed(r *http.Request) (int, any, error) {
	who := user(r)
	if who == "" {
		return 0, nil, errUnauthorized
	}
	made, err := s.seedOrders(who)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, made, nil
}

// remove edits an order into a deleted one for its owner.
func remove(cur, next *record, who string) error {
	if cur.Status == StatusDeleted {
		return ErrNotFound
	}
	if err := owned(cur, who); err != nil {
		return err
	}
	next.Status = StatusDeleted
	return nil
}

// owned is nil for the owner of an order. Another's order is a bad request, not
// a forbidden one: so the original has it.
func owned(rec *record, who string) error {
	if rec.UserID != who {
		return fmt.Errorf("%w: the order belongs to another user", errBadRequest)
	}
	return nil
}

func readDraft(r *http.Request) (draft, error) {
	var d draft
	if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
		return draft{}, fmt.Errorf("%w: the body is not an order in JSON: %w", errBadRequest, err)
	}
	return d, nil
}

// missing names the fields a new order lacks.
func (d draft) missing() []string {
	var names []string
	if d.RestaurantID == nil || *d.RestaurantID == "" {
		names = append(names, "restaurant_id")
	}
	if len(d.Items) == 0 {
		names = append(names, "items (at least one)")
	}
	if d.TotalPrice == nil || *d.TotalPrice <= 0 {
		names = append(names, "total_price (above 0)")
	}
	if d.Address == nil || *d.Address == (Address{}) {
		names = append(names, "address")
	}
	return names
}

// apply writes the fields that were sent.
func (d draft) apply(o *Order) {
	set(&o.OrderNumber, d.OrderNumber)
	set(&o.FIO, d.FIO)
	set(&o.RestaurantID, d.RestaurantID)
	set(&o.TotalPrice, d.TotalPrice)
	set(&o.Address, d.Address)
	if len(d.Items) > 0 {
		o.Items = d.Items
	}
}

func set[T any](to *T, sent *T) {
	if sent != nil {
		*to = *sent
	}
}

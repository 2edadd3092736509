package rest

import (
	"encoding/json"
	"fmt"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
)

// StreamEncoder is livefeed's Encoder: the data of the events, a line of JSON each.
type StreamEncoder struct{}

var _ livefeed.Encoder = StreamEncoder{}

// changeBody is one order that reached a state.
type changeBody struct {
	At        time.Time  `json:"at"`
	OrderID   string     `json:"order_id" example:"o-7"`
	State     string     `json:"state" enum:"waiting,assigned,held,completed,cancelled" doc:"the state that the order reached"`
	CourierID int64      `json:"courier_id,omitempty" doc:"who was given the order, or whose delivery ended; absent when nobody is concerned"`
	Deadline  *time.Time `json:"deadline,omitempty" doc:"of the delivery that began, unless it has ended by now"`
	Source    string     `json:"source" example:"3@1742" doc:"what caused it: partition@offset of an event, a worker, or a person"`
	Reason    string     `json:"reason,omitempty"`
}

// Change implements livefeed.Encoder.
func (StreamEncoder) Change(c livefeed.Change) []byte {
	return line(changeBody{c.At.UTC(), string(c.OrderID), string(c.What), c.CourierID, utcOrNull(c.Deadline), c.Source, c.Reason})
}

// snapshotBody is how things stand.
type snapshotBody struct {
	At       time.Time         `json:"at"`
	Couriers courierCountsBody `json:"couriers"`
	Waiting  openOrdersBody    `json:"waiting" doc:"in the order of the line; late is always 0"`
	Assigned openOrdersBody    `json:"assigned" doc:"the open deliveries, the earliest deadline first"`
	Held     openOrdersBody    `json:"held" doc:"by id; late is always 0"`
}

type courierCountsBody struct {
	Available int `json:"available"`
	Busy      int `json:"busy"`
	Paused    int `json:"paused"`
}

type openOrdersBody struct {
	Count   int             `json:"count" doc:"of all"`
	Missing int             `json:"missing" doc:"of all, those that service-order answers 404 about"`
	Late    int             `json:"late" doc:"of all, those behind their deadline"`
	Orders  []openOrderBody `json:"orders" nullable:"false" maxItems:"200" doc:"the first of them"`
}

type openOrderBody struct {
	OrderID        string     `json:"order_id"`
	CourierID      int64      `json:"courier_id,omitempty"`
	Since          time.Time  `json:"since" doc:"when it was given its courier, else when it was first heard of"`
	Deadline       *time.Time `json:"deadline,omitempty"`
	Late           bool       `json:"late"`
	MissingSeconds float64    `json:"missing_seconds" doc:"for how long service-order has answered 404; 0: it has not"`
	Reason         string     `json:"reason,omitempty" doc:"why it is held"`
}

// Snapshot implements livefeed.Encoder.
func (StreamEncoder) Snapshot(s livefeed.Snapshot) []byte {
	return line(snapshotBody{
		At: s.At.UTC(),
		Couriers: courierCountsBody{
			s.Couriers[courier.StatusAvailable], s.Couriers[courier.StatusBusy], s.Couriers[courier.StatusPaused],
		},
		Waiting: newOpenOrdersBody(s.Waiting), Assigned: newOpenOrdersBody(s.Assigned), Held: newOpenOrdersBody(s.Held),
	})
}

func newOpenOrdersBody(o livefeed.OpenOrders) openOrdersBody {
	body := openOrdersBody{o.Count, o.Missing, o.Late, make([]openOrderBody, len(o.First))} // never null
	for i, one := range o.First {
		body.Orders[i] = openOrderBody{
			string(one.OrderID), one.CourierID, one.Since.UTC(), utcOrNull(one.Deadline), one.Late, one.Missing.Seconds(), one.Reason,
		}
	}
	return body
}

func utcOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// line makes a line of JSON: its strings have no line breaks, which would end the
// data of an event.
func line(body any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Errorf("encode %T: %w", body, err)) // of strings, numbers and times: it cannot fail
	}
	return text
}

package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
)

// heartbeatEvery shows the client, and proxies on the way, that the stream is alive.
const heartbeatEvery = 15 * time.Second

// Stream is the live feed. Its error matches courier.ErrUnavailable.
type Stream interface {
	Subscribe(ctx context.Context, lastID string) (*livefeed.Subscription, error)
}

type streamAPI struct {
	*api
	stream   Stream
	callers  Callers         // nil: no token is required
	stopping <-chan struct{} // closed when the server stops, which waits for its handlers
}

func (a *api) registerStream(stream Stream, callers Callers, stopping <-chan struct{}) {
	const path = versioned + "/stream"
	a.handle(path, route{role: read, endless: true}, streamAPI{a, stream, callers, stopping})
	schemas := a.OpenAPI().Components.Schemas
	schemas.Schema(reflect.TypeFor[snapshotBody](), true, "")
	schemas.Schema(reflect.TypeFor[changeBody](), true, "")
	schemas.Schema(reflect.TypeFor[courierEventBody](), true, "")
	a.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "stream", Method: http.MethodGet, Path: path, Tags: []string{"stream"},
		Summary: "Stream changes as they happen", Description: streamDescription, Security: security(read),
		Parameters: []*huma.Param{{
			Name: "Last-Event-ID", In: "header", Description: "id of the last event received; opaque", Schema: &huma.Schema{Type: huma.TypeString},
		}},
		Responses: a.unregistered(eventStream,
			"Events until the client disconnects; the data of a snapshot is a Snapshot, of a change a Change, of a courier a CourierEvent", http.StatusServiceUnavailable),
	})
}

const streamDescription = "Server-sent events. `snapshot` has the current state; `change` is one transition of an order; those of one order come in the sequence in which they happened; " +
	"`courier` is a change of a courier through the API, in the same sequence as the orders that the courier gets (a courier that another program adds to the database has no event: list the couriers); " +
	"an expired deadline is a `change` to held with the source deadline; ignore events of a name you do not know: there may be more later; " +
	"`live` (without data) ends the part of a snapshot: from then on every change has an `id`. Reconnect with the last one in `Last-Event-ID` to receive " +
	"every later change exactly once. Without an id, with one that is unknown or too old, and when a client falls too far behind, a `snapshot` is sent (again): it replaces " +
	"everything sent before. Lists in a snapshot are limited, counts are not. A comment line every 15 s shows that the stream is alive. " +
	"While the database has not been readable for 3 s or more, streams end and new ones get 503: what a client shows is then out of date, until it has reconnected. " +
	"A client that reads nothing for 5 s, or needs more than 30 s for the events sent at a time, is disconnected and may reconnect. " +
	"When the token of a client is revoked, it receives no more events, and the stream ends at the latest with the next comment line."

// ServeHTTP streams events until the client disconnects, its token is revoked or
// the server stops.
func (s streamAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	r = r.WithContext(ctx)
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	subscription, err := s.stream.Subscribe(ctx, r.Header.Get("Last-Event-ID"))
	if err != nil {
		writeProblem(w, r, s.refuse(ctx, "stream", err))
		return
	}
	defer subscription.Close()
	out := newEventWriter(w)
	err = out.open()
	for err == nil {
		err = s.next(r, subscription, out)
	}
}

// errRevoked ends a stream whose token was revoked; the client learns the reason
// when it reconnects.
var errRevoked = errors.New("the caller is no longer allowed to read the stream")

// allowed checks the token again.
func (s streamAPI) allowed(r *http.Request) bool {
	if s.callers == nil {
		return true
	}
	_, refusal := authenticate(r, s.callers, read)
	return refusal == nil
}

// next sends the next events, or a heartbeat when there are none in time. Any
// error ends the stream.
func (s streamAPI) next(r *http.Request, subscription *livefeed.Subscription, out *eventWriter) error {
	limited, cancel := context.WithTimeout(r.Context(), heartbeatEvery)
	defer cancel()
	messages, err := subscription.Next(limited)
	silence := errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil
	switch {
	case err != nil && !silence:
		return errors.Join(err, out.finish())
	case !s.allowed(r):
		return errRevoked
	case silence:
		return out.heartbeat()
	}
	return out.events(messages)
}

// StreamEncoder implements livefeed.Encoder: the data of an event is a line of JSON.
type StreamEncoder struct{}

var _ livefeed.Encoder = StreamEncoder{}

type changeBody struct {
	At        time.Time `json:"at"`
	OrderID   string    `json:"order_id" example:"o-7"`
	State     string    `json:"state" enum:"waiting,assigned,held,completed,cancelled" doc:"the new state"`
	CourierID int64     `json:"courier_id,omitempty" doc:"the courier of the delivery that began or ended; omitted without one"`
	Courier   string    `json:"courier_name,omitempty" doc:"the courier's name"`
	Transport string    `json:"transport_type,omitempty" enum:"on_foot,scooter,car" doc:"of the courier"`
	FirstSeen time.Time `json:"first_seen_at,omitzero" doc:"when this service first saw the order"`
	Position  *int64    `json:"queue_position,omitempty" doc:"if the order has been in the waiting queue: given once in order of arrival, with gaps; lower is first"`
	Deadline  time.Time `json:"deadline,omitzero" doc:"of the delivery that began, unless it has ended by now"`
	Source    string    `json:"source" example:"3@1742" doc:"cause: partition@offset of an order event, match, recheck, resync, deadline, dispatcher or dispatcher:NAME"`
	Reason    string    `json:"reason,omitempty"`
}

type courierEventBody struct {
	At      time.Time   `json:"at"`
	Change  string      `json:"change" enum:"registered,edited,paused,resumed,deleted" doc:"paused also when the pause begins after the delivery, resumed also when that is cancelled"`
	Courier courierBody `json:"courier" doc:"as they are now"`
	Source  string      `json:"source" example:"dispatcher:anna" doc:"dispatcher or dispatcher:NAME"`
}

// Change implements livefeed.Encoder.
func (StreamEncoder) Change(c livefeed.Change) []byte {
	if c.CourierChange != "" {
		return encodeLine(courierEventBody{c.At.UTC(), string(c.CourierChange), newCourierBody(courier.Courier{
			ID: c.CourierID, Name: c.CourierName, Phone: c.CourierPhone, Status: c.CourierStatus, Transport: c.Transport,
			PauseAfter: c.PauseAfter, OrderID: c.CourierOrder, Deliveries: c.Deliveries,
		}), c.Source})
	}
	return encodeLine(changeBody{
		c.At.UTC(), string(c.OrderID), string(c.State), c.CourierID, c.CourierName, string(c.Transport), c.FirstSeenAt.UTC(), c.QueuePosition,
		c.Deadline.UTC(), c.Source, c.Reason,
	})
}

type snapshotBody struct {
	At       time.Time        `json:"at"`
	Couriers courierCounts    `json:"couriers"`
	Waiting  activeOrdersBody `json:"waiting" doc:"by queue position; overdue is always 0"`
	Assigned activeOrdersBody `json:"assigned" doc:"earliest deadline first"`
	Held     activeOrdersBody `json:"held" doc:"longest on hold first; overdue is always 0"`
}

type courierCounts struct {
	Available int `json:"available"`
	Busy      int `json:"busy"`
	Paused    int `json:"paused"`
}

type activeOrdersBody struct {
	Count   int               `json:"count" doc:"all orders"`
	Missing int               `json:"missing" doc:"orders that service-order answers 404 for"`
	Overdue int               `json:"overdue" doc:"orders past their deadline"`
	Orders  []activeOrderBody `json:"orders" nullable:"false" maxItems:"200" doc:"the first orders"`
}

type activeOrderBody struct {
	OrderID        string    `json:"order_id"`
	CourierID      int64     `json:"courier_id,omitempty"`
	Position       *int64    `json:"queue_position,omitempty" doc:"in the waiting queue: given once in order of arrival, with gaps; lower is first"`
	Since          time.Time `json:"since" doc:"when the order was assigned, else when this service first saw it"`
	Deadline       time.Time `json:"deadline,omitzero"`
	Overdue        bool      `json:"overdue"`
	MissingSeconds float64   `json:"missing_seconds" doc:"how long service-order has answered 404; 0 if it has the order"`
	Reason         string    `json:"reason,omitempty" doc:"why the order is on hold"`
}

// Snapshot implements livefeed.Encoder.
func (StreamEncoder) Snapshot(s livefeed.Snapshot) []byte {
	return encodeLine(snapshotBody{
		At: s.At.UTC(),
		Couriers: courierCounts{
			s.Couriers[courier.StatusAvailable], s.Couriers[courier.StatusBusy], s.Couriers[courier.StatusPaused],
		},
		Waiting: newActiveOrdersBody(s.Waiting), Assigned: newActiveOrdersBody(s.Assigned), Held: newActiveOrdersBody(s.Held),
	})
}

func newActiveOrdersBody(o livefeed.ActiveOrders) activeOrdersBody {
	body := activeOrdersBody{o.Count, o.Missing, o.Overdue, make([]activeOrderBody, len(o.First))} // never null
	for i, one := range o.First {
		body.Orders[i] = activeOrderBody{
			string(one.OrderID), one.CourierID, one.QueuePosition, one.Since.UTC(), one.Deadline.UTC(), one.Overdue, one.Missing.Seconds(), one.Reason,
		}
	}
	return body
}

// encodeLine encodes a body without line breaks, which would end the data of an event.
func encodeLine(body any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Errorf("encode %T: %w", body, err)) // strings, numbers and times: it cannot fail
	}
	return text
}

package web

import (
	"bytes"
	"context"
	_ "embed" // for the page
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/orders"
)

//go:embed plain.html
var plainText string

var plainPage = template.Must(template.New("plain").Parse(plainText))

// plainRows is how many orders of a state, and how many couriers, the plain board shows.
const plainRows = 200

// Orders lists orders.
type Orders interface {
	Page(ctx context.Context, list orders.List, after orders.PageKey, limit int) ([]orders.Listed, error)
}

// Couriers lists couriers.
type Couriers interface {
	Page(ctx context.Context, f couriers.Filter, after int64, limit int) ([]courier.Courier, error)
}

// Plain is the board for browsers without JavaScript: a table as of now.
type Plain struct {
	orders   Orders
	couriers Couriers
	log      *slog.Logger
	reported func(error) bool
}

// NewPlain returns the plain board of the use cases. reported reports whether the log has the
// outage that an error is of.
func NewPlain(all Orders, people Couriers, log *slog.Logger, reported func(error) bool) *Plain {
	return &Plain{all, people, log, reported}
}

// plainView is what the page shows.
type plainView struct {
	language
	Now                     time.Time
	SignIn, Refused, Failed bool
	SignedIn                bool
	Groups                  []plainGroup
	Couriers                []courier.Courier
	MoreCouriers            bool
	names                   map[int64]string
}

// plainGroup are the orders of one state.
type plainGroup struct {
	State  string
	Orders []orders.Order
	More   bool
}

// Board shows the board; signedIn offers to sign out.
func (p *Plain) Board(w http.ResponseWriter, r *http.Request, signedIn bool) {
	view := plainView{language: languageOf(r), Now: time.Now(), SignedIn: signedIn}
	status := http.StatusOK
	if err := p.read(r.Context(), &view); err != nil {
		view.Failed, status = true, http.StatusServiceUnavailable
		if !errors.Is(err, context.Canceled) {
			level := slog.LevelWarn
			if p.reported(err) {
				level = slog.LevelDebug
			}
			p.log.Log(r.Context(), level, "request failed, dependency unavailable", slog.String("operation", "plain board"), slog.Any("error", err))
		}
	}
	view.write(w, status)
}

// SignIn asks for a token; refused says that the last one is unknown.
func (p *Plain) SignIn(w http.ResponseWriter, r *http.Request, refused bool) {
	view := plainView{language: languageOf(r), SignIn: true, Refused: refused}
	view.write(w, http.StatusUnauthorized)
}

func (p *Plain) read(ctx context.Context, view *plainView) error {
	for _, list := range []orders.List{orders.Waiting, orders.Assigned, orders.Held} {
		page, err := p.orders.Page(ctx, list, orders.PageKey{}, plainRows+1)
		if err != nil {
			return err
		}
		group := plainGroup{State: string(list), More: len(page) > plainRows}
		for _, o := range page[:min(len(page), plainRows)] {
			group.Orders = append(group.Orders, o.Order)
		}
		view.Groups = append(view.Groups, group)
	}
	people, err := p.couriers.Page(ctx, couriers.Filter{}, 0, plainRows+1)
	if err != nil {
		return err
	}
	view.MoreCouriers = len(people) > plainRows
	view.Couriers = people[:min(len(people), plainRows)]
	view.names = make(map[int64]string, len(people))
	for _, c := range people {
		view.names[c.ID] = c.Name
	}
	return nil
}

func (v plainView) write(w http.ResponseWriter, status int) {
	var page bytes.Buffer
	if err := plainPage.Execute(&page, v); err != nil {
		panic(err) // a mistake in the template, which the tests execute
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send forms with "Origin: null"
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // fails only when the client has disconnected
}

// Courier is the name of a courier.
func (v plainView) Courier(id int64) string {
	if name, known := v.names[id]; known {
		return name
	}
	return strings.ReplaceAll(v.T("courier.n"), "{id}", strconv.FormatInt(id, 10))
}

// Overdue reports whether the deadline of an order has passed.
func (v plainView) Overdue(o orders.Order) bool {
	return o.State == courier.StateAssigned && o.Delivery.Deadline.Before(v.Now)
}

// Time is what the board counts for an order: the time left or over, or its age.
func (v plainView) Time(o orders.Order) string {
	switch left := o.Delivery.Deadline.Sub(v.Now); {
	case o.State == courier.StateHeld:
		return v.duration(v.Now.Sub(o.UpdatedAt))
	case o.State != courier.StateAssigned:
		return v.duration(v.Now.Sub(o.CreatedAt))
	case left < 0:
		return strings.ReplaceAll(v.T("over"), "{time}", v.duration(-left))
	default:
		return strings.ReplaceAll(v.T("left"), "{time}", v.duration(left))
	}
}

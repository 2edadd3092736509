package order_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/gateway/order"
)

func TestListStreamsEveryOrder(t *testing.T) {
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3*3600))
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/public/api/v1/orders" || r.URL.Query().Get("from") != "2026-01-02T00:04:05Z" {
			t.Errorf("asked %s", r.URL)
		}
		_, _ = io.WriteString(w, "[")
		for i := range 5000 { // far more than an element may have, all together
			_, _ = fmt.Fprintf(w, `{"id":"o%d","status":"cooking","items":[%s]}, {"id":"../x"}, 7,`, i, strings.Repeat(`"x",`, 20)+`"x"`)
		}
		_, _ = io.WriteString(w, `{"order_id":"last","status":"completed"}]`)
	})
	var got []order.Order
	err := c.List(t.Context(), from, func(o order.Order) error { got = append(got, o); return nil })
	if err != nil || len(got) != 5001 || got[5000] != (order.Order{ID: "last", Status: "completed"}) {
		t.Fatalf("%d orders, %v", len(got), err)
	}
}

func TestListThatIsNotWhole(t *testing.T) {
	bodies := map[string]http.HandlerFunc{
		"not a list":   say(`{"id":"1"}`),
		"cut":          say(`[{"id":"1","status":"created"},`),
		"cut at end":   say(`[{"id":"1","status":"created"}`),
		"empty":        say(``),
		"huge element": say(`[{"id":"` + strings.Repeat("x", 200<<10) + `"}]`),
		"error":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	}
	for name, h := range bodies {
		t.Run(name, func(t *testing.T) {
			err := serve(t, h).List(t.Context(), time.Time{}, func(order.Order) error { return nil })
			if !errors.Is(err, order.ErrUnavailable) {
				t.Errorf("err = %v, want ErrUnavailable", err)
			}
		})
	}
}

func TestListStopsWhenTold(t *testing.T) {
	enough := errors.New("enough")
	c := serve(t, say(`[{"id":"1"},{"id":"2"}]`))
	if err := c.List(t.Context(), time.Time{}, func(order.Order) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("err = %v, want %v", err, enough)
	}
}

// TestListThatTrickles: bytes keep coming, but no order. Without the bound on the
// next order, it is the test's context that ends it.
func TestListThatTrickles(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `[{"id":"1"}, `)
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-r.Context().Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
		}
	}))
	t.Cleanup(srv.Close)
	c, err := order.NewHTTPClient(order.Config{BaseURL: srv.URL, Timeout: 20 * time.Millisecond, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	listed := 0
	err = c.List(ctx, time.Time{}, func(order.Order) error { listed++; return nil })
	if !errors.Is(err, order.ErrUnavailable) || ctx.Err() != nil || listed != 1 {
		t.Errorf("%d orders, then %v; want one, then ErrUnavailable", listed, err)
	}
	if !strings.Contains(fmt.Sprint(err), "stalled") {
		t.Errorf("the error does not say what happened: %v", err)
	}
}

// TestListWaitsForWhoeverIsTold: only service-order's own slowness stalls a list. It
// fails when the time of the next order goes on while the one before is handled.
func TestListWaitsForWhoeverIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory{body: `[{"id":"1"},{"id":"2"}]`}.client(t, 1)
		listed := 0
		err := c.List(t.Context(), time.Time{}, func(order.Order) error {
			<-time.After(time.Minute) // far longer than the next order may take
			listed++
			return nil
		})
		if err != nil || listed != 2 {
			t.Errorf("%d orders, then %v; want both", listed, err)
		}
	})
}

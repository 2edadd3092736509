package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// neighbour is service-order at its barest: a map, and a body of the real size.
// All orders have one status.
type neighbour struct {
	orders map[string]struct{}
	status atomic.Pointer[string]
	asked  atomic.Int64 // GETs answered
	server *http.Server
	addr   string
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

// orderID names the nth order as service-order would: with a UUID.
func orderID(n int) string { return fmt.Sprintf("6ba7b810-9dad-41d1-80b4-%012x", n) }

// startNeighbour serves n orders on a free port.
func startNeighbour(ctx context.Context, n int) (*neighbour, error) {
	s := &neighbour{orders: make(map[string]struct{}, n)}
	for i := range n {
		s.orders[orderID(i)] = struct{}{}
	}
	s.become("created")
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve orders: %w", err)
	}
	s.addr = listener.Addr().String()
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // nothing measured from here on would mean anything
		}
	}()
	return s, nil
}

// become gives every order a status.
func (s *neighbour) become(status string) { s.status.Store(&status) }

func (s *neighbour) url() string { return "http://" + s.addr }

// ServeHTTP answers GET …/order/{id}, and nothing else: without a list of the
// orders the sweep, which the service makes when it starts, does no part of the
// work that is measured.
func (s *neighbour) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, orderPath)
	w.Header().Set("Content-Type", "application/json")
	if _, ok := s.orders[id]; !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"not_found","message":"no such order"}`))
		return
	}
	s.asked.Add(1)
	status := *s.status.Load()
	body := make([]byte, 0, len(beforeID)+len(id)+len(beforeStatus)+len(status)+len(afterStatus))
	body = append(append(append(append(append(body, beforeID...), id...), beforeStatus...), status...), afterStatus...)
	_, _ = w.Write(body) // the client has gone: nobody to tell
}

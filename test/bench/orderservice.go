package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// orderService is a minimal service-order: a map, and bodies of the real size.
type orderService struct {
	numbers   map[string]int // by order id
	completed []atomic.Bool  // by number
	gets      atomic.Int64   // answered
	server    *http.Server
	addr      string
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

const (
	statusCreated   = "created"
	statusCompleted = "completed"
)

// orderID returns a UUID that looks random, as service-order's ids do, so that the
// entries are spread over the database's indexes.
func orderID(n int) string {
	h := sha256.Sum256(fmt.Append(nil, n))
	return fmt.Sprintf("%x-%x-4%03x-a%03x-%x", h[:4], h[4:6], h[6], h[7], h[8:14])
}

// startOrderService serves n created orders on a free port.
func startOrderService(ctx context.Context, n int) (*orderService, error) {
	s := &orderService{numbers: make(map[string]int, n), completed: make([]atomic.Bool, n)}
	for i := range n {
		s.numbers[orderID(i)] = i
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve orders: %w", err)
	}
	s.addr = listener.Addr().String()
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // every later figure would be wrong
		}
	}()
	return s, nil
}

func (s *orderService) complete(r orderRange) {
	for i := r.from; i < r.to; i++ {
		s.completed[i].Store(true)
	}
}

func (s *orderService) url() string { return "http://" + s.addr }

// ServeHTTP answers only GET …/order/{id}. Without a list of orders, the resync at
// the service's start does none of the measured work.
func (s *orderService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, orderPath)
	w.Header().Set("Content-Type", "application/json")
	number, ok := s.numbers[id]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"not_found","message":"no such order"}`))
		return
	}
	s.gets.Add(1)
	status := statusCreated
	if s.completed[number].Load() {
		status = statusCompleted
	}
	body := make([]byte, 0, len(beforeID)+len(id)+len(beforeStatus)+len(status)+len(afterStatus))
	body = append(append(append(append(append(body, beforeID...), id...), beforeStatus...), status...), afterStatus...)
	_, _ = w.Write(body) // fails only if the client has disconnected
}

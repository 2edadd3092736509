package ordersim

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Timed is an order with its timers.
type Timed struct {
	ID         string    `json:"id"`
	Status     string    `json:"status"`
	UpdatedAt  time.Time `json:"updated_at"`
	NextStatus string    `json:"next_status,omitempty"`
	NextAt     time.Time `json:"next_at,omitzero"`   // when NextStatus follows
	CancelAt   time.Time `json:"cancel_at,omitzero"` // when the generator deletes the order
}

// Newest returns at most limit orders, the last created first, also deleted ones, and
// the number of all orders.
func (s *Sim) Newest(limit int) (newest []Timed, total int) {
	records, total := s.store.newest(limit)
	newest = make([]Timed, 0, len(records))
	for _, r := range records {
		o := Timed{ID: r.ID, Status: r.Status, UpdatedAt: r.UpdatedAt, NextAt: r.NextAt}
		if !r.NextAt.IsZero() {
			o.NextStatus, _, _ = s.cfg.Steps.next(r.Status)
		}
		if !ended(r.Status) {
			o.CancelAt = r.CancelAt
		}
		newest = append(newest, o)
	}
	return newest, total
}

// maxListed bounds the orders of one answer.
const maxListed = 1000

type orderList struct {
	Total  int               `json:"total"`
	Orders []Timed           `json:"orders"`
	Steps  map[string]string `json:"steps"` // how long an order has each status
}

func (s *Sim) controlList(r *http.Request) (int, any, error) {
	limit, err := numberOf(r, "limit", 50, maxListed)
	if err != nil {
		return 0, nil, err
	}
	list := orderList{Steps: map[string]string{}}
	list.Orders, list.Total = s.Newest(limit)
	for _, status := range allStatuses() {
		if _, after, ok := s.cfg.Steps.next(status); ok {
			list.Steps[status] = after.String()
		}
	}
	return http.StatusOK, list, nil
}

// numberOf returns a number of the query, 1 to most, or standard if there is none.
func numberOf(r *http.Request, name string, standard, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%w: %s=%q: want 1 to %d", errBadRequest, name, text, most)
	}
	return n, nil
}

// maxReplayed is how many events are kept for Replay.
const maxReplayed = 500

// recentEvents keeps the last events.
type recentEvents struct {
	mu   sync.Mutex
	last []Event // the oldest first
}

func (r *recentEvents) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.last) == maxReplayed {
		r.last = r.last[:copy(r.last, r.last[1:])]
	}
	r.last = append(r.last, e)
}

func (r *recentEvents) copies(n int) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Event, 0, n*len(r.last))
	for range n {
		all = append(all, r.last...)
	}
	return all
}

// Replay publishes the last events again, at most 500, each so many times and all in
// random order. It waits until Kafka has saved them, and returns how many it has.
func (s *Sim) Replay(ctx context.Context, copies int) (int, error) {
	again := s.outbox.recent.copies(copies)
	rand.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
	values := make([][]byte, len(again))
	for i, e := range again {
		var err error
		if values[i], err = json.Marshal(e); err != nil {
			return 0, err
		}
	}
	return s.outbox.deliver(ctx, values...)
}

// maxCopies bounds the records of a replay.
const maxCopies = 10

func (s *Sim) controlReplay(r *http.Request) (int, any, error) {
	copies, err := numberOf(r, "copies", 3, maxCopies)
	if err != nil {
		return 0, nil, err
	}
	n, err := s.Replay(r.Context(), copies)
	return http.StatusOK, published{n}, err
}

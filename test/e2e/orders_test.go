package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const newOrder = `{"restaurant_id":"r1","items":[{"food_id":"f1","name":"Pizza","quantity":1,"price":500}],
	"total_price":500,"address":{"street":"Main","house":"1"}}`

// order sends a request to service-order.
func (s *stack) order(ctx context.Context, method, path, body string) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.orderAddr+"/public/api/v1/order"+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-Bypass-Auth", "true")
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// post creates an order and returns its id.
func (s *stack) post(ctx context.Context) (string, error) {
	status, answer, err := s.order(ctx, http.MethodPost, "", newOrder)
	if err != nil {
		return "", err
	}
	var created struct{ ID string }
	if err := json.Unmarshal(answer, &created); err != nil || status != http.StatusCreated {
		return "", fmt.Errorf("POST of an order: %d: %s", status, answer)
	}
	return created.ID, nil
}

func (s *stack) mustPost() string {
	s.Helper()
	id, err := s.post(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return id
}

// cancel deletes an order; it may be deleted already.
func (s *stack) cancel(ctx context.Context, id string) error {
	status, answer, err := s.order(ctx, http.MethodDelete, "/"+id, "")
	if err == nil && status != http.StatusOK && status != http.StatusNotFound {
		err = fmt.Errorf("DELETE of an order: %d: %s", status, answer)
	}
	return err
}

// truth returns the status in service-order; 404 means deleted.
func (s *stack) truth(id string) string {
	s.Helper()
	status, answer, err := s.order(s.Context(), http.MethodGet, "/"+id+"/status", "")
	if err != nil {
		s.Fatal(err)
	}
	if status == http.StatusNotFound {
		return "deleted"
	}
	var order struct{ Status string }
	if err := json.Unmarshal(answer, &order); err != nil {
		s.Fatalf("GET of an order's status: %d: %s", status, answer)
	}
	return order.Status
}

// traffic creates orders in the background.
type traffic struct {
	s    *stack
	done sync.WaitGroup
	ids  [][]string // by customer
	errs []error
}

// wait returns the ids when all orders are created.
func (t *traffic) wait() []string {
	t.s.Helper()
	t.done.Wait()
	if err := errors.Join(t.errs...); err != nil {
		t.s.Fatalf("traffic: %v", err)
	}
	return slices.Concat(t.ids...)
}

// customers starts n goroutines that create orders.
func (s *stack) customers(n int, order func(ctx context.Context) ([]string, error)) *traffic {
	t := &traffic{s: s, ids: make([][]string, n), errs: make([]error, n)}
	for c := range n {
		t.done.Go(func() { t.ids[c], t.errs[c] = order(s.Context()) })
	}
	s.Cleanup(t.done.Wait)
	return t
}

// rush creates n orders as fast as possible.
func (s *stack) rush(n int) *traffic {
	const customers = 8
	return s.customers(customers, func(ctx context.Context) (ids []string, err error) {
		for range n / customers {
			id, err := s.post(ctx)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		return ids, nil
	})
}

// steady creates n orders at a rate, and cancels 30 % of them at random times, also after
// their end. With n = 0 it continues until stop is closed.
func (s *stack) steady(n, perSecond int, stop <-chan struct{}) *traffic {
	random := rand.New(rand.NewPCG(1, 2))
	return s.customers(1, func(ctx context.Context) (ids []string, err error) {
		next := time.NewTicker(time.Second / time.Duration(perSecond))
		defer next.Stop()
		for n == 0 || len(ids) < n {
			select {
			case <-next.C:
			case <-stop:
				return ids, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			id, err := s.post(ctx)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
			if random.Float64() < 0.3 {
				if err := s.cancel(ctx, ids[random.IntN(len(ids))]); err != nil {
					return nil, err
				}
			}
		}
		return ids, nil
	})
}

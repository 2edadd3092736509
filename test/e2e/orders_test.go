package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const newOrder = `{"restaurant_id":"r1","items":[{"food_id":"f1","name":"Pizza","quantity":1,"price":500}],
	"total_price":500,"address":{"street":"Main","house":"1"}}`

// order asks something of service-order, as its customers do.
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

// post makes a new order and returns its id.
func (s *stack) post(ctx context.Context) (string, error) {
	status, answer, err := s.order(ctx, http.MethodPost, "", newOrder)
	if err != nil {
		return "", err
	}
	var made struct{ ID string }
	if err := json.Unmarshal(answer, &made); err != nil || status != http.StatusCreated {
		return "", fmt.Errorf("a new order is answered with %d: %s", status, answer)
	}
	return made.ID, nil
}

// mustPost makes a new order.
func (s *stack) mustPost() string {
	s.Helper()
	id, err := s.post(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return id
}

// cancel deletes an order, once or again.
func (s *stack) cancel(ctx context.Context, id string) error {
	status, answer, err := s.order(ctx, http.MethodDelete, "/"+id, "")
	if err == nil && status != http.StatusOK && status != http.StatusNotFound {
		err = fmt.Errorf("deleting an order is answered with %d: %s", status, answer)
	}
	return err
}

// truth is the status of an order there; one that was deleted answers 404.
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
		s.Fatalf("the status of an order is answered with %d: %s", status, answer)
	}
	return order.Status
}

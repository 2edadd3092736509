package ordersim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

func (s *Sim) getOrder(r *http.Request) (int, any, error) {
	rec, err := s.visible(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, rec.Order, nil
}

func (s *Sim) getStatus(r *http.Request) (int, any, error) {
	rec, err := s.visible(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, struct {
		OrderID string `json:"order_id"`
		Status  string `json:"status"`
	}{rec.ID, rec.Status}, nil
}

// visible finds the order of a request for one who may read it: anyone who does
// not claim to be somebody else than its owner.
func (s *Sim) visible(r *http.Request) (*record, error) {
	rec := s.store.get(r.PathValue("id"))
	if rec == nil || rec.Status == StatusDeleted {
		return nil, ErrNotFound
	}
	if u := user(r); u != "" {
		return rec, owned(rec, u)
	}
	return rec, nil
}

// listOrders answers all orders since a time, whosever they are. It streams:
// the list has no pages, however long it is.
func (s *Sim) listOrders(w http.ResponseWriter, r *http.Request) {
	var from time.Time
	if text := r.URL.Query().Get("from"); text != "" {
		var err error
		if from, err = time.Parse(time.RFC3339, text); err != nil {
			s.fail(w, fmt.Errorf("%w: from=%q is not a time of RFC 3339, such as 2025-08-06T12:00:00Z", errBadRequest, text))
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 32<<10)
	defer func() { _ = out.Flush() }()
	separator := byte('[')
	for _, rec := range s.store.since(from) {
		data, err := json.Marshal(rec.Order)
		if err != nil {
			return
		}
		_ = out.WriteByte(separator)
		if _, err := out.Write(data); err != nil {
			return // the client has gone
		}
		separator = ','
	}
	if separator == '[' {
		_ = out.WriteByte(separator)
	}
	_, _ = out.WriteString("]\n")
}

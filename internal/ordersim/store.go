package ordersim

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNotFound is returned for an order that does not exist, or was deleted.
var ErrNotFound = errors.New("no such order")

// errExists and errStale never leave the package: ids are drawn until one is
// free, and a timer armed for an older record has nothing to do.
var (
	errExists = errors.New("order exists already")
	errStale  = errors.New("order changed since")
)

// store holds the orders in memory and, when there is a journal, writes each
// change to it before anyone can see it. Reading takes a shared lock for the
// length of a map access.
type store struct {
	mu     sync.RWMutex
	orders map[string]*record
	ids    []string // in order of creation
	file   *journal // nil: in memory only
}

// newStore starts with the given records, oldest first.
func newStore(records []*record, file *journal) *store {
	s := &store{orders: make(map[string]*record, len(records)), file: file}
	for _, r := range records {
		s.orders[r.ID] = r
		s.ids = append(s.ids, r.ID)
	}
	return s
}

// get returns an order, a deleted one too; nil when there is none.
func (s *store) get(id string) *record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.orders[id]
}

// add puts in a new order; errExists when the id is taken.
func (s *store) add(r *record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders[r.ID] != nil {
		return errExists
	}
	if err := s.file.append(r); err != nil {
		return fmt.Errorf("keep order %s: %w", r.ID, err)
	}
	s.orders[r.ID] = r
	s.ids = append(s.ids, r.ID)
	return nil
}

// change replaces an order by what edit makes of a copy of it. An error of edit
// leaves everything as it was and is returned as it is.
func (s *store) change(id string, edit func(cur *record, next *record) error) (*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cur := s.orders[id]
	if cur == nil {
		return nil, ErrNotFound
	}
	next := *cur
	if err := edit(cur, &next); err != nil {
		return nil, err
	}
	if err := s.file.append(&next); err != nil {
		return nil, fmt.Errorf("keep order %s: %w", id, err)
	}
	s.orders[id] = &next
	return &next, nil
}

// since returns the orders created at or after a time, oldest first, without
// the deleted ones.
func (s *store) since(from time.Time) []*record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []*record
	for _, id := range s.ids {
		if r := s.orders[id]; r.Status != StatusDeleted && !r.CreatedAt.Before(from) {
			found = append(found, r)
		}
	}
	return found
}

// truth returns the status of every order, deleted ones too.
func (s *store) truth() map[string]string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[string]string, len(s.orders))
	for id, r := range s.orders {
		all[id] = r.Status
	}
	return all
}

// clear forgets every order, in the state file too.
func (s *store) clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.file.reset(); err != nil {
		return err
	}
	s.orders = map[string]*record{}
	s.ids = nil
	return nil
}

// close lets go of the state file; later changes fail when there is one.
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.close()
}

package ordersim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// ErrNotFound means that the order does not exist or was deleted.
var ErrNotFound = errors.New("order not found")

var (
	errExists = errors.New("order already exists")
	errStale  = errors.New("order has changed") // the timer is out of date
)

// store holds the orders in memory and writes each change to the state file, if there
// is one, before it becomes visible.
type store struct {
	mu     sync.RWMutex
	orders map[string]*record
	ids    []string   // in order of creation
	file   *stateFile // nil: in memory only
}

// newStore returns a store with records, oldest first.
func newStore(records []*record, file *stateFile) *store {
	s := &store{orders: make(map[string]*record, len(records)), file: file}
	for _, r := range records {
		s.orders[r.ID] = r
		s.ids = append(s.ids, r.ID)
	}
	return s
}

// get returns an order, also a deleted one, or nil.
func (s *store) get(id string) *record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.orders[id]
}

// add inserts a new order, or returns errExists.
func (s *store) add(r *record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders[r.ID] != nil {
		return errExists
	}
	if err := s.file.append(r); err != nil {
		return fmt.Errorf("save order %s: %w", r.ID, err)
	}
	s.orders[r.ID] = r
	s.ids = append(s.ids, r.ID)
	return nil
}

// change replaces an order by an edited copy. An error of edit is returned and changes
// nothing.
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
		return nil, fmt.Errorf("save order %s: %w", id, err)
	}
	s.orders[id] = &next
	return &next, nil
}

// since returns the orders created at from or later, oldest first, without deleted
// ones.
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

// newest returns at most limit orders, the last created first, and the number of all.
func (s *store) newest(limit int) (found []*record, total int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, id := range slices.Backward(s.ids) {
		if len(found) == limit {
			break
		}
		found = append(found, s.orders[id])
	}
	return found, len(s.ids)
}

// truth returns the status of every order, also of deleted ones.
func (s *store) truth() map[string]string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[string]string, len(s.orders))
	for id, r := range s.orders {
		all[id] = r.Status
	}
	return all
}

// clear removes all orders, also from the state file.
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

// close closes the state file; changes then fail.
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.close()
}

// stateFile holds a JSON line per change; the last line of an order is valid. Each line
// is one write, so a kill leaves at most one incomplete line, at the end. Without
// fsync it does not survive a power cut. A nil stateFile stores nothing.
type stateFile struct {
	file *os.File
	size int64 // of the complete lines
}

// openStateFile reads a state file, rewrites it with one line per order, and opens it
// for appending. The records are in order of creation. A missing file is empty.
func openStateFile(path string) (*stateFile, []*record, error) {
	records, err := readState(path)
	if err != nil {
		return nil, nil, fmt.Errorf("state file: %w", err)
	}
	f := &stateFile{}
	if err := f.compact(path, records); err != nil {
		return nil, nil, fmt.Errorf("state file: %w", err)
	}
	return f, records, nil
}

// append adds a record. On failure it truncates the file to its complete lines, so that
// a full disk leaves no incomplete line in the middle.
func (f *stateFile) append(r *record) error {
	if f == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	n, err := f.file.Write(append(line, '\n'))
	if err != nil {
		return errors.Join(err, f.file.Truncate(f.size))
	}
	f.size += int64(n)
	return nil
}

// reset empties the file.
func (f *stateFile) reset() error {
	if f == nil {
		return nil
	}
	if err := f.file.Truncate(0); err != nil {
		return err
	}
	f.size = 0
	return nil
}

func (f *stateFile) close() error {
	if f == nil {
		return nil
	}
	return f.file.Close()
}

// compact writes the records to a second file and renames it: a crash leaves one
// complete file.
func (f *stateFile) compact(path string, records []*record) error {
	_ = os.Remove(path + ".tmp") // of a start that was killed; O_EXCL follows no link
	tmp, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("%w (the directory %s must exist and be writable)", err, filepath.Dir(path))
	}
	f.file, f.size = tmp, 0
	for _, r := range records {
		if err = f.append(r); err != nil {
			break
		}
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
	}
	return nil
}

// readState returns the last record of each order, in order of creation.
func readState(path string) ([]*record, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: name another one", path)
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	lines := bytes.Split(data, []byte("\n"))
	lines = lines[:len(lines)-1] // after the last newline: empty or incomplete
	var records []*record
	index := map[string]int{}
	for i, line := range lines {
		var r record
		err := json.Unmarshal(line, &r)
		if err == nil && r.ID == "" {
			err = errors.New("no id")
		}
		if err != nil {
			return nil, fmt.Errorf("%s line %d is not an order (%w): remove that line, or the file to start empty", path, i+1, err)
		}
		if at, known := index[r.ID]; known {
			records[at] = &r
			continue
		}
		index[r.ID] = len(records)
		records = append(records, &r)
	}
	return slices.Clip(records), nil
}

package ordersim

import "fmt"

// Create adds an order with made-up contents in status created and publishes
// it, as a POST would. It fails only when the state file cannot be written.
func (s *Sim) Create() (Order, error) {
	r := s.madeUp(defaultUser, StatusCreated)
	if err := s.add(r); err != nil {
		return Order{}, err
	}
	return r.Order, nil
}

// Order returns an order as it is now, a deleted one too.
func (s *Sim) Order(id string) (Order, bool) {
	r := s.store.get(id)
	if r == nil {
		return Order{}, false
	}
	return r.Order, true
}

// SetStatus gives an order any status, known or not, deleted or falling, and
// publishes it; timers go on from there. ErrNotFound when there never was such
// an order.
func (s *Sim) SetStatus(id, status string) error {
	_, err := s.change(id, func(_, next *record) error {
		next.Status = status
		return nil
	})
	if err != nil {
		return fmt.Errorf("ordersim: set status of %q: %w", id, err)
	}
	return nil
}

// Delete cancels an order the only way there is: the event says deleted, and
// from then on it answers 404. ErrNotFound also when it is deleted already.
func (s *Sim) Delete(id string) error {
	_, err := s.change(id, func(cur, next *record) error { return remove(cur, next, cur.UserID) })
	if err != nil {
		return fmt.Errorf("ordersim: delete %q: %w", id, err)
	}
	return nil
}

// Forget loses every order without a word, as a restart of the original does.
// Ids are not given out a second time.
func (s *Sim) Forget() error {
	if err := s.store.clear(); err != nil {
		return fmt.Errorf("ordersim: empty the state file: %w", err)
	}
	return nil
}

// Truth returns the status of every order by id, deleted ones too.
func (s *Sim) Truth() map[string]string { return s.store.truth() }

// Emit publishes an event of any order and status, true or not, now, whatever
// faults are set: a late one, a double, a forgery.
func (s *Sim) Emit(id, status string) { s.outbox.publish(id, status) }

// Mute loses every event from now on, until called with false.
func (s *Sim) Mute(on bool) { s.outbox.muted.Store(on) }

// seedOrders makes one order of each status and publishes nothing. Those that
// can move on do so, and that is published.
func (s *Sim) seedOrders(user string) ([]Order, error) {
	var made []Order
	for _, status := range allStatuses() {
		r := s.madeUp(user, status)
		if err := s.keep(r); err != nil {
			return nil, err
		}
		made = append(made, r.Order)
	}
	return made, nil
}

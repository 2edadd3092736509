package ordersim

import (
	"errors"
	"log/slog"
	"time"
)

// retryAfter is when a step is tried again that the state file refused.
const retryAfter = time.Second

// add puts in a new order and publishes its status.
func (s *Sim) add(r *record) error {
	if err := s.keep(r); err != nil {
		return err
	}
	s.log.Debug("order created", slog.String("order_id", r.ID))
	s.outbox.send(r.ID, r.Status)
	return nil
}

// keep puts in a new order and says nothing about it.
func (s *Sim) keep(r *record) error {
	r.touch(s.cfg.Steps)
	if err := s.store.add(r); err != nil {
		return err
	}
	s.arm(r)
	s.armCancel(r)
	return nil
}

// change is the only way an order changes: edit a copy of it, keep that, arm its
// next timer, publish its status.
func (s *Sim) change(id string, edit func(cur, next *record) error) (*record, error) {
	r, err := s.store.change(id, func(cur, next *record) error {
		if err := edit(cur, next); err != nil {
			return err
		}
		next.touch(s.cfg.Steps)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.arm(r)
	s.log.Debug("order changed", slog.String("order_id", id), slog.String("status", r.Status))
	s.outbox.send(r.ID, r.Status)
	return r, nil
}

// touch stamps a record and says when its status moves on.
func (r *record) touch(steps Steps) {
	r.UpdatedAt = time.Now().UTC()
	r.NextAt = time.Time{}
	if _, after, ok := steps.next(r.Status); ok {
		r.NextAt = r.UpdatedAt.Add(stretch(after, r.Pace))
	}
}

// arm has the order's status move on at its time.
func (s *Sim) arm(r *record) {
	if !r.NextAt.IsZero() {
		s.timers.at(r.NextAt, func() { s.step(r) })
	}
}

// step moves the status on, unless the order changed since the timer was armed.
func (s *Sim) step(r *record) {
	_, err := s.change(r.ID, func(cur, next *record) error {
		to, _, ok := s.cfg.Steps.next(cur.Status)
		if cur != r || !ok {
			return errStale
		}
		next.Status = to
		return nil
	})
	s.retry(err, r.ID, func() { s.step(r) })
}

// armCancel has the order deleted at its time. Unlike a step this does not
// depend on what happens to the order before, unless it ends.
func (s *Sim) armCancel(r *record) {
	if !r.CancelAt.IsZero() && !ended(r.Status) {
		s.timers.at(r.CancelAt, func() { s.cancel(r.ID) })
	}
}

func (s *Sim) cancel(id string) {
	_, err := s.change(id, func(cur, next *record) error {
		if ended(cur.Status) {
			return errStale
		}
		next.Status = StatusDeleted
		return nil
	})
	s.retry(err, id, func() { s.cancel(id) })
}

// retry has a timer's work done again that failed for the state file's sake;
// without it a moment of a full disk would stop orders for good.
func (s *Sim) retry(err error, id string, do func()) {
	if err == nil || errors.Is(err, errStale) || errors.Is(err, ErrNotFound) {
		return
	}
	s.log.Error("order not moved on, trying again", slog.String("order_id", id), slog.Any("error", err))
	s.timers.at(time.Now().Add(retryAfter), do)
}

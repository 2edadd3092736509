package ordersim

import (
	"container/heap"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// retryInterval of a step that could not be saved.
const retryInterval = time.Second

// add inserts a new order and publishes its status.
func (s *Sim) add(r *record) error {
	if err := s.insert(r); err != nil {
		return err
	}
	s.log.Debug("order created", slog.String("order_id", r.ID))
	s.outbox.send(r.ID, r.Status)
	return nil
}

// insert inserts a new order without an event.
func (s *Sim) insert(r *record) error {
	r.touch(s.cfg.Steps)
	if err := s.store.add(r); err != nil {
		return err
	}
	s.arm(r)
	s.armCancel(r)
	return nil
}

// change is the only way to change an order: edit a copy, save it, start its next timer,
// publish its status.
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

// touch sets the time of the change and of the next step.
func (r *record) touch(steps Steps) {
	r.UpdatedAt = time.Now().UTC()
	r.NextAt = time.Time{}
	if _, after, ok := steps.next(r.Status); ok {
		r.NextAt = r.UpdatedAt.Add(stretch(after, r.Pace))
	}
}

// arm starts the timer of the next step.
func (s *Sim) arm(r *record) {
	if !r.NextAt.IsZero() {
		s.timers.at(r.NextAt, func() { s.step(r) })
	}
}

// step sets the next status unless the order has changed.
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

// armCancel starts the timer of the deletion, which happens unless the order has ended.
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

// retry repeats a step that could not be saved, so that a full disk does not stop the
// order for good.
func (s *Sim) retry(err error, id string, do func()) {
	if err == nil || errors.Is(err, errStale) || errors.Is(err, ErrNotFound) {
		return
	}
	s.log.Error("order not changed, retrying", slog.String("order_id", id), slog.Any("error", err))
	s.timers.at(time.Now().Add(retryInterval), do)
}

// scheduler runs tasks at their time in one goroutine. Tasks are not cancelled; an
// outdated one does nothing.
type scheduler struct {
	mu    sync.Mutex
	tasks taskHeap
	seq   uint64
	wake  chan struct{} // signals a new first task
	quit  chan struct{}
	done  chan struct{}
}

func newScheduler() *scheduler {
	return &scheduler{wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
}

// at schedules do. Tasks of the same time run in the order of their calls.
func (s *scheduler) at(when time.Time, do func()) {
	s.mu.Lock()
	s.seq++
	t := task{when: when, seq: s.seq, do: do}
	heap.Push(&s.tasks, t)
	first := s.tasks[0].seq == t.seq
	s.mu.Unlock()
	if first {
		s.signal()
	}
}

// run runs the tasks until stop.
func (s *scheduler) run() {
	defer close(s.done)
	for {
		timer := time.NewTimer(s.fire())
		select {
		case <-timer.C:
		case <-s.wake:
			timer.Stop()
		case <-s.quit:
			timer.Stop()
			return
		}
	}
}

// stop ends run and drops the remaining tasks. Call it once.
func (s *scheduler) stop() { close(s.quit) }

// fire runs the due tasks and returns the time until the next one.
func (s *scheduler) fire() time.Duration {
	for {
		do, wait := s.pop(time.Now())
		if do == nil {
			return wait
		}
		select {
		case <-s.quit: // a long backlog must not delay the stop
			return 0
		default:
			do()
		}
	}
}

// pop removes a due task, or returns the time until the next one.
func (s *scheduler) pop(now time.Time) (func(), time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tasks) == 0 {
		return nil, time.Hour // at wakes the scheduler earlier
	}
	if wait := s.tasks[0].when.Sub(now); wait > 0 {
		return nil, wait
	}
	t, _ := heap.Pop(&s.tasks).(task)
	return t.do, 0
}

func (s *scheduler) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

type task struct {
	when time.Time
	seq  uint64
	do   func()
}

// taskHeap sorts tasks by time, then by the order of their calls.
type taskHeap []task

func (h taskHeap) Len() int { return len(h) }

func (h taskHeap) Less(i, j int) bool {
	if h[i].when.Equal(h[j].when) {
		return h[i].seq < h[j].seq
	}
	return h[i].when.Before(h[j].when)
}

func (h taskHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *taskHeap) Push(x any) {
	if t, ok := x.(task); ok {
		*h = append(*h, t)
	}
}

func (h *taskHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = task{} // release the closure
	*h = old[:len(old)-1]
	return last
}

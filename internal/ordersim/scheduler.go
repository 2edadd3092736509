package ordersim

import (
	"container/heap"
	"sync"
	"time"
)

// scheduler runs things at their time, all in one goroutine: a hundred thousand
// waiting orders cost a heap, not as many goroutines. A task is never taken
// back; it finds out itself that it has become pointless.
type scheduler struct {
	mu    sync.Mutex
	tasks taskHeap
	seq   uint64
	wake  chan struct{} // holds a token when an earlier task came in
	quit  chan struct{}
	done  chan struct{}
}

func newScheduler() *scheduler {
	return &scheduler{wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
}

// at has do run at a time, or at once when that is past. Tasks of the same time
// run in the order they were given. Nothing runs before run.
func (s *scheduler) at(when time.Time, do func()) {
	s.mu.Lock()
	s.seq++
	t := task{when: when, seq: s.seq, do: do}
	heap.Push(&s.tasks, t)
	first := s.tasks[0].seq == t.seq
	s.mu.Unlock()
	if first {
		s.poke()
	}
}

// run works until stop.
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

// stop ends run; what is still to come never runs. Call it once.
func (s *scheduler) stop() { close(s.quit) }

// fire runs what is due and returns the time until the next task.
func (s *scheduler) fire() time.Duration {
	for {
		do, wait := s.pop(time.Now())
		if do == nil {
			return wait
		}
		select {
		case <-s.quit: // a long backlog must not hold up the end
			return 0
		default:
			do()
		}
	}
}

// pop takes the first task that is due, or tells how long there is none.
func (s *scheduler) pop(now time.Time) (func(), time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tasks) == 0 {
		return nil, time.Hour // at wakes us earlier
	}
	if wait := s.tasks[0].when.Sub(now); wait > 0 {
		return nil, wait
	}
	t, _ := heap.Pop(&s.tasks).(task)
	return t.do, 0
}

func (s *scheduler) poke() {
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

// taskHeap orders tasks by time, then by arrival.
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
	old[len(old)-1] = task{} // let go of the closure
	*h = old[:len(old)-1]
	return last
}

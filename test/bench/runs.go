package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// rows is the report of the runs other than the table.
type rows struct {
	options
	Rows []result `json:"rows"`
	note string
}

func (r rows) print() string {
	var text strings.Builder
	text.WriteString(resultHeading)
	for _, one := range r.Rows {
		text.WriteString(one.row())
	}
	return text.String() + r.note
}

// run measures one load and adds its row.
func (r *rows) run(ctx context.Context, s *stack, l load, bar *progress) (result, error) {
	found, err := l.run(ctx, s, bar)
	found.Name = l.name
	r.Rows = append(r.Rows, found)
	return found, err
}

// measureScale gives the same number of events to 1, 2 and 4 replicas of one group.
func measureScale(ctx context.Context, o options, bar *progress) (printer, error) {
	out := &rows{options: o, note: `
Events are published once all replicas have joined; the clock runs from the first event until every order
is assigned. "rolled back" is the share of transactions that were retried.
`}
	replicas := []int{1, 2, 4}
	total := len(replicas) * o.Orders
	err := withStack(ctx, capacity{orders: total, couriers: total, partitions: o.Partitions}, bar, func(s *stack) error {
		var ids allocator
		for _, n := range replicas {
			r := ids.next(o.Orders)
			l := load{name: fmt.Sprintf("%d replica(s)", n), replicas: n, events: r.len(), journal: 2 * r.len()}
			l.drive = func(ctx context.Context) error { return s.publish(ctx, events(r, statusCreated, 1)) }
			if _, err := out.run(ctx, s, l, bar); err != nil {
				return err
			}
		}
		bar.step("verifying")
		return s.verify(ctx, 0, total)
	})
	return out, err
}

// measureBacklog lets the service catch up with a quarter of the events and then
// with all of them, to compare its memory.
func measureBacklog(ctx context.Context, o options, bar *progress) (printer, error) {
	const copies, window = 5, 200
	out := &rows{options: o, note: fmt.Sprintf(`
%d events per order, shuffled with those of %d other orders; the clock runs from the moment the service has its
partitions until every order is assigned.
`, copies, window)}
	small, large := o.Events/4/copies, o.Events/copies
	total := small + large
	err := withStack(ctx, capacity{orders: total, couriers: total, partitions: o.Partitions}, bar, func(s *stack) error {
		for _, r := range []orderRange{{0, small}, {small, total}} {
			n := copies * r.len()
			l := load{name: fmt.Sprintf("%d events", n), events: n, changes: r.len(), journal: 2 * r.len()}
			l.before = func(ctx context.Context) error {
				return s.publish(ctx, shuffled(events(r, statusCreated, copies), window*copies))
			}
			if _, err := out.run(ctx, s, l, bar); err != nil {
				return err
			}
		}
		bar.step("verifying")
		return s.verify(ctx, 0, total)
	})
	return out, err
}

// The content of full tables, besides the history.
const (
	fullCouriers = 200_000
	fullWaiting  = 100_000
)

// measureFull runs created and completed events on an empty database and twice on
// a full one. There all couriers are busy, so a new order waits and each completed
// one gives its courier to the first waiting order; in both cases every order is
// queued, one is assigned and one is completed. The first run on the full database
// follows a checkpoint and writes most index pages to the WAL as full images.
func measureFull(ctx context.Context, o options, bar *progress) (printer, error) {
	out := &rows{options: o, note: `
empty, full: orders per second through both loads. On full tables the completed events cause the assignments.
"at first" follows a checkpoint: most pages go to the WAL as full images.
`}
	var ids allocator
	c := capacity{orders: 5 * o.Orders, couriers: o.Orders, partitions: o.Partitions}
	err := withStack(ctx, c, bar, func(s *stack) error {
		both := func(name string, created, completed load) error {
			a, err := out.run(ctx, s, created, bar)
			if err != nil {
				return err
			}
			b, err := out.run(ctx, s, completed, bar)
			if err != nil {
				return err
			}
			sum := a.then(b)
			sum.Name = name
			out.Rows = append(out.Rows, sum)
			return nil
		}
		r := ids.next(o.Orders)
		if err := both("empty", s.createdLoad("empty created", r), s.completedLoad("empty completed", r)); err != nil {
			return err
		}
		start, assigned := time.Now(), []orderRange{ids.next(o.Orders), ids.next(o.Orders)}
		if err := s.fill(ctx, o, orderRange{assigned[0].from, assigned[1].to}, bar); err != nil {
			return err
		}
		out.note += fmt.Sprintf("filled in %s: %d finished deliveries, %d couriers, %d waiting orders\n",
			time.Since(start).Round(time.Second), o.History, fullCouriers, fullWaiting)
		for i, name := range []string{"full at first", "full"} {
			created, completed := s.createdLoad(name+" created", ids.next(o.Orders)), s.completedLoad(name+" completed", assigned[i])
			created.journal, completed.journal = o.Orders, 2*o.Orders
			if err := both(name, created, completed); err != nil {
				return err
			}
		}
		bar.step("verifying")
		return s.checkInvariants(ctx)
	})
	return out, err
}

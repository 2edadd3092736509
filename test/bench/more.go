package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// rows are results one below the other.
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

func (r *rows) add(name string, found result, err error) error {
	found.Name = name
	r.Rows = append(r.Rows, found)
	return err
}

// measureScale gives the same number of events to 1, 2 and 4 replicas of one group.
func measureScale(ctx context.Context, o options, bar *progress) (printer, error) {
	out := &rows{options: o, note: scaleNote}
	replicas := []int{1, 2, 4}
	c := capacity{orders: len(replicas) * o.Orders, couriers: len(replicas) * o.Orders, partitions: o.Partitions}
	err := with(ctx, c, bar, func(s *stack) error {
		for i, n := range replicas {
			name := fmt.Sprintf("%d replica(s)", n)
			r := orderRange{i * o.Orders, (i + 1) * o.Orders}
			l := load{name: name, replicas: n, events: r.len(), journal: 2 * r.len()}
			l.drive = func(ctx context.Context) error { return s.publish(ctx, events(r, statusCreated, 1)) }
			found, err := l.run(ctx, s, bar)
			if err := out.add(name, found, err); err != nil {
				return err
			}
		}
		bar.step("verifying")
		return s.verify(ctx, 0, c.orders)
	})
	return out, err
}

const scaleNote = `
Events are published once all replicas have joined; the clock runs from the first event until every order
has its courier. rolled back: of all transactions, which is how many were done again.
`

// eventsAnOrder is how often a backlog tells of each order.
const eventsAnOrder = 5

// measureBacklog lets the service catch up: with a quarter of the events, and
// with all of them, so that what it takes of memory can be compared.
func measureBacklog(ctx context.Context, o options, bar *progress) (printer, error) {
	out := &rows{options: o, note: backlogNote}
	small, large := o.Events/4/eventsAnOrder, o.Events/eventsAnOrder
	c := capacity{orders: small + large, couriers: small + large, partitions: o.Partitions}
	err := with(ctx, c, bar, func(s *stack) error {
		for _, r := range []orderRange{{0, small}, {small, small + large}} {
			name := fmt.Sprintf("%d events", eventsAnOrder*r.len())
			l := load{name: name, events: eventsAnOrder * r.len(), changes: r.len(), journal: 2 * r.len()}
			l.before = func(ctx context.Context) error { return s.publish(ctx, told(r, eventsAnOrder)) }
			found, err := l.run(ctx, s, bar)
			if err := out.add(name, found, err); err != nil {
				return err
			}
		}
		bar.step("verifying")
		return s.verify(ctx, 0, c.orders)
	})
	return out, err
}

const backlogNote = `
Five events an order, among those of 200 other orders; the clock runs from the moment the service has its
partitions until every order has its courier.
`

// told is so many events of each order, among those of a few hundred others.
func told(r orderRange, copies int) []*kgo.Record {
	const among = 200
	chance := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // an order of events
	all := events(r, statusCreated, copies)
	for from := 0; from < len(all); from += among * copies {
		window := all[from:min(from+among*copies, len(all))]
		chance.Shuffle(len(window), func(i, j int) { window[i], window[j] = window[j], window[i] })
	}
	return all
}

// What full tables hold.
const (
	fullCouriers = 200_000
	fullLine     = 100_000
)

// measureFull takes orders through their lives on an empty database, and twice on a
// full one: there the line is long and the fleet busy, so a new order waits, and
// each one that ends gives its courier to the first in line. Either way every order
// is parked, one is assigned and one is completed. The first time on the full one
// writes most pages of its indexes whole to the WAL, as after any checkpoint; the
// second is what lasts until the next.
func measureFull(ctx context.Context, o options, bar *progress) (printer, error) {
	out := &rows{options: o, note: fullNote}
	var used supply
	c := capacity{orders: 5 * o.Orders, couriers: o.Orders, partitions: o.Partitions}
	err := with(ctx, c, bar, func(s *stack) error {
		both := func(name string, created, completed load) error {
			a, err := created.run(ctx, s, bar)
			if err := out.add(created.name, a, err); err != nil {
				return err
			}
			b, err := completed.run(ctx, s, bar)
			if err := out.add(completed.name, b, err); err != nil {
				return err
			}
			return out.add(name, a.then(b), nil)
		}
		r := used.next(o.Orders)
		if err := both("empty", s.createdLoad("empty created", r), s.completedLoad("empty completed", r)); err != nil {
			return err
		}
		began, open := time.Now(), []orderRange{used.next(o.Orders), used.next(o.Orders)}
		if err := s.fill(ctx, o, orderRange{open[0].from, open[1].to}, bar); err != nil {
			return err
		}
		out.note += fmt.Sprintf("filled in %s: %d finished deliveries, %d couriers, %d waiting orders\n",
			time.Since(began).Round(time.Second), o.History, fullCouriers, fullLine)
		for i, name := range []string{"full at first", "full"} {
			created, completed := s.createdLoad(name+" created", used.next(o.Orders)), s.completedLoad(name+" completed", open[i])
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

const fullNote = `
empty and full: orders a second through both loads together; the same work, though in the full one it is the
completed events that bring the assignments. "At first" follows a checkpoint: most pages go to the WAL whole.
`

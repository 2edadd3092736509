package stream

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// By default a taste of it; continuous integration takes 1,000 clients for 5 s.
var (
	crowd = flag.Int("clients", 60, "clients of the stream at a time")
	rate  = flag.Int("rate", 200, "changes a second")
	lasts = flag.Duration("lasts", time.Second, "how long changes are made")
)

// TestCrowd: many clients listen while changes are committed by transactions
// that overlap. They join before the first change and while they are made, some
// leave in the midst and come back with their last id; each is told everything
// from its beginning on, nothing twice, and soon.
func TestCrowd(t *testing.T) {
	w := newWorld(t)
	total := int(lasts.Seconds() * float64(*rate))
	var clients, early sync.WaitGroup
	failed := make(chan error, *crowd)
	midst := make(chan struct{}) // half of the changes are made
	for i := range *crowd {
		c := client{total: total, seen: make([]bool, total), leaves: i%5 == 4}
		late := i%4 == 3
		joined := func() {}
		if !late {
			early.Add(1)
			joined = early.Done
		}
		clients.Go(func() {
			if late {
				<-midst
			}
			if err := c.follow(w, joined); err != nil {
				failed <- fmt.Errorf("client %d: %w", i, err)
			}
		})
	}
	w.within(patience, "all have joined", early.Wait)
	began := time.Now()
	w.write(total, midst)
	wrote := time.Since(began)
	w.within(patience, "everybody has been told everything", clients.Wait)
	told := time.Since(began) - wrote
	t.Logf("%d clients, %d changes in %v, all told %v after the last", *crowd, total, wrote, told)
	if measured() && (wrote > 2**lasts || told > toldWithin) {
		t.Errorf("the changes were to be made in %v, twice that at most, and told within %v", *lasts, toldWithin)
	}
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if _, lost := w.hub.Clients(); lost > 0 {
		t.Errorf("%d clients were too slow", lost)
	}
}

// toldWithin is far more than it takes (a fraction of a second), as twice the time for
// the changes is: a machine of CI has neighbours, and only a feed that does not keep
// up is to be noticed.
const toldWithin = 15 * time.Second

// measured reports whether somebody asked for a run by -clients or -lasts, alone on
// its machine: then the times count. go test has other packages beside this one.
func measured() (asked bool) {
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "clients" || f.Name == "lasts" })
	return asked
}

// write commits changes at the rate, by eight writers whose transactions stay
// open for different times, so that they commit in another order than they began.
func (w *world) write(total int, midst chan<- struct{}) {
	w.Helper()
	const writers = 8
	var wg sync.WaitGroup
	for writer := range writers {
		wg.Go(func() {
			pace := time.NewTicker(time.Second * writers / time.Duration(*rate))
			defer pace.Stop()
			for i := writer; i < total; i += writers {
				<-pace.C
				if i == total/2 {
					close(midst)
				}
				if err := w.append(i, time.Duration(i%3)*5*time.Millisecond); err != nil {
					w.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	w.must(w.append(total, 0))
}

func (w *world) append(i int, open time.Duration) error {
	tx, err := w.pool.Begin(w.Context())
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(w.Context())) }()
	id := "n-" + strconv.Itoa(i)
	if _, err := tx.Exec(w.Context(), appended, id); err != nil {
		return err
	}
	if _, err := tx.Exec(w.Context(), "INSERT INTO orders (order_id, state, place) VALUES ($1, 'waiting', $2)", id, i); err != nil {
		return err
	}
	if _, err := tx.Exec(w.Context(), "SELECT pg_sleep($1)", open.Seconds()); err != nil {
		return err
	}
	return tx.Commit(w.Context())
}

// client follows until it is told the last of all changes, which is committed
// after all others.
type client struct {
	total  int
	seen   []bool
	begun  int // changes that were in its snapshot
	told   int
	last   string // id
	ended  bool
	leaves bool // once, half way
}

func (c *client) follow(w *world, joined func()) error {
	l, err := w.listen("")
	joined()
	if err != nil {
		return err
	}
	defer func() { _ = l.body.Close() }()
	for !c.ended {
		e, err := l.next()
		if err != nil {
			return err
		}
		if err := c.take(e); err != nil {
			return err
		}
		if c.leaves && c.told >= c.total/2 && c.last != "" {
			c.leaves = false
			_ = l.body.Close()
			if l, err = w.listen(c.last); err != nil {
				return err
			}
		}
	}
	if c.begun+c.told != c.total {
		return fmt.Errorf("%d changes were in its snapshot and %d told afterwards, of %d", c.begun, c.told, c.total)
	}
	return nil
}

func (c *client) take(e event) error {
	if e.id != "" {
		c.last = e.id
	}
	switch e.kind {
	case "snapshot":
		if c.told > 0 {
			return fmt.Errorf("a snapshot in the midst, after %d changes", c.told)
		}
		var s struct{ Waiting struct{ Count int } }
		err := json.Unmarshal([]byte(e.data), &s)
		c.begun = s.Waiting.Count
		return err
	case "change":
		i, err := strconv.Atoi(strings.TrimPrefix(e.order(), "n-"))
		switch {
		case err != nil:
			return err
		case i == c.total:
			c.ended = true
			return nil
		case c.seen[i]:
			return fmt.Errorf("change %d was told twice", i)
		}
		c.seen[i] = true
		c.told++
	}
	return nil
}

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

// The default is a short run; continuous integration runs 1,000 clients for 5 s.
var (
	crowd = flag.Int("clients", 60, "concurrent clients of the stream")
	rate  = flag.Int("rate", 200, "changes per second")
	lasts = flag.Duration("lasts", time.Second, "duration of the changes")
)

// TestCrowd: many clients listen while overlapping transactions commit changes. They
// connect before the first change or halfway, and some disconnect and resume with their
// last id; each receives every change after its snapshot, once, and in time.
func TestCrowd(t *testing.T) {
	w := newWorld(t)
	total := int(lasts.Seconds() * float64(*rate))
	var clients, early sync.WaitGroup
	failed := make(chan error, *crowd)
	halfway := make(chan struct{}) // half of the changes are committed
	for i := range *crowd {
		c := client{total: total, seen: make([]bool, total), leaves: i%5 == 4}
		joinsLater := i%4 == 3
		joined := func() {}
		if !joinsLater {
			early.Add(1)
			joined = early.Done
		}
		clients.Go(func() {
			if joinsLater {
				<-halfway
			}
			if err := c.follow(w, joined); err != nil {
				failed <- fmt.Errorf("client %d: %w", i, err)
			}
		})
	}
	w.within("all clients are connected", early.Wait)
	began := time.Now()
	w.write(total, halfway)
	wrote := time.Since(began)
	w.within("all clients received everything", clients.Wait)
	received := time.Since(began) - wrote
	t.Logf("%d clients, %d changes in %v, all received %v after the last", *crowd, total, wrote, received)
	if measured() && (wrote > 2**lasts || received > receiveTimeout) {
		t.Errorf("want the changes written in %v, at most twice that, and received within %v", *lasts, receiveTimeout)
	}
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if _, resent := w.hub.Subscribers(); resent > 0 {
		t.Errorf("%d clients fell behind", resent)
	}
}

// receiveTimeout is far more than necessary (a fraction of a second), because CI machines
// are shared; the test detects a feed that does not keep up.
const receiveTimeout = 15 * time.Second

// measured reports whether -clients or -lasts is set: only then are times checked,
// because go test runs other packages at the same time.
func measured() (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "clients" || f.Name == "lasts" })
	return set
}

// write commits changes at the rate with eight writers, whose transactions take
// different times, so that they commit in another order than they began.
func (w *world) write(total int, halfway chan<- struct{}) {
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
					close(halfway)
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
	if _, err := tx.Exec(w.Context(), "INSERT INTO orders (order_id, state, queue_position) VALUES ($1, 'waiting', $2)", id, i); err != nil {
		return err
	}
	if _, err := tx.Exec(w.Context(), "SELECT pg_sleep($1)", open.Seconds()); err != nil {
		return err
	}
	return tx.Commit(w.Context())
}

// client reads until the last change, which is committed after all others.
type client struct {
	total  int
	seen   []bool
	begun  int // changes in its snapshot
	got    int
	last   string // id
	ended  bool
	leaves bool // once, halfway
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
		if c.leaves && c.got >= c.total/2 && c.last != "" {
			c.leaves = false
			_ = l.body.Close()
			if l, err = w.listen(c.last); err != nil {
				return err
			}
		}
	}
	if c.begun+c.got != c.total {
		return fmt.Errorf("%d changes in the snapshot and %d afterwards, of %d", c.begun, c.got, c.total)
	}
	return nil
}

func (c *client) take(e event) error {
	if e.id != "" {
		c.last = e.id
	}
	switch e.kind {
	case "snapshot":
		if c.got > 0 {
			return fmt.Errorf("a snapshot after %d changes", c.got)
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
			return fmt.Errorf("change %d was sent twice", i)
		}
		c.seen[i] = true
		c.got++
	}
	return nil
}

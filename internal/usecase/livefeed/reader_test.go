package livefeed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"service-courier/internal/usecase/livefeed"
)

// database is a journal whose transactions take a random step before and after each
// access of a reader.
type database struct {
	*rapid.T
	source
	running []transaction
	begun   int
	visible int // changes that were ever committed
	idle    bool
}

type transaction struct {
	livefeed.Writer
	ids   []int64
	ended bool // its changes are visible, and it is still a writer
}

func (d *database) step() {
	i := rapid.IntRange(0, max(0, len(d.running)-1)).Draw(d.T, "transaction")
	what := rapid.SampledFrom([]string{"nothing", "begin", "take an id", "take an id", "commit", "commit", "roll back", "prepare"}).Draw(d.T, "step")
	switch {
	case what == "begin":
		d.begun++
		d.running = append(d.running, transaction{Writer: livefeed.Writer{Transaction: fmt.Sprint(d.begun), PID: d.begun}})
	case len(d.running) == 0 || what == "nothing":
	case what == "roll back" || d.running[i].ended:
		d.running = slices.Delete(d.running, i, i+1)
	case what == "commit":
		d.running[i].ended = true
		d.commit(d.running[i].ids...)
		d.visible += len(d.running[i].ids)
	case d.running[i].PID == 0:
	case what == "take an id":
		d.end++
		d.running[i].ids = append(d.running[i].ids, d.end)
	case what == "prepare":
		d.running[i].Writer = livefeed.Writer{Transaction: "-1/" + d.running[i].Transaction}
	}
	d.writers = nil
	for _, t := range d.running {
		d.writers = append(d.writers, t.Writer)
	}
}

// endAll commits every other transaction and rolls back the rest; no others begin.
func (d *database) endAll() {
	for i, t := range d.running {
		if i%2 == 0 && !t.ended {
			d.commit(t.ids...)
			d.visible += len(t.ids)
		}
	}
	d.running, d.writers, d.idle = nil, nil, true
}

func (d *database) steps() {
	if d.idle {
		return
	}
	for range rapid.IntRange(0, 3).Draw(d.T, "steps") {
		d.step()
	}
}

func (d *database) End(ctx context.Context) (livefeed.Cursor, error) {
	d.steps()
	defer d.steps()
	return d.source.End(ctx)
}

func (d *database) After(ctx context.Context, id int64, limit int) ([]livefeed.Change, error) {
	d.steps()
	defer d.steps()
	return d.source.After(ctx, id, limit)
}

func (d *database) Writers(ctx context.Context) ([]livefeed.Writer, error) {
	d.steps()
	defer d.steps()
	return d.source.Writers(ctx)
}

// TestReaderSkipsNothing: in whatever order transactions take ids and end, roll back or
// are prepared between the accesses of a reader, it passes every change once, by id. It
// begins at any time: the changes before its position are visible then.
func TestReaderSkipsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &database{T: t}
		for range rapid.IntRange(0, 20).Draw(t, "before") {
			d.step()
		}
		r, err := livefeed.BeginReader(t.Context(), d, 0)
		if err != nil {
			t.Fatal(err)
		}
		before := d.after(r.At().ID)
		var got []int64
		read := func(limit int) {
			if err := r.Read(t.Context(), limit, func(c livefeed.Change) { got = append(got, c.ID) }); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(0, 20).Draw(t, "rounds") {
			d.steps()
			read(rapid.IntRange(0, 3).Draw(t, "limit"))
			if rapid.Bool().Draw(t, "again from the cursor") {
				r = livefeed.NewReader(d, r.At())
			}
		}
		d.endAll()
		read(0)
		if !slices.IsSorted(got) || before+len(got) != d.visible || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatalf("%d changes before, then %v; %d in the journal", before, got, d.visible)
		}
		if r.At().ID != d.end {
			t.Fatalf("the reader stands at %d of %d", r.At().ID, d.end)
		}
	})
}

// TestBeginWaitsForWriters: a reader does not begin behind an id whose change may still
// come, and says why when its context ends.
func TestBeginWaitsForWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{writers: []livefeed.Writer{{Transaction: "-1/812"}}}
		s.commit(1, 3)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := livefeed.BeginReader(ctx, s, 0)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "prepared transaction -1/812") {
			t.Errorf("%v, want that of the prepared transaction", err)
		}
	})
}

package postgres_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/orderevent"
)

// saveDeadLetters saves dead letters as a batch does, and returns how many are new.
func (f fixture) saveDeadLetters(letters ...orderevent.DeadLetter) int {
	f.Helper()
	var saved orderevent.Effects
	err := f.orders.InTx(f.Context(), func(tx orderevent.Tx) (err error) {
		saved, err = tx.SaveAndCommit(f.Context(), nil, letters, 0)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return saved.DeadLetters
}

func deadLetterAt(offset int64) orderevent.DeadLetter {
	return orderevent.DeadLetter{
		Topic: "orders", Partition: 3, Offset: offset, ProducedAt: time.Unix(1_700_000_000, 0).UTC(),
		Payload: []byte("not json"), Reason: "not_json", Detail: "invalid character 'o'",
	}
}

func TestDeadLetterIsStoredByteForByte(t *testing.T) {
	f := newFixture(t)
	d := postgres.NewDeadLetters(f.pool)
	odd, bare := deadLetterAt(1), deadLetterAt(2)
	odd.Key, odd.Payload = []byte{0, 0xff}, []byte("\x00\xfe{")
	odd.Headers = []deadletters.Header{{Key: []byte(deadletters.HeaderRedrives), Value: []byte("4")}, {Key: []byte{0xff}, Value: nil}}
	bare.Payload = nil
	if n := f.saveDeadLetters(odd, bare); n != 2 {
		t.Fatalf("%d dead letters inserted, want 2", n)
	}
	got, err := d.Get(t.Context(), 1)
	got.CreatedAt = time.Time{}
	want := deadletters.DeadLetter{
		ID: 1, Topic: "orders", Partition: 3, Offset: 1, ProducedAt: odd.ProducedAt, Reason: odd.Reason, Detail: odd.Detail,
		Key: odd.Key, Payload: odd.Payload, Original: odd.Payload, Redrives: 4, Status: deadletters.Pending,
		Headers: []deadletters.Header{{Key: []byte(deadletters.HeaderRedrives), Value: []byte("4")}, {Key: []byte{0xff}}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got, err := d.Get(t.Context(), 2); err != nil || got.Payload != nil || got.Key != nil || len(got.Headers) != 0 {
		t.Errorf("a record without key and value became %+v, %v", got, err)
	}
	if _, err := d.Get(t.Context(), 3); !errors.Is(err, deadletters.ErrNotFound) {
		t.Errorf("Get of none: %v", err)
	}
}

// TestHandledDeadLetterIsNotInsertedAgain: a record that is read again stays the same
// dead letter after it was handled.
func TestHandledDeadLetterIsNotInsertedAgain(t *testing.T) {
	f := newFixture(t)
	d := postgres.NewDeadLetters(f.pool)
	f.saveDeadLetters(deadLetterAt(1))
	l, _ := d.Get(t.Context(), 1)
	if err := d.Mark(t.Context(), l, deadletters.Redriven); err != nil {
		t.Fatal(err)
	}
	if n := f.saveDeadLetters(deadLetterAt(1), deadLetterAt(2)); n != 1 {
		t.Errorf("%d letters are new, want 1", n)
	}
	f.expect("redriven", "SELECT status FROM dead_letters WHERE id = 1")
}

func TestPageAndCount(t *testing.T) {
	f := newFixture(t)
	d := postgres.NewDeadLetters(f.pool)
	long, other := deadLetterAt(3), deadLetterAt(4)
	long.Payload, other.Reason = []byte(strings.Repeat("x", 1000)), "bad_order_id"
	f.saveDeadLetters(deadLetterAt(1), deadLetterAt(2), long, other)
	l, _ := d.Get(t.Context(), 1)
	if err := d.Mark(t.Context(), l, deadletters.Discarded); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter      deadletters.Filter
		after, upTo int64
		limit       int
		first       int64
		length, all int
	}{
		{deadletters.Filter{}, 0, 9, 9, 2, 3, 3},
		{deadletters.Filter{}, 2, 3, 9, 3, 1, 3},
		{deadletters.Filter{}, 0, 9, 1, 2, 1, 3},
		{deadletters.Filter{Reason: "bad_order_id"}, 0, 9, 9, 4, 1, 1},
		{deadletters.Filter{Handled: true}, 0, 9, 9, 1, 1, 1},
	} {
		heads, err := d.Page(t.Context(), c.filter, c.after, c.upTo, c.limit)
		if err != nil || len(heads) != c.length || heads[0].ID != c.first {
			t.Errorf("%+v: %+v, %v", c, heads, err)
		}
		if n, err := d.Count(t.Context(), c.filter); err != nil || n != c.all {
			t.Errorf("Count(%+v) = %d, %v", c.filter, n, err)
		}
	}
	heads, err := d.Page(t.Context(), deadletters.Filter{}, 2, 3, 1)
	if err != nil || heads[0].Size != 1000 || len(heads[0].Preview) >= 100 {
		t.Errorf("%d bytes of %d, %v", len(heads[0].Preview), heads[0].Size, err)
	}
}

// TestEditKeepsTheOriginal also checks that an edit of an outdated dead letter is
// refused.
func TestEditKeepsTheOriginal(t *testing.T) {
	f := newFixture(t)
	d := postgres.NewDeadLetters(f.pool)
	spent := deadLetterAt(1)
	spent.Headers = []deadletters.Header{{Key: []byte(deadletters.HeaderRedrives), Value: []byte("5")}}
	f.saveDeadLetters(spent)
	before, _ := d.Get(t.Context(), 1)
	if err := d.Edit(t.Context(), before, nil); err != nil { // a tombstone is a payload too
		t.Fatal(err)
	}
	got, err := d.Get(t.Context(), 1)
	if err != nil || got.Payload != nil || string(got.Original) != "not json" || got.Redrives != 0 || got.EditedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	for what, err := range map[string]error{
		"edit": d.Edit(t.Context(), before, []byte("late")), "mark": d.Mark(t.Context(), before, deadletters.Redriven),
	} {
		if !errors.Is(err, deadletters.ErrChanged) {
			t.Errorf("%s of what was read before: %v", what, err)
		}
	}
	if err := d.Edit(t.Context(), got, []byte("again")); err != nil {
		t.Error(err)
	}
}

func TestOneMarkWins(t *testing.T) {
	f := newFixture(t)
	d := postgres.NewDeadLetters(f.pool)
	f.saveDeadLetters(deadLetterAt(1))
	l, _ := d.Get(t.Context(), 1)
	var group sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		group.Go(func() { errs <- d.Mark(f.Context(), l, deadletters.Discarded) })
	}
	group.Wait()
	close(errs)
	won := 0
	for err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, deadletters.ErrChanged) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of 8 marked it", won)
	}
}

func TestPurgeDeletesOnlyOldHandledDeadLetters(t *testing.T) {
	f := newFixture(t)
	d := postgres.NewDeadLetters(f.pool)
	f.saveDeadLetters(deadLetterAt(1), deadLetterAt(2), deadLetterAt(3), deadLetterAt(4))
	f.exec(`UPDATE dead_letters SET created_at = now() - interval '1 year'`)
	f.exec(`UPDATE dead_letters SET status = 'discarded', handled_at = now() - interval '31 days' WHERE id <= 2`)
	f.exec(`UPDATE dead_letters SET status = 'redriven', handled_at = now() - interval '29 days' WHERE id = 3`)
	for _, want := range []int{1, 1, 0} {
		if n, err := d.Purge(t.Context(), deadletters.KeepHandled, 1); err != nil || n != want {
			t.Errorf("Purge = %d, %v; want %d", n, err, want)
		}
	}
	f.expect("{3,4}", "SELECT array_agg(id ORDER BY id) FROM dead_letters")
}

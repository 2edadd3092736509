package deadletters

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errRefused = errors.New("the broker refuses")

func TestRedrivePublishesTheRecordAsItCame(t *testing.T) {
	s := newShelf(0)
	s.add(Letter{
		Key: []byte{0, 255}, Payload: []byte("edited"), Original: []byte("original"), Rounds: 2,
		Headers: []Header{{[]byte("trace"), []byte("t")}, {[]byte(HeaderRounds), []byte("2")}, {[]byte("null"), nil}},
	})
	s.add(Letter{}) // no key, no value, no header: a tombstone
	var sent []Record
	report, err := New(s).Redrive(t.Context(), Selection{All: true}, wire(func(r Record) error {
		sent = append(sent, r)
		return nil
	}), RedriveOptions{}, new(told).add)
	if err != nil || report != (Report{Done: 2}) {
		t.Fatalf("%+v, %v", report, err)
	}
	want := []Record{
		{[]byte{0, 255}, []byte("edited"), []Header{{[]byte("trace"), []byte("t")}, {[]byte("null"), nil}, {[]byte(HeaderRounds), []byte("3")}}},
		{nil, nil, []Header{{[]byte(HeaderRounds), []byte("1")}}},
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
}

// TestMarkedAfterTheAcknowledgement fails when letters are marked first: a crash
// before the publishing would lose them.
func TestMarkedAfterTheAcknowledgement(t *testing.T) {
	s := newShelf(1)
	_, err := New(s).Redrive(t.Context(), Selection{IDs: []int64{1}}, wire(func(Record) error {
		if s.letters[1].Status != Waiting {
			t.Error("it is marked before its record is acknowledged")
		}
		return nil
	}), RedriveOptions{}, new(told).add)
	if err != nil || s.letters[1].Status != Redriven {
		t.Errorf("%v, %s", err, s.letters[1].Status)
	}
}

func TestRedriveCountsEachOutcome(t *testing.T) {
	s := newShelf(4)
	spent, dropped := s.letters[2], s.letters[3]
	spent.Rounds, dropped.Status = MaxRounds, Dropped
	s.letters[2], s.letters[3] = spent, dropped
	var results told
	sent := 0
	report, err := New(s).Redrive(t.Context(), Selection{IDs: []int64{1, 2, 3, 4, 99}}, wire(func(Record) error {
		if sent++; sent == 2 {
			return errRefused
		}
		return nil
	}), RedriveOptions{}, results.add)
	if err != nil || report != (Report{Done: 1, Skipped: 2, Failed: 2}) {
		t.Errorf("%+v, %v", report, err)
	}
	for i, want := range []error{nil, nil, ErrHandled, errRefused, ErrNotFound} {
		if got := results[i].Err; want != nil && !errors.Is(got, want) {
			t.Errorf("letter %d: %v, want %v", results[i].ID, got, want)
		}
	}
	if got := s.ids(Waiting); !slices.Equal(got, []int64{2, 4}) {
		t.Errorf("letters %v wait, want 2 and 4", got)
	}
}

// TestRedriveAllDoesNotFollowItself: a record that is bad again comes back as a
// letter with a higher id, which waits for the next time. A full page makes it
// look for more.
func TestRedriveAllDoesNotFollowItself(t *testing.T) {
	s := newShelf(pageSize)
	report, err := New(s).Redrive(t.Context(), Selection{All: true}, wire(func(r Record) error {
		s.add(Letter{Rounds: Rounds(r.Headers)})
		return nil
	}), RedriveOptions{}, new(told).add)
	if err != nil || report.Done != pageSize {
		t.Errorf("%+v, %v; want %d redriven", report, err, pageSize)
	}
	if got := s.ids(Waiting); len(got) != pageSize || got[0] != pageSize+1 || s.letters[got[0]].Rounds != 1 {
		t.Errorf("letters %v wait, the first with %d rounds", got, s.letters[got[0]].Rounds)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	s := newShelf(3)
	s.purgable = 1
	report, err := New(s).Redrive(t.Context(), Selection{Reason: "bad_order_id"}, nil, RedriveOptions{DryRun: true}, new(told).add)
	if err != nil || report != (Report{Done: 2}) || len(s.ids(Waiting)) != 3 {
		t.Errorf("%+v, %v, %v", report, err, s.ids(Waiting))
	}
}

func TestRedriveGivesUp(t *testing.T) {
	s := newShelf(100)
	report, err := New(s).Redrive(t.Context(), Selection{All: true}, wire(func(Record) error { return errRefused }), RedriveOptions{}, new(told).add)
	if !errors.Is(err, ErrGaveUp) || report.Failed != maxFailuresInARow || len(s.ids(Waiting)) != 100 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestPublishedIsMarkedThoughInterrupted: Ctrl-C between the acknowledgement and
// the mark must not cost a repetition.
func TestPublishedIsMarkedThoughInterrupted(t *testing.T) {
	s := newShelf(2)
	ctx, cancel := context.WithCancel(t.Context())
	report, err := New(s).Redrive(ctx, Selection{All: true}, wire(func(Record) error { cancel(); return nil }), RedriveOptions{}, new(told).add)
	if !errors.Is(err, context.Canceled) || report.Done != 1 || s.letters[1].Status != Redriven || s.letters[2].Status != Waiting {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestNotMarkedIsFailed(t *testing.T) {
	s := newShelf(1)
	s.markErr = errors.New("the database is away")
	var results told
	report, err := New(s).Redrive(t.Context(), Selection{All: true}, wire(func(Record) error { return nil }), RedriveOptions{}, results.add)
	if err != nil || report != (Report{Failed: 1}) || !strings.Contains(results[0].Err.Error(), "published at 1@2") {
		t.Errorf("%+v, %v, %v", report, err, results)
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := New(newShelf(10)).Redrive(t.Context(), Selection{All: true}, wire(func(Record) error { return nil }), RedriveOptions{Rate: 2}, new(told).add)
		if took := time.Since(began); err != nil || took != 5*time.Second {
			t.Errorf("10 at 2 a second took %v, %v", took, err)
		}
	})
}

func TestRounds(t *testing.T) {
	for value, want := range map[string]int{"3": 3, "": 0, "-1": 0, "x": 0, "99999999999": 0, "32767": 32767} {
		if got := Rounds([]Header{{[]byte("other"), []byte("9")}, {[]byte(HeaderRounds), []byte(value)}}); got != want {
			t.Errorf("Rounds(%q) = %d, want %d", value, got, want)
		}
	}
}

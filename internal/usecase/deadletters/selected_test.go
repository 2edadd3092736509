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

	"service-courier/internal/courier"
)

var errRefused = errors.New("the broker refuses")

func TestRedrivePublishesTheRecordUnchanged(t *testing.T) {
	s := newFakeStore(0)
	s.add(DeadLetter{
		Key: []byte{0, 255}, Payload: []byte("edited"), Original: []byte("original"), Redrives: 2,
		Headers: []Header{{[]byte("trace"), []byte("t")}, {[]byte(HeaderRedrives), []byte("2")}, {[]byte("null"), nil}},
	})
	s.add(DeadLetter{}) // a tombstone: no key, value or header
	var sent []Record
	report, err := New(s).RedriveSelected(t.Context(), Selection{All: true}, publisher(func(r Record) error {
		sent = append(sent, r)
		return nil
	}), RedriveOptions{}, new(results).add)
	if err != nil || report != (Report{Done: 2}) {
		t.Fatalf("%+v, %v", report, err)
	}
	want := []Record{
		{[]byte{0, 255}, []byte("edited"), []Header{{[]byte("trace"), []byte("t")}, {[]byte("null"), nil}, {[]byte(HeaderRedrives), []byte("3")}}},
		{nil, nil, []Header{{[]byte(HeaderRedrives), []byte("1")}}},
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
}

// TestMarkedAfterAcknowledgement fails when dead letters are marked first: a crash before
// publishing would lose them.
func TestMarkedAfterAcknowledgement(t *testing.T) {
	s := newFakeStore(1)
	_, err := New(s).RedriveSelected(t.Context(), Selection{IDs: []int64{1}}, publisher(func(Record) error {
		if s.all[1].Status != Pending {
			t.Error("marked before the record is acknowledged")
		}
		return nil
	}), RedriveOptions{}, new(results).add)
	if err != nil || s.all[1].Status != Redriven {
		t.Errorf("%v, %s", err, s.all[1].Status)
	}
}

func TestRedriveCountsEachOutcome(t *testing.T) {
	s := newFakeStore(4)
	limit, discarded := s.all[2], s.all[3]
	limit.Redrives, discarded.Status = MaxRedrives, Discarded
	s.all[2], s.all[3] = limit, discarded
	var got results
	sent := 0
	report, err := New(s).RedriveSelected(t.Context(), Selection{IDs: []int64{1, 2, 3, 4, 99}}, publisher(func(Record) error {
		if sent++; sent == 2 {
			return errRefused
		}
		return nil
	}), RedriveOptions{}, got.add)
	if err != nil || report != (Report{Done: 1, Skipped: 2, Failed: 2}) {
		t.Errorf("%+v, %v", report, err)
	}
	for i, want := range []error{nil, nil, ErrHandled, errRefused, ErrNotFound} {
		if err := got[i].Err; want != nil && !errors.Is(err, want) {
			t.Errorf("dead letter %d: %v, want %v", got[i].ID, err, want)
		}
	}
	if got := s.ids(Pending); !slices.Equal(got, []int64{2, 4}) {
		t.Errorf("pending %v, want 2 and 4", got)
	}
}

// TestBatchIsNotRedriven: it would be published as an empty record.
func TestBatchIsNotRedriven(t *testing.T) {
	s := newFakeStore(2)
	batch, edited := s.all[1], s.all[2]
	batch.Reason, batch.Payload, edited.Reason = Undecodable, nil, Undecodable
	s.all[1], s.all[2] = batch, edited
	var got results
	report, err := New(s).RedriveSelected(t.Context(), Selection{All: true}, publisher(func(Record) error { return nil }), RedriveOptions{}, got.add)
	if err != nil || report != (Report{Done: 1, Skipped: 1}) || !errors.Is(got[0].Err, ErrNoRecord) {
		t.Errorf("%+v, %v, %+v", report, err, got)
	}
}

// TestRedriveAllIgnoresLaterDeadLetters: a record that fails again becomes a dead letter
// with a higher id, which is left out. After a full page more are read.
func TestRedriveAllIgnoresLaterDeadLetters(t *testing.T) {
	s := newFakeStore(pageSize)
	report, err := New(s).RedriveSelected(t.Context(), Selection{All: true}, publisher(func(r Record) error {
		s.add(DeadLetter{Redrives: CountRedrives(r.Headers)})
		return nil
	}), RedriveOptions{}, new(results).add)
	if err != nil || report.Done != pageSize {
		t.Errorf("%+v, %v; want %d redriven", report, err, pageSize)
	}
	if got := s.ids(Pending); len(got) != pageSize || got[0] != pageSize+1 || s.all[got[0]].Redrives != 1 {
		t.Errorf("pending %v, the first with %d redrives", got, s.all[got[0]].Redrives)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	s := newFakeStore(3)
	s.purgeable = 1
	report, err := New(s).RedriveSelected(t.Context(), Selection{Reason: "bad_order_id"}, nil, RedriveOptions{DryRun: true}, new(results).add)
	if err != nil || report != (Report{Done: 2}) || len(s.ids(Pending)) != 3 {
		t.Errorf("%+v, %v, %v", report, err, s.ids(Pending))
	}
}

func TestRedriveGivesUp(t *testing.T) {
	s := newFakeStore(100)
	report, err := New(s).RedriveSelected(t.Context(), Selection{All: true}, publisher(func(Record) error { return errRefused }), RedriveOptions{}, new(results).add)
	if !errors.Is(err, ErrGaveUp) || report.Failed != maxFailuresInARow || len(s.ids(Pending)) != 100 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestLostConnectionEndsAll: one error says it, and how many were done before, not one for
// each that is left.
func TestLostConnectionEndsAll(t *testing.T) {
	for _, lost := range []error{ErrUnreachable, ErrForbidden, courier.ErrUnavailable} {
		s := newFakeStore(9)
		var got results
		sent := 0
		report, err := New(s).RedriveSelected(t.Context(), Selection{All: true}, publisher(func(Record) error {
			if sent++; sent <= 2 {
				return nil
			}
			return lost
		}), RedriveOptions{}, got.add)
		if !errors.Is(err, lost) || !strings.Contains(err.Error(), "stopped after 2 dead letters") || report != (Report{Done: 2}) || len(got) != 2 || len(s.ids(Pending)) != 7 {
			t.Errorf("%v: %+v, %v, %d results", lost, report, err, len(got))
		}
	}
	s := newFakeStore(9)
	s.markErr = courier.ErrUnavailable
	if report, err := New(s).DiscardSelected(t.Context(), Selection{IDs: []int64{1, 2}}, new(results).add); !errors.Is(err, courier.ErrUnavailable) || report != (Report{}) {
		t.Errorf("discard: %+v, %v", report, err)
	}
}

// TestPublishedIsMarkedDespiteInterrupt: Ctrl-C between acknowledgement and mark does
// not repeat the record.
func TestPublishedIsMarkedDespiteInterrupt(t *testing.T) {
	s := newFakeStore(2)
	ctx, cancel := context.WithCancel(t.Context())
	report, err := New(s).RedriveSelected(ctx, Selection{All: true}, publisher(func(Record) error { cancel(); return nil }), RedriveOptions{}, new(results).add)
	if !errors.Is(err, context.Canceled) || report.Done != 1 || s.all[1].Status != Redriven || s.all[2].Status != Pending {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestMarkErrorIsReported(t *testing.T) {
	s := newFakeStore(1)
	s.markErr = errors.New("the database is unavailable")
	var got results
	report, err := New(s).RedriveSelected(t.Context(), Selection{All: true}, publisher(func(Record) error { return nil }), RedriveOptions{}, got.add)
	if err != nil || report != (Report{Failed: 1}) || !strings.Contains(got[0].Err.Error(), "published at 1@2") {
		t.Errorf("%+v, %v, %v", report, err, got)
	}
}

func TestRedriveRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := New(newFakeStore(10)).RedriveSelected(t.Context(), Selection{All: true}, publisher(func(Record) error { return nil }), RedriveOptions{Rate: 2}, new(results).add)
		if took := time.Since(began); err != nil || took != 5*time.Second {
			t.Errorf("10 at 2 per second took %v, %v", took, err)
		}
	})
}

func TestCountRedrives(t *testing.T) {
	for value, want := range map[string]int{"3": 3, "": 0, "-1": 0, "x": 0, "99999999999": 0, "32767": 32767} {
		if got := CountRedrives([]Header{{[]byte("other"), []byte("9")}, {[]byte(HeaderRedrives), []byte(value)}}); got != want {
			t.Errorf("CountRedrives(%q) = %d, want %d", value, got, want)
		}
	}
}

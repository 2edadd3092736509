package deadletters

import (
	"errors"
	"slices"
	"testing"
)

func TestSelectionIsExactlyOne(t *testing.T) {
	for _, s := range []Selection{{}, {IDs: []int64{1}, All: true}, {Reason: "x", All: true}, {IDs: []int64{1}, Reason: "x"}} {
		if s.Validate() == nil {
			t.Errorf("%+v is accepted", s)
		}
		if _, err := New(newShelf(1)).Drop(t.Context(), s, new(told).add); err == nil {
			t.Errorf("Drop of %+v gave no error", s)
		}
	}
}

func TestDrop(t *testing.T) {
	s := newShelf(450) // more than two pages
	report, err := New(s).Drop(t.Context(), Selection{Reason: "not_json"}, new(told).add)
	if err != nil || report != (Report{Done: 225}) || len(s.ids(Dropped)) != 225 {
		t.Errorf("%+v, %v", report, err)
	}
	if report, err = New(s).Drop(t.Context(), Selection{IDs: []int64{2}}, new(told).add); err != nil || report != (Report{Skipped: 1}) {
		t.Errorf("again: %+v, %v", report, err)
	}
}

func TestPurgeGoesOnInBatches(t *testing.T) {
	s := newShelf(0)
	s.purgable = 2*purgeBatch + 1
	if n, err := New(s).Purge(t.Context()); err != nil || n != 2*purgeBatch+1 || s.purgable != 0 {
		t.Errorf("removed %d, %v; %d are left", n, err, s.purgable)
	}
}

func TestListAndCount(t *testing.T) {
	u := New(newShelf(5))
	heads, total, err := u.List(t.Context(), Filter{}, 2)
	if err != nil || total != 5 || len(heads) != 2 || heads[0].ID != 1 {
		t.Errorf("%v of %d, %v", heads, total, err)
	}
	for want, s := range map[int]Selection{5: {All: true}, 2: {Reason: "not_json"}, 3: {IDs: []int64{1, 2, 3}}} {
		if n, err := u.Count(t.Context(), s); err != nil || n != want {
			t.Errorf("Count(%+v) = %d, %v", s, n, err)
		}
	}
}

func TestEditBeginsTheRoundsAnew(t *testing.T) {
	s := newShelf(1)
	spent := s.letters[1]
	spent.Rounds = MaxRounds
	s.letters[1] = spent
	payload, changed, err := New(s).Edit(t.Context(), 1, func(old []byte) ([]byte, error) { return append(old, 'y'), nil })
	if err != nil || !changed || string(payload) != "xy" || s.letters[1].Rounds != 0 {
		t.Errorf("%q, %t, %v, %+v", payload, changed, err, s.letters[1])
	}
}

func TestEditThatChangesNothingSavesNothing(t *testing.T) {
	s := newShelf(1)
	_, changed, err := New(s).Edit(t.Context(), 1, func(old []byte) ([]byte, error) { return old, nil })
	if err != nil || changed || !s.letters[1].EditedAt.IsZero() {
		t.Errorf("%t, %v", changed, err)
	}
}

func TestEditRefuses(t *testing.T) {
	s := newShelf(2)
	handled := s.letters[2]
	handled.Status = Redriven
	s.letters[2] = handled
	broken := errors.New("the editor failed")
	for id, want := range map[int64]error{1: broken, 2: ErrHandled, 3: ErrNotFound} {
		_, _, err := New(s).Edit(t.Context(), id, func([]byte) ([]byte, error) { return nil, broken })
		if !errors.Is(err, want) {
			t.Errorf("letter %d: %v, want %v", id, err, want)
		}
	}
}

func TestEachTakesWholePages(t *testing.T) {
	s := newShelf(2*pageSize + 1)
	var ids []int64
	err := New(s).Each(t.Context(), Filter{}, func(l Letter) error { ids = append(ids, l.ID); return nil })
	if err != nil || len(ids) != 2*pageSize+1 || !slices.IsSorted(ids) {
		t.Errorf("%d letters, %v", len(ids), err)
	}
}

package deadletters

import (
	"errors"
	"slices"
	"testing"
)

func TestSelectionValidate(t *testing.T) {
	for _, s := range []Selection{{}, {IDs: []int64{1}, All: true}, {Reason: "x", All: true}, {IDs: []int64{1}, Reason: "x"}} {
		if s.Validate() == nil {
			t.Errorf("%+v is valid", s)
		}
		if _, err := New(newFakeStore(1)).DiscardSelected(t.Context(), s, new(results).add); err == nil {
			t.Errorf("DiscardSelected(%+v): no error", s)
		}
	}
}

func TestDiscardSelected(t *testing.T) {
	s := newFakeStore(450) // more than two pages
	report, err := New(s).DiscardSelected(t.Context(), Selection{Reason: "not_json"}, new(results).add)
	if err != nil || report != (Report{Done: 225}) || len(s.ids(Discarded)) != 225 {
		t.Errorf("%+v, %v", report, err)
	}
	if report, err = New(s).DiscardSelected(t.Context(), Selection{IDs: []int64{2}}, new(results).add); err != nil || report != (Report{Skipped: 1}) {
		t.Errorf("repeated: %+v, %v", report, err)
	}
}

func TestPurgeInBatches(t *testing.T) {
	s := newFakeStore(0)
	s.purgeable = 2*purgeBatch + 1
	if n, err := New(s).Purge(t.Context()); err != nil || n != 2*purgeBatch+1 || s.purgeable != 0 {
		t.Errorf("removed %d, %v; %d left", n, err, s.purgeable)
	}
}

func TestListAndCount(t *testing.T) {
	u := New(newFakeStore(5))
	page, total, err := u.List(t.Context(), Filter{}, 2)
	if err != nil || total != 5 || len(page) != 2 || page[0].ID != 1 {
		t.Errorf("%v of %d, %v", page, total, err)
	}
	for want, s := range map[int]Selection{5: {All: true}, 2: {Reason: "not_json"}, 3: {IDs: []int64{1, 2, 3}}} {
		if n, err := u.Count(t.Context(), s); err != nil || n != want {
			t.Errorf("Count(%+v) = %d, %v", s, n, err)
		}
	}
}

func TestEditResetsRedrives(t *testing.T) {
	s := newFakeStore(1)
	limit := s.all[1]
	limit.Redrives = MaxRedrives
	s.all[1] = limit
	payload, changed, err := New(s).Edit(t.Context(), 1, func(old []byte) ([]byte, error) { return append(old, 'y'), nil })
	if err != nil || !changed || string(payload) != "xy" || s.all[1].Redrives != 0 {
		t.Errorf("%q, %t, %v, %+v", payload, changed, err, s.all[1])
	}
}

func TestEditWithoutChange(t *testing.T) {
	s := newFakeStore(1)
	_, changed, err := New(s).Edit(t.Context(), 1, func(old []byte) ([]byte, error) { return old, nil })
	if err != nil || changed || !s.all[1].EditedAt.IsZero() {
		t.Errorf("%t, %v", changed, err)
	}
}

func TestEditRefuses(t *testing.T) {
	s := newFakeStore(2)
	handled := s.all[2]
	handled.Status = Redriven
	s.all[2] = handled
	broken := errors.New("the editor failed")
	for id, want := range map[int64]error{1: broken, 2: ErrHandled, 3: ErrNotFound} {
		_, _, err := New(s).Edit(t.Context(), id, func([]byte) ([]byte, error) { return nil, broken })
		if !errors.Is(err, want) {
			t.Errorf("dead letter %d: %v, want %v", id, err, want)
		}
	}
}

func TestEachReadsAllPages(t *testing.T) {
	s := newFakeStore(2*pageSize + 1)
	var ids []int64
	err := New(s).Each(t.Context(), Filter{}, func(l DeadLetter) error { ids = append(ids, l.ID); return nil })
	if err != nil || len(ids) != 2*pageSize+1 || !slices.IsSorted(ids) {
		t.Errorf("%d dead letters, %v", len(ids), err)
	}
}

package deadletters

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStore is a Store in memory, for one goroutine.
type fakeStore struct {
	all       map[int64]DeadLetter
	purgeable int   // dead letters that Purge still finds
	markErr   error // of every Mark
}

// newFakeStore has n pending dead letters with ids from 1; every second one is not JSON.
func newFakeStore(n int) *fakeStore {
	s := &fakeStore{all: make(map[int64]DeadLetter)}
	for i := range n {
		s.add(DeadLetter{Reason: []string{"bad_order_id", "not_json"}[i%2], Payload: []byte("x")})
	}
	return s
}

func (s *fakeStore) add(l DeadLetter) {
	l.ID, l.Status = int64(len(s.all))+1, Pending
	s.all[l.ID] = l
}

func (s *fakeStore) Last(context.Context) (int64, error) { return int64(len(s.all)), nil }

func (s *fakeStore) Count(ctx context.Context, f Filter) (int, error) {
	page, err := s.Page(ctx, f, 0, int64(len(s.all)), len(s.all))
	return len(page), err
}

func (s *fakeStore) Page(_ context.Context, f Filter, after, upTo int64, limit int) ([]Summary, error) {
	var page []Summary
	for id := after + 1; id <= upTo && len(page) < limit; id++ {
		l := s.all[id]
		if (l.Status != Pending) == f.Handled && (f.Reason == "" || f.Reason == l.Reason) {
			page = append(page, Summary{ID: id, Reason: l.Reason})
		}
	}
	return page, nil
}

func (s *fakeStore) Get(_ context.Context, id int64) (DeadLetter, error) {
	l, ok := s.all[id]
	if !ok {
		return l, ErrNotFound
	}
	return l, nil
}

func (s *fakeStore) Edit(_ context.Context, l DeadLetter, payload []byte) error {
	if s.all[l.ID].EditedAt != l.EditedAt {
		return ErrChanged
	}
	l.Payload, l.EditedAt, l.Redrives = payload, time.Now(), 0
	s.all[l.ID] = l
	return nil
}

func (s *fakeStore) Mark(ctx context.Context, l DeadLetter, as Status) error {
	if s.markErr != nil || ctx.Err() != nil {
		return errors.Join(s.markErr, ctx.Err())
	}
	l.Status = as
	s.all[l.ID] = l
	return nil
}

func (s *fakeStore) Purge(_ context.Context, _ time.Duration, limit int) (int, error) {
	n := min(limit, s.purgeable)
	s.purgeable -= n
	return n, nil
}

// ids returns the ids with a status.
func (s *fakeStore) ids(status Status) []int64 {
	var ids []int64
	for id, l := range s.all {
		if l.Status == status {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// publisher is a Publisher that calls the function with each record.
type publisher func(Record) error

func (p publisher) Publish(_ context.Context, r Record) (RecordPosition, error) {
	return RecordPosition{Partition: 1, Offset: 2}, p(r)
}

// results collects results.
type results []Result

func (r *results) add(one Result) { *r = append(*r, one) }

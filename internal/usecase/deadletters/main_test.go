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

// shelf is a Store in memory, for one goroutine.
type shelf struct {
	letters  map[int64]Letter
	purgable int   // letters that Purge still finds
	markErr  error // of every Mark
	getErr   error // of every Get
}

// newShelf holds n letters that wait: ids from 1, every second one not JSON.
func newShelf(n int) *shelf {
	s := &shelf{letters: make(map[int64]Letter)}
	for i := range n {
		s.add(Letter{Reason: []string{"bad_order_id", "not_json"}[i%2], Payload: []byte("x")})
	}
	return s
}

func (s *shelf) add(l Letter) {
	l.ID, l.Status = int64(len(s.letters))+1, Waiting
	s.letters[l.ID] = l
}

func (s *shelf) Last(context.Context) (int64, error) { return int64(len(s.letters)), nil }

func (s *shelf) Count(ctx context.Context, f Filter) (int, error) {
	heads, err := s.Page(ctx, f, 0, int64(len(s.letters)), len(s.letters))
	return len(heads), err
}

func (s *shelf) Page(_ context.Context, f Filter, after, upTo int64, limit int) ([]Head, error) {
	var heads []Head
	for id := after + 1; id <= upTo && len(heads) < limit; id++ {
		l := s.letters[id]
		if (l.Status != Waiting) == f.Handled && (f.Reason == "" || f.Reason == l.Reason) {
			heads = append(heads, Head{ID: id, Reason: l.Reason})
		}
	}
	return heads, nil
}

func (s *shelf) Get(_ context.Context, id int64) (Letter, error) {
	l, ok := s.letters[id]
	if !ok {
		return l, ErrNotFound
	}
	return l, s.getErr
}

func (s *shelf) Edit(_ context.Context, l Letter, payload []byte) error {
	if s.letters[l.ID].EditedAt != l.EditedAt {
		return ErrChanged
	}
	l.Payload, l.EditedAt, l.Rounds = payload, time.Now(), 0
	s.letters[l.ID] = l
	return nil
}

func (s *shelf) Mark(ctx context.Context, l Letter, as Status) error {
	if s.markErr != nil || ctx.Err() != nil {
		return errors.Join(s.markErr, ctx.Err())
	}
	l.Status = as
	s.letters[l.ID] = l
	return nil
}

func (s *shelf) Purge(_ context.Context, _ time.Duration, limit int) (int, error) {
	n := min(limit, s.purgable)
	s.purgable -= n
	return n, nil
}

// ids returns those of the letters that have a status.
func (s *shelf) ids(status Status) []int64 {
	var ids []int64
	for id, l := range s.letters {
		if l.Status == status {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// wire is a Publisher; sent is called with each record and decides.
type wire func(Record) error

func (w wire) Publish(_ context.Context, r Record) (Position, error) {
	return Position{Partition: 1, Offset: 2}, w(r)
}

// told collects results.
type told []Result

func (t *told) add(r Result) { *t = append(*t, r) }

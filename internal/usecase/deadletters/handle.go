package deadletters

import (
	"context"
	"errors"
	"fmt"
)

// Outcome is what became of one letter.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"    // redriven or dropped
	Failed  Outcome = "failed"  // it waits as before; Result.Err says why
	Skipped Outcome = "skipped" // there was nothing to do, or its rounds are used up
)

// Result tells of one letter.
type Result struct {
	ID      int64
	Outcome Outcome
	At      Position // of a redriven record
	Err     error    // why it failed or was skipped
}

// Report counts what a command did.
type Report struct{ Done, Failed, Skipped int }

func (r *Report) add(o Outcome) {
	switch o {
	case Done:
		r.Done++
	case Failed:
		r.Failed++
	case Skipped:
		r.Skipped++
	}
}

// maxFailuresInARow ends a command: what failed so often will fail for the rest
// as well, and a thousand timeouts help nobody.
const maxFailuresInARow = 5

// ErrGaveUp says that a command ended before it came to every letter.
var ErrGaveUp = errors.New("gave up after several failures in a row; the letters after these were not touched")

// handle calls one with each letter selected, tells the results, and counts
// them. What has been done by then is in the report, also beside an error.
func (u *Letters) handle(ctx context.Context, s Selection, one func(id int64) Result, tell func(Result)) (Report, error) {
	var report Report
	if err := s.Validate(); err != nil {
		return report, err
	}
	inARow := 0
	err := u.eachSelected(ctx, s, func(id int64) error {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted; the letters after this were not touched: %w", err)
		}
		r := one(id)
		report.add(r.Outcome)
		tell(r)
		if r.Outcome != Failed {
			inARow = 0
			return nil
		}
		if inARow++; inARow >= maxFailuresInARow {
			return ErrGaveUp
		}
		return nil
	})
	return report, err
}

func (u *Letters) eachSelected(ctx context.Context, s Selection, do func(id int64) error) error {
	if len(s.IDs) == 0 {
		return u.eachID(ctx, Filter{Reason: s.Reason}, do)
	}
	for _, id := range s.IDs {
		if err := do(id); err != nil {
			return err
		}
	}
	return nil
}

// waiting reads a letter that is to be handled. Otherwise the result says why
// it is not.
func (u *Letters) waiting(ctx context.Context, id int64) (Letter, Result) {
	letter, err := u.store.Get(ctx, id)
	switch {
	case err != nil:
		return letter, Result{ID: id, Outcome: Failed, Err: err}
	case letter.Status != Waiting:
		return letter, Result{ID: id, Outcome: Skipped, Err: fmt.Errorf("%w: it was %s", ErrHandled, letter.Status)}
	}
	return letter, Result{ID: id}
}

// Count says how many letters a selection has now.
func (u *Letters) Count(ctx context.Context, s Selection) (int, error) {
	if err := s.Validate(); err != nil {
		return 0, err
	}
	if len(s.IDs) > 0 {
		return len(s.IDs), nil
	}
	return u.store.Count(ctx, Filter{Reason: s.Reason})
}

package deadletters

import (
	"context"
	"errors"
	"fmt"
	"time"

	"service-courier/internal/courier"
)

// Outcome is the outcome of a command for one dead letter.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"    // redriven or discarded
	Failed  Outcome = "failed"  // still pending
	Skipped Outcome = "skipped" // already handled, or redriven too often
)

// Result is the result of a command for one dead letter.
type Result struct {
	ID      int64
	Outcome Outcome
	At      RecordPosition // of a redriven record
	Err     error          // why it failed or was skipped
}

// Report counts the results of a command.
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

// maxFailuresInARow ends a command: the remaining dead letters would most likely fail
// as well.
const maxFailuresInARow = 5

// ErrGaveUp means that a command ended early.
var ErrGaveUp = errors.New("gave up after several failures in a row; the remaining dead letters are unchanged")

// Count counts the dead letters of a selection.
func (u *DeadLetters) Count(ctx context.Context, s Selection) (int, error) {
	if err := s.Validate(); err != nil {
		return 0, err
	}
	if len(s.IDs) > 0 {
		return len(s.IDs), nil
	}
	return u.store.Count(ctx, Filter{Reason: s.Reason})
}

// DiscardSelected discards the selected dead letters and reports each result.
func (u *DeadLetters) DiscardSelected(ctx context.Context, s Selection, report func(Result)) (Report, error) {
	return u.each(ctx, s, func(id int64) (RecordPosition, error) { return RecordPosition{}, u.Discard(ctx, id) }, report)
}

// RedriveOptions are the options of RedriveSelected.
type RedriveOptions struct {
	DryRun bool // only report what would be done; the publisher is not used
	Rate   int  // maximum records per second; 0: unlimited
}

// RedriveSelected redrives the selected dead letters and reports each result. One that
// was redriven too often is skipped.
func (u *DeadLetters) RedriveSelected(ctx context.Context, s Selection, to Publisher, o RedriveOptions, report func(Result)) (Report, error) {
	var tick <-chan time.Time // nil: unlimited
	if o.Rate > 0 {
		ticker := time.NewTicker(max(time.Second/time.Duration(o.Rate), 1)) // NewTicker(0) panics
		defer ticker.Stop()
		tick = ticker.C
	}
	return u.each(ctx, s, func(id int64) (RecordPosition, error) {
		deadLetter, err := u.redrivable(ctx, id)
		if err != nil || o.DryRun {
			return RecordPosition{}, err
		}
		if tick != nil {
			select {
			case <-tick:
			case <-ctx.Done():
			}
		}
		return u.redrive(ctx, deadLetter, to)
	}, report)
}

// each calls do with each selected dead letter and reports the results. The Report is
// valid also beside an error.
func (u *DeadLetters) each(ctx context.Context, s Selection, do func(id int64) (RecordPosition, error), report func(Result)) (Report, error) {
	var total Report
	if err := s.Validate(); err != nil {
		return total, err
	}
	inARow := 0
	err := u.eachSelected(ctx, s, func(id int64) error {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted; the remaining dead letters are unchanged: %w", err)
		}
		at, err := do(id)
		if endsAll(err) {
			return fmt.Errorf("dead letter %d: %w", id, err)
		}
		r := Result{id, outcomeOf(err), at, err}
		total.add(r.Outcome)
		report(r)
		if r.Outcome != Failed {
			inARow = 0
			return nil
		}
		if inARow++; inARow >= maxFailuresInARow {
			return ErrGaveUp
		}
		return nil
	})
	if endsAll(err) {
		err = fmt.Errorf("stopped after %d dead letters, the others are unchanged: %w", total.Done+total.Failed+total.Skipped, err)
	}
	return total, err
}

// endsAll reports whether err would be that of each further dead letter, too.
func endsAll(err error) bool {
	return errors.Is(err, courier.ErrUnavailable) || errors.Is(err, ErrUnreachable) || errors.Is(err, ErrForbidden)
}

func outcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, ErrHandled), errors.Is(err, ErrRedriveLimit), errors.Is(err, ErrNoRecord):
		return Skipped
	}
	return Failed
}

func (u *DeadLetters) eachSelected(ctx context.Context, s Selection, do func(id int64) error) error {
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

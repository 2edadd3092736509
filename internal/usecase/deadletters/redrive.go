package deadletters

import (
	"context"
	"fmt"
	"time"
)

// RedriveOptions adjusts a redrive.
type RedriveOptions struct {
	DryRun bool // only tell what would be done; the publisher is not used
	Rate   int  // records a second at most; 0: as fast as they are acknowledged
}

// Redrive sends the records of letters through the order topic once more, each
// as it came, save an edited payload and the count of its rounds. A letter whose
// rounds are used up is skipped.
func (u *Letters) Redrive(ctx context.Context, s Selection, to Publisher, o RedriveOptions, tell func(Result)) (Report, error) {
	p := newPace(o.Rate)
	defer p.stop()
	return u.handle(ctx, s, func(id int64) Result {
		letter, result := u.redrivable(ctx, id)
		switch {
		case result.Outcome != "":
			return result
		case o.DryRun:
			return Result{ID: id, Outcome: Done}
		}
		p.wait(ctx)
		return u.redrive(ctx, letter, to)
	}, tell)
}

// RedriveOne sends one letter's record through the order topic once more and
// returns where it is now. The error matches ErrNotFound, ErrHandled, ErrChanged,
// ErrRoundsUsedUp or ErrNotPublished (and then perhaps ErrForbidden), or is the store's.
func (u *Letters) RedriveOne(ctx context.Context, id int64, to Publisher) (Position, error) {
	letter, result := u.redrivable(ctx, id)
	if result.Outcome == "" {
		result = u.redrive(ctx, letter, to)
	}
	return result.At, result.Err
}

// redrivable is waiting for a letter whose rounds are not used up.
func (u *Letters) redrivable(ctx context.Context, id int64) (Letter, Result) {
	letter, result := u.waiting(ctx, id)
	if result.Outcome == "" && letter.Rounds >= MaxRounds {
		result.Outcome, result.Err = Skipped, fmt.Errorf("%w (%d times)", ErrRoundsUsedUp, letter.Rounds)
	}
	return letter, result
}

// markWithin bounds the marking of a letter whose record is published, which is
// done although the caller may have gone.
const markWithin = 5 * time.Second

// redrive publishes, and marks only what is acknowledged.
func (u *Letters) redrive(ctx context.Context, l Letter, to Publisher) Result {
	at, err := to.Publish(ctx, l.record())
	if err != nil {
		return Result{ID: l.ID, Outcome: Failed, Err: fmt.Errorf("%w: %w", ErrNotPublished, err)}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markWithin)
	defer cancel()
	if err := u.store.Mark(ctx, l, Redriven); err != nil {
		err = fmt.Errorf("its record is published at %d@%d, but the letter still waits (redriving it again does no harm): %w",
			at.Partition, at.Offset, err)
		return Result{ID: l.ID, Outcome: Failed, At: at, Err: err}
	}
	return Result{ID: l.ID, Outcome: Done, At: at}
}

// pace keeps a rate.
type pace struct{ ticker *time.Ticker }

func newPace(perSecond int) pace {
	if perSecond <= 0 {
		return pace{}
	}
	return pace{time.NewTicker(max(time.Second/time.Duration(perSecond), 1))} // a ticker of 0 panics
}

func (p pace) wait(ctx context.Context) {
	if p.ticker == nil {
		return
	}
	select {
	case <-p.ticker.C:
	case <-ctx.Done():
	}
}

func (p pace) stop() {
	if p.ticker != nil {
		p.ticker.Stop()
	}
}

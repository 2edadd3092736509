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
		letter, result := u.waiting(ctx, id)
		switch {
		case result.Outcome != "":
			return result
		case letter.Rounds >= MaxRounds:
			err := fmt.Errorf("it was redriven %d times and was bad each time: edit or drop it", letter.Rounds)
			return Result{ID: id, Outcome: Skipped, Err: err}
		case o.DryRun:
			return Result{ID: id, Outcome: Done}
		}
		p.wait(ctx)
		return u.redrive(ctx, letter, to)
	}, tell)
}

// markWithin bounds the marking of a letter whose record is published, which is
// done although the caller may have gone.
const markWithin = 5 * time.Second

// redrive publishes, and marks only what is acknowledged.
func (u *Letters) redrive(ctx context.Context, l Letter, to Publisher) Result {
	at, err := to.Publish(ctx, l.record())
	if err != nil {
		return Result{ID: l.ID, Outcome: Failed, Err: err}
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

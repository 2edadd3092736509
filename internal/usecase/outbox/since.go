package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"service-courier/internal/usecase/livefeed"
)

// Lag is what is not published yet.
type Lag struct {
	Pending  int64     // transitions
	OldestAt time.Time // of the oldest one; zero without one
}

// History finds transitions by their time.
type History interface {
	// Since returns the id before the first transition at or after t, of those up to the
	// id end; end when there is none.
	Since(ctx context.Context, t time.Time, end int64) (int64, error)
}

// ErrSkips means that a new position would leave transitions unpublished.
var ErrSkips = errors.New("there are transitions before that time which are not published yet")

// moveAttempts bounds how often an outbox that publishes meanwhile may win.
const moveAttempts = 20

// PublishSince sets the position so that every transition at or after t is published,
// again if it was published before. It is safe while a replica publishes: that one goes on
// from the new position. The error is ErrSkips when earlier transitions are not published
// yet, unless skip is set.
func PublishSince(ctx context.Context, journal livefeed.Journal, positions Positions, history History, t time.Time, skip bool) error {
	r, err := livefeed.BeginReader(ctx, journal, 0) // what is open now may be of an earlier time
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	to := r.At()
	if to.ID, err = history.Since(ctx, t, to.ID); err != nil {
		return err
	}
	for range moveAttempts {
		from, ok, err := positions.Position(ctx)
		switch {
		case err != nil:
			return err
		case !ok:
			err = positions.Begin(ctx, to) // a replica may begin as well: read again
		case from == to.ID:
			return nil
		case from < to.ID && !skip:
			return ErrSkips
		default:
			err = positions.Advance(ctx, from, to.ID)
			if err == nil {
				return nil
			}
		}
		if err != nil && !errors.Is(err, ErrMoved) {
			return err
		}
	}
	return ErrMoved
}

package deadletters

import "context"

// Drop gives letters up: nothing processes their records. They are kept for
// KeepHandled.
func (u *Letters) Drop(ctx context.Context, s Selection, tell func(Result)) (Report, error) {
	report, err := u.handle(ctx, s, func(id int64) Result {
		letter, result := u.waiting(ctx, id)
		if result.Outcome != "" {
			return result
		}
		if err := u.store.Mark(ctx, letter, Dropped); err != nil {
			return Result{ID: id, Outcome: Failed, Err: err}
		}
		return Result{ID: id, Outcome: Done}
	}, tell)
	if err != nil {
		return report, err
	}
	report.Purged, err = u.purge(ctx)
	return report, err
}

// purgeBatch is small, so that no lock is held for long.
const purgeBatch = 500

// purge removes what was handled longer ago than KeepHandled.
func (u *Letters) purge(ctx context.Context) (removed int, err error) {
	for {
		n, err := u.store.Purge(ctx, KeepHandled, purgeBatch)
		removed += n
		if err != nil || n < purgeBatch {
			return removed, err
		}
	}
}

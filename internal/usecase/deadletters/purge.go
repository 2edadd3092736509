package deadletters

import "context"

// purgeBatch is small, so that no lock is held for long.
const purgeBatch = 500

// Purge removes the letters that were handled longer ago than KeepHandled, and
// returns how many. Letters that wait are never among them.
func (u *Letters) Purge(ctx context.Context) (removed int, err error) {
	for {
		n, err := u.store.Purge(ctx, KeepHandled, purgeBatch)
		removed += n
		if err != nil || n < purgeBatch {
			return removed, err
		}
	}
}

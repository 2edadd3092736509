package deadletters

import "context"

// Drop gives letters up: nothing processes their records. They are kept for
// KeepHandled.
func (u *Letters) Drop(ctx context.Context, s Selection, tell func(Result)) (Report, error) {
	return u.handle(ctx, s, func(id int64) Result { return u.drop(ctx, id) }, tell)
}

// DropOne gives one letter up. The error matches ErrNotFound, ErrHandled or
// ErrChanged, or is the store's.
func (u *Letters) DropOne(ctx context.Context, id int64) error { return u.drop(ctx, id).Err }

func (u *Letters) drop(ctx context.Context, id int64) Result {
	letter, result := u.waiting(ctx, id)
	if result.Outcome != "" {
		return result
	}
	if err := u.store.Mark(ctx, letter, Dropped); err != nil {
		return Result{ID: id, Outcome: Failed, Err: err}
	}
	return Result{ID: id, Outcome: Done}
}

package livefeed

import "slices"

// ringSize is how many changes are kept for those who come back or are slow.
const ringSize = 8192

// frame is a change as it is sent.
type frame struct {
	Cursor
	id   string // the cursor's
	text []byte
}

// ring has every change behind floor up to end. Frames are never changed, and
// append writes behind them only: a slice of them stays good without the lock.
type ring struct {
	frames     []frame
	floor, end Cursor
}

// add appends the changes read since, up to end, and drops the oldest.
func (r *ring) add(frames []frame, end Cursor) {
	r.frames = append(r.frames, frames...)
	r.end = end
	if extra := len(r.frames) - ringSize; extra > 0 {
		r.floor = r.frames[extra-1].Cursor
		r.frames = r.frames[extra:]
	}
}

// covers reports whether the ring has all that follows the cursor.
func (r *ring) covers(c Cursor) bool { return r.floor.Compare(c) <= 0 && c.Compare(r.end) <= 0 }

// after returns the changes behind a cursor that the ring covers.
func (r *ring) after(c Cursor) []frame {
	i, _ := slices.BinarySearchFunc(r.frames, c, func(f frame, c Cursor) int {
		if f.Compare(c) <= 0 {
			return -1
		}
		return 1
	})
	return r.frames[i:]
}

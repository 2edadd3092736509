package courier

import "time"

// ClampTime moves a time into the years 1 to 9999, which is all that JSON and PostgreSQL can
// express: the time of a record, which its producer chose, must not hide other records.
func ClampTime(t time.Time) time.Time {
	first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	switch {
	case t.Before(first):
		return first
	case t.After(last):
		return last
	}
	return t
}

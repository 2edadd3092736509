package rest

import (
	"errors"
	"time"
)

// day is one day (UTC) in a query; zero where it was left out. It is read here
// since huma tells of a bad time.Time in Go's words.
type day time.Time

// firstDay is the earliest that can be asked for: long before any delivery, and
// far from the zero time, which would be taken for a day that was left out.
func firstDay() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// UnmarshalText implements encoding.TextUnmarshaler; huma shows its error to the caller.
func (d *day) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	switch {
	case err != nil:
		return errors.New("expected a day such as 2026-01-31")
	case t.Before(firstDay()):
		return errors.New("expected 2000-01-01 or a later day")
	}
	*d = day(t)
	return nil
}

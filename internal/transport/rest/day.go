package rest

import (
	"errors"
	"time"
)

// day is one day (UTC) in a query; zero where it was left out. It is read here
// since huma tells of a bad time.Time in Go's words.
type day time.Time

// UnmarshalText implements encoding.TextUnmarshaler; huma shows its error to the caller.
func (d *day) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return errors.New("expected a day such as 2026-01-31")
	}
	*d = day(t)
	return nil
}

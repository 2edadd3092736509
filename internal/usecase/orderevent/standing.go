package orderevent

import "time"

// Standing is how the open orders stand, for whoever watches. Ages are by the
// store's clock.
type Standing struct {
	Open          int           // waiting, assigned and held orders; 0 while none of them is missing
	Missing       int           // those of them that service-order answers 404 about
	MissingOldest time.Duration // for how long the first of them has been missing
	Waiting       int           // those that only lack a courier
	WaitingOldest time.Duration // for how long the first in line has been known
}

// Many open orders missing at once mean that service-order lost its memory, as
// it does in a restart.
const (
	amnesiaOrders = 5
	amnesiaShare  = 0.5
)

// Amnesia reports that service-order seems to have lost its memory.
func (s Standing) Amnesia() bool {
	return s.Missing >= amnesiaOrders && float64(s.Missing) >= amnesiaShare*float64(s.Open)
}

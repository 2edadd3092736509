// Package statistics is the use case of asking how deliveries went: how many,
// how long they took and were waited for, how many were late. The figures are
// kept by the storage, in the transaction that completes or cancels a delivery;
// this package adds them up and must not know SQL or HTTP.
//
// A delivery counts on the day (UTC) it was completed. A cancelled order counts
// nowhere; one cancelled after its completion stops counting on that day.
package statistics

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxDays is the longest period, in days.
const MaxDays = 366

// defaultDays is how long a period is whose beginning is not named.
const defaultDays = 30

// maxCourierDays bounds what one page reads: of a year of 100 couriers that took
// 51 ms, of as many days as this 15.
const maxCourierDays = 12_000

// ErrBadPeriod refuses a period.
var ErrBadPeriod = errors.New("bad period")

// Period is from one day to another, both included. A zero To is today, a zero
// From 29 days before To.
type Period struct{ From, To time.Time }

// days counts them, where both ends are named.
func (p Period) days() int { return int(p.To.Sub(p.From).Hours()/24) + 1 }

// PageSize is how many couriers a page holds that is asked for so many: of a long
// period fewer.
func (p Period) PageSize(asked int) int { return min(asked, maxCourierDays/p.days()) }

// Store keeps the figures. Where the storage cannot be asked, its errors match
// courier.ErrUnavailable.
type Store interface {
	// Fleet returns the days of the period on which anything was delivered, in order.
	Fleet(ctx context.Context, p Period) ([]Day, error)
	// Courier returns one courier's such days, or courier.ErrNotFound.
	Courier(ctx context.Context, id int64, p Period) ([]Day, error)
	// Couriers returns what each courier did in the period, in the order of their
	// ids, at most limit of those with an id above after.
	Couriers(ctx context.Context, p Period, after int64, limit int) ([]OfCourier, error)
}

// Day is what was done on one day.
type Day struct {
	Day time.Time
	Figures
}

// OfCourier is what one courier did in a period.
type OfCourier struct {
	CourierID int64
	Figures
}

// Statistics answers how deliveries went.
type Statistics struct {
	store Store
	now   func() time.Time
}

// New returns the statistics kept in store; now is the clock.
func New(store Store, now func() time.Time) *Statistics { return &Statistics{store, now} }

// Fleet returns the period as it was meant, and its days on which anybody
// delivered anything. The error matches ErrBadPeriod, or is the storage's.
func (s *Statistics) Fleet(ctx context.Context, p Period) (Period, []Day, error) {
	p, err := s.whole(p)
	if err != nil {
		return p, nil, err
	}
	days, err := s.store.Fleet(ctx, p)
	return p, days, err
}

// Courier is Fleet for one courier; its error may be courier.ErrNotFound.
func (s *Statistics) Courier(ctx context.Context, id int64, p Period) (Period, []Day, error) {
	p, err := s.whole(p)
	if err != nil {
		return p, nil, err
	}
	days, err := s.store.Courier(ctx, id, p)
	return p, days, err
}

// Couriers returns the period as it was meant, and what each courier did in it: a
// page of Period.PageSize, and one more where there are more.
func (s *Statistics) Couriers(ctx context.Context, p Period, after int64, asked int) (Period, []OfCourier, error) {
	p, err := s.whole(p)
	if err != nil {
		return p, nil, err
	}
	couriers, err := s.store.Couriers(ctx, p, after, p.PageSize(asked)+1)
	return p, couriers, err
}

// Sum adds days up.
func Sum(days []Day) Figures {
	var sum Figures
	for _, d := range days {
		sum.add(d.Figures)
	}
	return sum
}

// whole returns p with what was left out, or why it cannot be answered.
func (s *Statistics) whole(p Period) (Period, error) {
	if p.To.IsZero() {
		p.To = s.now().UTC().Truncate(24 * time.Hour)
	}
	if p.From.IsZero() {
		p.From = p.To.AddDate(0, 0, 1-defaultDays)
	}
	switch days := p.days(); {
	case p.From.After(p.To):
		return p, fmt.Errorf("%w: it ends (%s) before it begins (%s)", ErrBadPeriod, p.To.Format(time.DateOnly), p.From.Format(time.DateOnly))
	case days > MaxDays:
		return p, fmt.Errorf("%w: %d days, at most %d can be asked for at once", ErrBadPeriod, days, MaxDays)
	}
	return p, nil
}

package statistics

import (
	"math"
	"time"
)

// Figures are what can be added up, of some deliveries. Times are in seconds.
type Figures struct {
	Deliveries   int64
	Late         int64   // completed after their deadline
	DeliveryTime float64 // in all, from assignment to completion
	Waits        int64   // those whose waiting time is known
	WaitingTime  float64 // of those in all, from when the order was first heard of to its assignment
	Histogram    Histogram
}

func (f *Figures) add(g Figures) {
	f.Deliveries += g.Deliveries
	f.Late += g.Late
	f.DeliveryTime += g.DeliveryTime
	f.Waits += g.Waits
	f.WaitingTime += g.WaitingTime
	for i := range f.Histogram {
		f.Histogram[i] += g.Histogram[i]
	}
}

// LateShare returns which part of the deliveries was late; false: there is none.
func (f Figures) LateShare() (float64, bool) {
	return float64(f.Late) / float64(f.Deliveries), f.Deliveries > 0
}

// AverageDelivery returns the mean delivery time in seconds; false: there is none.
func (f Figures) AverageDelivery() (float64, bool) {
	return f.DeliveryTime / float64(f.Deliveries), f.Deliveries > 0
}

// AverageWaiting returns the mean waiting time in seconds; false: none is known.
func (f Figures) AverageWaiting() (float64, bool) {
	return f.WaitingTime / float64(f.Waits), f.Waits > 0
}

// Histogram counts delivery times in buckets: the first ends at 10 s, each further
// one at 1.2 times the one before, the last (from 2 h 50 min) is open. The storage
// sorts them in, by the same bounds.
type Histogram [40]int64

const (
	firstBound = 10.0
	growth     = 1.2
)

// Bound returns where bucket i ends.
func Bound(i int) time.Duration {
	return time.Duration(firstBound * math.Pow(growth, float64(i)) * float64(time.Second))
}

// Quantile returns the delivery time in seconds that the share q of the deliveries
// did not exceed (the nearest-rank quantile), or false for an empty histogram. It
// answers the geometric middle of the bucket, so that it is at most 10 % off
// (the root of 1.2), but for the ends: up to 10 s it answers 10, and above the
// last bound that bound.
func (h Histogram) Quantile(q float64) (float64, bool) {
	var total int64
	for _, n := range h {
		total += n
	}
	if total <= 0 {
		return 0, false
	}
	rank := max(int64(math.Ceil(q*float64(total))), 1)
	i := 0
	for seen := h[0]; seen < rank; seen += h[i] {
		i++
	}
	switch i {
	case 0:
		return firstBound, true
	case len(h) - 1:
		return Bound(i - 1).Seconds(), true
	}
	return Bound(i).Seconds() / math.Sqrt(growth), true
}

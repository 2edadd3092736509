package statistics_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"service-courier/internal/usecase/statistics"
)

// fakeStore records its arguments.
type fakeStore struct {
	period statistics.Period
	limit  int
}

func (s *fakeStore) Days(_ context.Context, p statistics.Period) ([]statistics.Day, error) {
	s.period = p
	return nil, nil
}

func (s *fakeStore) Courier(_ context.Context, _ int64, p statistics.Period) ([]statistics.Day, error) {
	s.period = p
	return nil, nil
}

func (s *fakeStore) Couriers(_ context.Context, p statistics.Period, _ int64, limit int) ([]statistics.CourierFigures, error) {
	s.period, s.limit = p, limit
	return nil, nil
}

func day(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

// TestQuantileOfFewDeliveries: p95 is never below the mean of up to 19 deliveries, which the
// slowest one decides, and exact for one.
func TestQuantileOfFewDeliveries(t *testing.T) {
	for _, seconds := range []float64{0.5, 9, 100, 107, 1500, 9000, 20000, 1e6} {
		for n := range int64(19) {
			f := statistics.Figures{Deliveries: n + 1, DeliveryTime: seconds * float64(n+1)}
			f.Histogram[bucket(seconds)] = n + 1
			p95, ok := f.QuantileDelivery(0.95)
			if mean, _ := f.AverageDelivery(); !ok || p95 < mean {
				t.Errorf("%d deliveries of %v s: p95 %v, mean %v", n+1, seconds, p95, mean)
			}
		}
	}
	if _, ok := (statistics.Figures{}).QuantileDelivery(0.95); ok {
		t.Error("a p95 without a delivery")
	}
	one := statistics.Figures{Deliveries: 1, DeliveryTime: 75.2}
	one.Histogram[12] = 1 // whose middle is 81.4 s
	if p95, ok := one.QuantileDelivery(0.95); !ok || p95 != 75.2 {
		t.Errorf("one delivery of 75.2 s: p95 %v", p95)
	}
	slow := statistics.Figures{Deliveries: 100, DeliveryTime: 99*20 + 9000} // mean 110 s, p95 20 s
	slow.Histogram[bucket(20)], slow.Histogram[bucket(9000)] = 99, 1
	if p95, _ := slow.QuantileDelivery(0.95); p95 > 25 {
		t.Errorf("99 of 100 deliveries took 20 s: p95 %v", p95)
	}
}

func bucket(seconds float64) int {
	for i := range len(statistics.Histogram{}) - 1 {
		if seconds <= statistics.Bound(i).Seconds() {
			return i
		}
	}
	return len(statistics.Histogram{}) - 1
}

func TestPeriods(t *testing.T) {
	moscow := time.FixedZone("", 3*3600)
	now := func() time.Time { return time.Date(2026, 3, 1, 1, 0, 0, 0, moscow) } // 28 February in UTC
	tests := []struct{ from, to, wantFrom, wantTo string }{
		{"", "", "2026-01-30", "2026-02-28"},
		{"2026-02-01", "", "2026-02-01", "2026-02-28"},
		{"", "2026-01-30", "2026-01-01", "2026-01-30"},
		{"2025-01-01", "2026-01-01", "2025-01-01", "2026-01-01"}, // 366 days
		{"2025-01-01", "2026-01-02", "", ""},
		{"2026-02-02", "2026-02-01", "", ""},
		{"2026-03-01", "", "", ""}, // in the future
	}
	for _, tt := range tests {
		var p statistics.Period
		if tt.from != "" {
			p.From = day(tt.from)
		}
		if tt.to != "" {
			p.To = day(tt.to)
		}
		store := new(fakeStore)
		s := statistics.New(store, now)
		_, _, err := s.Days(t.Context(), p)
		_, _, errCourier := s.Courier(t.Context(), 1, p)
		got, _, errCouriers := s.Couriers(t.Context(), p, 0, 1)
		if tt.wantFrom == "" {
			for _, err := range []error{err, errCourier, errCouriers} {
				if !errors.Is(err, statistics.ErrBadPeriod) {
					t.Errorf("%v: err = %v, want ErrBadPeriod", tt, err)
				}
			}
			continue
		}
		want := statistics.Period{From: day(tt.wantFrom), To: day(tt.wantTo)}
		if err = errors.Join(err, errCourier, errCouriers); err != nil || store.period != want || got != want {
			t.Errorf("%v: read %v, returned %v, %v; want %v", tt, store.period, got, err, want)
		}
	}
}

// TestPageSizeOfLongPeriod: a page reads a limited number of days, of one courier more
// than it shows.
func TestPageSizeOfLongPeriod(t *testing.T) {
	for from, want := range map[string]int{"2026-01-30": 100, "2025-11-01": 100, "2025-10-31": 99, "2025-02-28": 32} {
		store := new(fakeStore)
		p, _, err := statistics.New(store, time.Now).Couriers(t.Context(), statistics.Period{From: day(from), To: day("2026-02-28")}, 0, 100)
		if got := p.PageSize(100); err != nil || got != want || store.limit != want+1 {
			t.Errorf("from %s: page size %d, read %d, %v; want %d and one more", from, got, store.limit, err, want)
		}
	}
}

// TestQuantileError: the p95 from the histogram is within 10 % of the exact one.
func TestQuantileError(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		sample := make([]float64, 1+random.IntN(200))
		var h statistics.Histogram
		for i := range sample {
			sample[i] = 10 * math.Pow(1000, random.Float64()) // 10 s to 2 h 46 min
			bucket := 0
			for statistics.Bound(bucket).Seconds() < sample[i] {
				bucket++
			}
			h[bucket]++
		}
		slices.Sort(sample)
		exact := sample[int(math.Ceil(0.95*float64(len(sample))))-1]
		if got, ok := h.Quantile(0.95); !ok || math.Abs(got/exact-1) > 0.1 {
			t.Fatalf("seed %d: %g, %t; the exact p95 of %d is %g", seed, got, ok, len(sample), exact)
		}
	}
}

func TestFigures(t *testing.T) {
	one := statistics.Figures{Deliveries: 2, Overdue: 1, DeliveryTime: 30, Waits: 1, WaitingTime: 4}
	one.Histogram[0] = 2
	sum := statistics.Sum([]statistics.Day{{Figures: one}, {Figures: one}})
	share, _ := sum.OverdueShare()
	average, _ := sum.AverageDelivery()
	waiting, _ := sum.AverageWaiting()
	p95, _ := sum.Histogram.Quantile(0.95)
	if got, want := [4]float64{share, average, waiting, p95}, [4]float64{0.5, 15, 4, 10}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
	var none statistics.Figures
	_, a := none.OverdueShare()
	_, b := none.AverageDelivery()
	_, c := none.AverageWaiting()
	_, d := none.Histogram.Quantile(0.95)
	if a || b || c || d {
		t.Error("values without a delivery")
	}
	none.Histogram[len(none.Histogram)-1] = 1
	if p95, _ := none.Histogram.Quantile(0.95); p95 < 10000 || p95 > 10500 {
		t.Errorf("quantile of the open bucket %g", p95)
	}
}

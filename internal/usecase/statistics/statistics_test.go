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

// asked keeps what the store was asked for.
type asked struct {
	period statistics.Period
	limit  int
}

func (a *asked) Fleet(_ context.Context, p statistics.Period) ([]statistics.Day, error) {
	a.period = p
	return nil, nil
}

func (a *asked) Courier(_ context.Context, _ int64, p statistics.Period) ([]statistics.Day, error) {
	a.period = p
	return nil, nil
}

func (a *asked) Couriers(_ context.Context, p statistics.Period, _ int64, limit int) ([]statistics.OfCourier, error) {
	a.period, a.limit = p, limit
	return nil, nil
}

func day(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
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
		{"2026-03-01", "", "", ""}, // not begun yet
	}
	for _, tt := range tests {
		var p statistics.Period
		if tt.from != "" {
			p.From = day(tt.from)
		}
		if tt.to != "" {
			p.To = day(tt.to)
		}
		store := new(asked)
		s := statistics.New(store, now)
		_, _, err := s.Fleet(t.Context(), p)
		_, _, errCourier := s.Courier(t.Context(), 1, p)
		told, _, errCouriers := s.Couriers(t.Context(), p, 0, 1)
		if tt.wantFrom == "" {
			for _, err := range []error{err, errCourier, errCouriers} {
				if !errors.Is(err, statistics.ErrBadPeriod) {
					t.Errorf("%v: err = %v, want ErrBadPeriod", tt, err)
				}
			}
			continue
		}
		want := statistics.Period{From: day(tt.wantFrom), To: day(tt.wantTo)}
		if err = errors.Join(err, errCourier, errCouriers); err != nil || store.period != want || told != want {
			t.Errorf("%v: asked for %v, told %v, %v; want %v", tt, store.period, told, err, want)
		}
	}
}

// TestPageOfALongPeriodIsShort: what a page reads is bounded; one courier more tells
// whether there is another page.
func TestPageOfALongPeriodIsShort(t *testing.T) {
	for from, want := range map[string]int{"2026-01-30": 100, "2025-11-01": 100, "2025-10-31": 99, "2025-02-28": 32} {
		store := new(asked)
		p, _, err := statistics.New(store, time.Now).Couriers(t.Context(), statistics.Period{From: day(from), To: day("2026-02-28")}, 0, 100)
		if got := p.PageSize(100); err != nil || got != want || store.limit != want+1 {
			t.Errorf("from %s: a page of %d, asked for %d, %v; want %d and one more", from, got, store.limit, err, want)
		}
	}
}

// TestQuantileError: of any sample between the ends, the p95 from the histogram is
// within 10 % of the exact one.
func TestQuantileError(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's
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
	one := statistics.Figures{Deliveries: 2, Late: 1, DeliveryTime: 30, Waits: 1, WaitingTime: 4}
	one.Histogram[0] = 2
	sum := statistics.Sum([]statistics.Day{{Figures: one}, {Figures: one}})
	share, _ := sum.LateShare()
	average, _ := sum.AverageDelivery()
	waiting, _ := sum.AverageWaiting()
	p95, _ := sum.Histogram.Quantile(0.95)
	if got, want := [4]float64{share, average, waiting, p95}, [4]float64{0.5, 15, 4, 10}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
	var none statistics.Figures
	_, a := none.LateShare()
	_, b := none.AverageDelivery()
	_, c := none.AverageWaiting()
	_, d := none.Histogram.Quantile(0.95)
	if a || b || c || d {
		t.Error("figures of no delivery")
	}
	none.Histogram[len(none.Histogram)-1] = 1
	if p95, _ := none.Histogram.Quantile(0.95); p95 < 10000 || p95 > 10500 {
		t.Errorf("the open bucket is answered by %g", p95)
	}
}

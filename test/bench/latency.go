package main

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/jackc/pgx/v5"
)

// latency is how long something took, in ms.
type latency struct {
	Rate int     `json:"per_second"` // events, steady; 0: one after the other
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	Max  float64 `json:"max_ms"`
}

// newHistogram counts times of 1 µs to 1 min with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Minute.Microseconds(), 3)
}

func summary(h *hdrhistogram.Histogram, rate int) latency {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return latency{rate, ms(h.ValueAtQuantile(50)), ms(h.ValueAtQuantile(99)), ms(h.Max())}
}

func record(h *hdrhistogram.Histogram, took time.Duration) error {
	return h.RecordValue(max(1, min(took.Microseconds(), h.HighestTrackableValue())))
}

// steadyLoad is a load of so many events a second for so long, one an order.
type steadyLoad struct{ rate, seconds int }

// leadIn is how many seconds of a steady load come before it is measured: a
// service that has just started has its connections to open and statements to
// prepare.
const leadIn = 3

func (l steadyLoad) lead() int   { return l.rate * leadIn }
func (l steadyLoad) orders() int { return l.lead() + l.rate*l.seconds }

// steady measures from the moment when each event was due to be produced until
// the COMMIT that gave its order a courier, as PostgreSQL has noted it
// (track_commit_timestamp), under a steady rate.
func (s *stack) steady(ctx context.Context, pace steadyLoad, r orderRange, bar *progress) (out latency, err error) {
	name := fmt.Sprintf("%d a second", pace.rate)
	due := make(map[string]time.Time, r.len())
	l := load{name: name, events: r.len(), journal: 2 * r.len()}
	l.drive = func(ctx context.Context) error {
		times, err := s.publishSteadily(ctx, topic, r, pace.rate)
		for i := pace.lead(); i < len(times); i++ {
			due[orderID(r.from+i)] = times[i]
		}
		return err
	}
	if _, err := l.run(ctx, s, bar); err != nil {
		return out, err
	}
	h := newHistogram()
	rows, err := s.pool.Query(ctx, "select order_id, pg_xact_commit_timestamp(xid::xid) from journal where what = 'assigned'")
	if err != nil {
		return out, fmt.Errorf("times of COMMIT: %w", err)
	}
	var id string
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		began, ours := due[id]
		if !ours {
			return nil
		}
		return record(h, at.Sub(began))
	})
	if err == nil && h.TotalCount() != int64(len(due)) {
		err = fmt.Errorf("%d of %d orders have one", h.TotalCount(), len(due))
	}
	if err != nil {
		return out, fmt.Errorf("times of COMMIT: %w", err)
	}
	return summary(h, pace.rate), nil
}

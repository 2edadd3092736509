package metrics_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/metrics"
	"service-courier/internal/usecase/orderevent"
)

// slow answers a fetch after the given time.
type slow struct{ takes time.Duration }

func (s *slow) Get(context.Context, courier.OrderID) (order.Order, error) {
	time.Sleep(s.takes) //nolint:forbidigo // the clock of synctest
	return order.Order{}, nil
}

// TestHistory: a sample has the rates and the percentiles of its own interval alone, and
// what is unknown is absent, not 0. The history never has more than 15 minutes.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New()
		h := metrics.NewHistory(m)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.Run(ctx)
		synctest.Wait()
		next := func() metrics.Sample {
			time.Sleep(5 * time.Second) //nolint:forbidigo // the clock of synctest
			synctest.Wait()
			all := h.Samples()
			return all[len(all)-1]
		}

		s := next()
		if s.Events != 0 || s.Lag != nil || s.FetchP50 != nil || s.CommitP99 != nil {
			t.Errorf("nothing happened: %+v", s)
		}

		backend := &slow{30 * time.Millisecond}
		client := m.MeasureFetches("http", backend)
		m.Saved(100)
		m.Matched(make([]orderevent.Assignment, 20))
		m.SetActiveOrders(orderevent.ActiveOrders{Waiting: 7})
		m.Claimed(0, func() (int64, bool) { return 4, true })
		m.Claimed(1, func() (int64, bool) { return 0, false })
		for range 10 {
			_, _ = client.Get(ctx, "o")
		}
		_, end := m.Begin(ctx, orderevent.PhaseCommit)
		time.Sleep(7 * time.Second) //nolint:forbidigo // the clock of synctest
		end(1, nil)
		synctest.Wait()
		first := h.Samples()[1]
		s = next()
		if math.Abs(first.Events-20) > 0.01 || math.Abs(first.Assignments-4) > 0.01 || first.Lag == nil || *first.Lag != 4 || first.WaitingOrders != 7 {
			t.Errorf("after 100 events and 20 assignments in 5 s: %+v", first)
		}
		if p := first.FetchP50; p == nil || *p < 25*time.Millisecond || *p > 50*time.Millisecond || *first.FetchP99 < *p {
			t.Errorf("ten fetches of 30 ms: p50 %v, p99 %v", first.FetchP50, first.FetchP99)
		}
		if s.Events != 0 || s.FetchP50 != nil {
			t.Errorf("the next interval includes those before: %+v", s)
		}
		if p := s.CommitP50; p == nil || *p != 5*time.Second {
			t.Errorf("a COMMIT longer than the last bucket: %v, want its bound", p)
		}

		time.Sleep(time.Hour) //nolint:forbidigo // the clock of synctest
		synctest.Wait()
		all := h.Samples()
		if len(all) != 180 || all[179].At.Sub(all[0].At) != 15*time.Minute-5*time.Second || time.Since(all[179].At) > 5*time.Second {
			t.Errorf("after an hour: %d samples from %v to %v", len(all), all[0].At, all[len(all)-1].At)
		}
	})
}

package worker

import (
	"context"
	"log/slog"
	"time"

	"service-courier/internal/usecase/orderevent"
)

const (
	monitorInterval = 5 * time.Second
	// longMissing is longer than a transient 404 lasts.
	longMissing = time.Minute
	// longWait is when more couriers are needed.
	longWait = 10 * time.Minute
)

// ActiveOrders reads and stores what Monitor needs.
type ActiveOrders interface {
	// ActiveOrders counts the active orders.
	ActiveOrders(ctx context.Context) (orderevent.ActiveOrders, error)
	// RecordStateLost stores that most active orders are missing now.
	RecordStateLost(ctx context.Context) error
}

// Monitor passes the state of the active orders to observe, and logs the start and the
// end of each condition that needs action. The loss of service-order's state is stored, so
// that neither new orders nor a restart end it.
func Monitor(orders ActiveOrders, observe func(orderevent.ActiveOrders), log *slog.Logger) Task {
	var m monitor
	return Task{Name: "monitor", Interval: monitorInterval, Run: func(ctx context.Context) error {
		s, err := orders.ActiveOrders(ctx)
		if err != nil {
			return err
		}
		if s.MostMissing() {
			err = orders.RecordStateLost(ctx)
		}
		observe(s)
		m.report(ctx, log, s)
		return err
	}}
}

// monitor holds which conditions are logged as begun.
type monitor struct{ stateLost, missing, waiting bool }

func (m *monitor) report(ctx context.Context, log *slog.Logger, s orderevent.ActiveOrders) {
	switch began, ended := change(&m.stateLost, s.StateLost()); {
	case began && s.Lost > 0: // before the start, or another replica has logged it
		log.WarnContext(ctx, "orders still missing since service-order lost its state", slog.Int("missing", s.Missing), slog.String("oldest", rounded(s.MissingOldest)))
		m.missing = true
	case began:
		log.WarnContext(ctx, "service-order lost its state", slog.Int("missing", s.Missing), slog.Int("active", s.Active))
	case ended:
		log.InfoContext(ctx, "orders lost by service-order found or ended", slog.Int("missing", s.Missing))
	}
	switch began, ended := change(&m.missing, s.MissingOldest > longMissing || m.missing && s.Missing > 0); {
	case began:
		log.WarnContext(ctx, "active orders missing in service-order", slog.Int("missing", s.Missing), slog.String("oldest", rounded(s.MissingOldest)))
	case ended:
		log.InfoContext(ctx, "no active orders missing in service-order")
	}
	switch began, ended := change(&m.waiting, s.WaitingOldest > longWait); {
	case began:
		log.WarnContext(ctx, "orders waiting too long for a courier", slog.Int("waiting", s.Waiting), slog.String("oldest", rounded(s.WaitingOldest)))
	case ended:
		log.InfoContext(ctx, "no orders waiting too long for a courier", slog.Int("waiting", s.Waiting))
	}
}

// change sets *was to now and reports whether that begins or ends the condition.
func change(was *bool, now bool) (began, ended bool) {
	began, ended = now && !*was, *was && !now
	*was = now
	return began, ended
}

func rounded(d time.Duration) string { return d.Round(time.Second).String() }

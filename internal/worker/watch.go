package worker

import (
	"context"
	"log/slog"
	"time"

	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
)

const (
	// watchEvery is how old what the metrics say of the open orders may be.
	watchEvery = 5 * time.Second
	// longMissing is longer than a 404 is given to pass, and longWait is when
	// somebody should think of more couriers.
	longMissing = time.Minute
	longWait    = 10 * time.Minute
)

// Standing reads how the open orders stand.
type Standing interface {
	Standing(ctx context.Context) (orderevent.Standing, error)
}

// StandingObserver is told what was read, for the metrics.
type StandingObserver interface {
	Stand(s orderevent.Standing)
}

// Watch tells the observer how the open orders stand, at once and every so often
// until ctx ends, on every replica alike. What somebody has to do something about
// is said in the log too, once when it begins and once when it is over.
func Watch(ctx context.Context, standing Standing, observer StandingObserver, log *slog.Logger) {
	failing := outage.New(log, "reading how the orders stand")
	alarms := newAlarms(log)
	timer := time.NewTicker(watchEvery)
	defer timer.Stop()
	for {
		s, err := standing.Standing(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failing.Failed(ctx, err)
		default:
			failing.Works(ctx)
			observer.Stand(s)
			alarms.look(ctx, s)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// alarms are said once each.
type alarms struct {
	log                       *slog.Logger
	amnesia, missing, waiting bool // what has been said
}

func newAlarms(log *slog.Logger) *alarms { return &alarms{log: log} }

func (a *alarms) look(ctx context.Context, s orderevent.Standing) {
	switch {
	case turns(&a.amnesia, s.Amnesia()):
		a.log.WarnContext(ctx, "service-order seems to have lost its memory: it has none of many open orders; no courier is freed for it",
			slog.Int("missing", s.Missing), slog.Int("open", s.Open))
	case ends(&a.amnesia, s.Amnesia()):
		a.log.InfoContext(ctx, "service-order has most open orders again, or they have ended",
			slog.Int("missing", s.Missing))
	}
	long := s.MissingOldest > longMissing
	switch {
	case turns(&a.missing, long):
		a.log.WarnContext(ctx, "service-order has lost open orders; nothing but a person frees their couriers",
			slog.Int("missing", s.Missing), slog.String("oldest", s.MissingOldest.Round(time.Second).String()))
	case ends(&a.missing, s.Missing > 0):
		a.log.InfoContext(ctx, "no open order is missing any more")
	}
	switch {
	case turns(&a.waiting, s.WaitingOldest > longWait):
		a.log.WarnContext(ctx, "orders wait long for a courier",
			slog.Int("waiting", s.Waiting), slog.String("oldest", s.WaitingOldest.Round(time.Second).String()))
	case ends(&a.waiting, s.WaitingOldest > longWait):
		a.log.InfoContext(ctx, "no order waits long for a courier any more", slog.Int("waiting", s.Waiting))
	}
}

// turns reports that what was not said becomes true, and remembers it.
func turns(said *bool, now bool) bool {
	begins := now && !*said
	*said = *said || now
	return begins
}

// ends reports that what was said is true no more, and forgets it.
func ends(said *bool, now bool) bool {
	over := *said && !now
	*said = *said && now
	return over
}

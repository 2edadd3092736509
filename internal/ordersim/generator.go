package ordersim

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// maxLag is how much a generator makes up for: after a laptop's sleep it does
// not send all the orders of the night at once.
const maxLag = time.Second

// defaultUser owns what the simulator makes itself, so that anyone may change
// it with X-Bypass-Auth: true.
const defaultUser = "default-user"

// startTraffic arms the generators that Config asks for.
func (s *Sim) startTraffic() {
	singles := draw(s.cfg.Seed, streamArrivals, 0)
	if s.cfg.Every > 0 {
		s.repeat(time.Now(), func() time.Duration { return pause(singles, s.cfg.Every) }, s.generate)
	}
	bursts := draw(s.cfg.Seed, streamArrivals, 1)
	if s.cfg.BurstEvery > 0 {
		// From two to four thirds of the mean: never two at once, never long none.
		wait := func() time.Duration { return time.Duration((2 + 2*bursts.Float64()) / 3 * float64(s.cfg.BurstEvery)) }
		s.repeat(time.Now(), wait, func() { s.burst(bursts) })
	}
}

// repeat does something again and again. The pauses count from the planned
// time, not from the end of the work: so the rate holds.
func (s *Sim) repeat(last time.Time, wait func() time.Duration, do func()) {
	if oldest := time.Now().Add(-maxLag); last.Before(oldest) {
		last = oldest
	}
	next := last.Add(wait())
	s.timers.at(next, func() {
		do()
		s.repeat(next, wait, do)
	})
}

// burst sends its orders a fraction of a second apart.
func (s *Sim) burst(r *rand.Rand) {
	when := time.Now()
	for range s.cfg.BurstMin + r.IntN(s.cfg.BurstMax-s.cfg.BurstMin+1) {
		s.timers.at(when, s.generate)
		when = when.Add(time.Duration(200+r.IntN(600)) * time.Millisecond)
	}
}

// generate creates the next order of the seed's sequence. An id that is taken
// is one of an earlier run with the same seed, read from the state file.
func (s *Sim) generate() {
	s.generated++
	r := s.plan(s.generated)
	for s.store.get(r.ID) != nil {
		s.generated++
		r = s.plan(s.generated)
	}
	if err := s.add(r); err != nil {
		s.log.Error("order not generated", slog.Any("error", err))
	}
}

// plan decides everything about the n-th generated order before it exists, so
// that nothing that happens meanwhile changes the decisions.
func (s *Sim) plan(n uint64) *record {
	r := draw(s.cfg.Seed, streamGenerated, n)
	rec := &record{Order: sample(r, time.Now().UTC(), s.cfg.Steps)}
	rec.OrderNumber = fmt.Sprintf("A-%06d", n)
	rec.Pace = 1 + s.cfg.Jitter*(2*r.Float64()-1)
	cancelled, at := r.Float64() < s.cfg.CancelShare, r.Float64()
	if cancelled {
		life := s.cfg.Steps.life()
		if life == Never {
			life = DefaultSteps().life()
		}
		rec.CancelAt = rec.CreatedAt.Add(stretch(life, at*rec.Pace))
	}
	return rec
}

// madeUp returns the next order created from outside, with made-up contents.
func (s *Sim) madeUp(user, status string) *record {
	r := &record{Pace: 1}
	for r.ID == "" || s.store.get(r.ID) != nil {
		luck := draw(s.cfg.Seed, streamAPI, s.drawn.Add(1))
		r.Order = sample(luck, time.Now().UTC(), s.cfg.Steps)
	}
	r.UserID, r.Status = user, status
	return r
}

package orderevent

import (
	"time"

	"service-courier/internal/courier"
)

// maxRechecks bounds the rechecks of an order whose answer is 404, or a lower class than
// an event stated; with boundedDelays they take about 30 s.
const maxRechecks = 5

var boundedDelays = [maxRechecks]time.Duration{
	1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second,
}

// The back-off of rechecks that are not bounded.
const (
	minBackoff = time.Second
	maxBackoff = 10 * time.Minute
)

// backoff returns the delay after the nth consecutive failure: 1 s, 2 s, 4 s … 10 min.
func backoff(failures int) time.Duration {
	const doublings = 10 // 1 s · 2^10 exceeds maxBackoff
	return min(minBackoff<<min(failures-1, doublings), maxBackoff)
}

// ownsRecheck reports whether the observation belongs to the pending recheck. Only
// then may it clear the recheck: a newer hint may have scheduled another one.
func (obs observation) ownsRecheck(o Order) bool {
	return obs.token != 0 && obs.token == o.Recheck.Token
}

// needsNoRecheck reports whether the observation schedules nothing, since the order is
// fetched again anyway: by the next resync, by the newer recheck, or by the caller of
// the command. An order that the resync found and that has no row needs a recheck: the
// next resync may begin after it.
func (obs observation) needsNoRecheck(o Order) bool {
	foundByResync := !obs.command && obs.token == 0 && o.State == courier.StateNone
	return !obs.event && !obs.ownsRecheck(o) && !foundByResync
}

// progress returns the pending recheck, or the start of a new one for an event.
func (obs observation) progress(o Order) Recheck {
	if obs.event {
		return Recheck{}
	}
	return o.Recheck
}

// scheduleBounded schedules one of the bounded rechecks. When they are used up, it
// returns false and clears the recheck and a completed hint: the answer stands. The
// cancel hint stays.
func scheduleBounded(o *Order, obs observation, reason Reason) bool {
	count := obs.progress(*o).Count
	if count >= maxRechecks {
		o.Recheck = Recheck{}
		if o.Hinted == courier.ClassCompleted {
			o.Hinted = courier.ClassUnknown
		}
		return false
	}
	o.Recheck = Recheck{Reason: reason, Count: count + 1, In: boundedDelays[count]}
	return true
}

// scheduleUnbounded schedules a recheck that repeats until it is answered.
func scheduleUnbounded(o *Order, obs observation, reason Reason, problem string) {
	previous := obs.progress(*o)
	o.Recheck = Recheck{
		Reason: reason, Count: previous.Count, Failures: previous.Failures + 1,
		Error: problem, In: backoff(previous.Failures + 1),
	}
}

// resolveEventClass compares the class of an answer with what events stated. When an
// event stated a higher class, it may be ahead of service-order: a recheck is scheduled.
// Otherwise the observation clears the recheck it owns.
func resolveEventClass(o *Order, obs observation, answered courier.Class) Outcome {
	stated := obs.eventClass
	if obs.ownsRecheck(*o) {
		stated = max(stated, o.Hinted)
	}
	if o.Hinted <= o.State.Class() {
		o.Hinted = courier.ClassUnknown
	}
	switch {
	case stated > max(answered, o.State.Class()):
		if scheduleBounded(o, obs, ReasonAhead) {
			return Deferred
		}
		return Ignored
	case obs.ownsRecheck(*o):
		o.Recheck = Recheck{}
	}
	return Unchanged
}

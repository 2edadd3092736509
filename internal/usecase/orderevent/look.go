package orderevent

import (
	"time"

	"service-courier/internal/courier"
)

// maxLooks bounds the looks at an order that answers 404 or less than an
// event claimed; with boundedDelays they take about 30 s.
const maxLooks = 5

var boundedDelays = [maxLooks]time.Duration{
	1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second,
}

// The back-off of looks that are never given up.
const (
	minBackoff = time.Second
	maxBackoff = 10 * time.Minute
)

// backoff returns the delay after the nth failure in a row: 1 s, 2 s, 4 s … 10 min.
func backoff(failures int) time.Duration {
	const doublings = 10 // 1 s · 2^10 is beyond maxBackoff
	return min(minBackoff<<min(failures-1, doublings), maxBackoff)
}

// passing reports a sighting that needs no look of its own, since somebody
// will look again anyway: the next sweep, or whoever took over a claimed look.
// An order that the sweep found and that has no record yet is not among them:
// the next sweep may look at later orders only.
func (s sighting) passing(rec Record) bool {
	found := !s.asked && s.token == 0 && rec.State == courier.StateNone
	return !s.fresh && !s.holdsLook(rec) && !found
}

// progress returns how far the pending look has come, or nothing when a hint
// from outside begins it anew.
func (s sighting) progress(rec Record) Look {
	if s.fresh {
		return Look{}
	}
	return rec.Look
}

// lookAFewTimes schedules one of the bounded looks. It returns false when
// they are used up: then the look is cleared, and so is a hint that the order
// was completed (the GET stands). The cancel hint stays.
func lookAFewTimes(rec *Record, s sighting, why Reason) bool {
	done := s.progress(*rec).Count
	if done >= maxLooks {
		rec.Look = Look{}
		if rec.Hinted == courier.ClassCompleted {
			rec.Hinted = courier.ClassUnknown
		}
		return false
	}
	rec.Look = Look{Reason: why, Count: done + 1, In: boundedDelays[done]}
	return true
}

// lookForEver schedules a look that is repeated until it is answered.
func lookForEver(rec *Record, s sighting, why Reason, problem string) {
	was := s.progress(*rec)
	rec.Look = Look{
		Reason: why, Count: was.Count, Failures: was.Failures + 1,
		Error: problem, In: backoff(was.Failures + 1),
	}
}

// settle ends a look that was answered with a status, of class truth. When an
// event claimed more than that, the event may be ahead of the truth, and the
// order is looked at again.
func settle(rec *Record, s sighting, truth courier.Class) Disposition {
	expected := s.said
	if s.holdsLook(*rec) {
		expected = max(expected, rec.Hinted)
	}
	if rec.Hinted <= rec.State.Class() {
		rec.Hinted = courier.ClassUnknown
	}
	switch {
	case expected > max(truth, rec.State.Class()):
		if lookAFewTimes(rec, s, ReasonAhead) {
			return Deferred
		}
		return Ignored
	case s.holdsLook(*rec):
		rec.Look = Look{}
	}
	return Unchanged
}

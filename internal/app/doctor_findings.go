package app

import (
	"context"
	"fmt"
	"time"

	"service-courier/internal/doctor"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// versionFinding is about the server's version; over is that of TLS, "" in the
// clear.
func versionFinding(number int, name, over string) doctor.Finding {
	if number/10000 < oldestPostgreSQL {
		return doctor.Failure(checkPostgreSQL, "it is version "+name, fmt.Sprintf("the service needs %d or newer", oldestPostgreSQL))
	}
	way := "in the clear"
	if over != "" {
		way = "over " + over
	}
	return doctor.Okay(checkPostgreSQL, fmt.Sprintf("answers, version %s, %s", name, way))
}

// maxClockOffset is harmless: due times go by PostgreSQL's clock alone, and only
// log lines and durations beside it go by this machine's.
const maxClockOffset = time.Second

// clockFinding is about how far PostgreSQL's clock is ahead, known no better
// than half the time that its answer took.
func clockFinding(ahead, took time.Duration) doctor.Finding {
	if ahead.Abs() <= maxClockOffset+took/2 {
		return doctor.Okay(checkClock, "PostgreSQL's and this machine's agree within "+roughly(maxClockOffset+took/2))
	}
	word := "ahead of"
	if ahead < 0 {
		word = "behind"
	}
	return doctor.Warning(checkClock, fmt.Sprintf("PostgreSQL's is %s %s this machine's", roughly(ahead.Abs()), word),
		"synchronise both; the service goes by PostgreSQL's, logs and people by their own")
}

const mostShown = 5

// indexesFinding says how to mend what was left half built.
func indexesFinding(halfBuilt []string) doctor.Finding {
	if len(halfBuilt) == 0 {
		return doctor.Okay(checkIndexes, "all are whole")
	}
	f := doctor.Warning(checkIndexes, fmt.Sprintf("%d half built: they take every write and answer nothing", len(halfBuilt)),
		"run these, beside the service or not")
	for _, name := range halfBuilt {
		f = f.With("REINDEX INDEX CONCURRENTLY " + name + ";")
	}
	return f
}

// invariantsFinding names each broken promise with the first who break it.
func invariantsFinding(violations []postgres.Violation) doctor.Finding {
	if len(violations) == 0 {
		return doctor.Okay(checkInvariants, "every promise holds")
	}
	f := doctor.Failure(checkInvariants, fmt.Sprintf("%d broken", len(violations)),
		"if it is only waiting beside a free courier: see that serve runs; else keep the database as it is and report it, "+
			"for the service never leaves it so")
	for _, v := range violations[:min(len(violations), mostShown)] {
		f = f.With(v.Promise + ": " + v.Who)
	}
	if left := len(violations) - mostShown; left > 0 {
		f = f.With(fmt.Sprintf("and %d more", left))
	}
	return f
}

// longWait is when somebody should think of more couriers.
const longWait = 10 * time.Minute

func lineFinding(s postgres.LineState) doctor.Finding {
	detail := fmt.Sprintf("%d wait, %d of %d couriers are free", s.Waiting.Count, s.Free, s.Couriers)
	if s.Waiting.Count > 0 {
		detail = fmt.Sprintf("%d wait, the oldest for %s; %d of %d couriers are free", s.Waiting.Count, roughly(s.Waiting.Oldest), s.Free, s.Couriers)
	}
	switch {
	case s.Couriers == 0:
		return doctor.Warning(checkLine, detail, "register couriers: POST /courier")
	case s.Waiting.Oldest > longWait:
		return doctor.Warning(checkLine, detail, "more couriers, or see whether some are busy with missing orders")
	}
	return doctor.Okay(checkLine, detail)
}

func missingFinding(s orderevent.Standing) doctor.Finding {
	if s.Missing == 0 {
		return doctor.Okay(checkMissing, "none")
	}
	return doctor.Warning(checkMissing,
		fmt.Sprintf("service-order has none of %d open orders, the oldest for %s", s.Missing, roughly(s.MissingOldest)),
		"docs/runbook.md, missing orders: nothing frees their couriers by itself")
}

func lettersFinding(b postgres.Backlog) doctor.Finding {
	if b.Count == 0 {
		return doctor.Okay(checkDeadLetters, "none waits")
	}
	return doctor.Warning(checkDeadLetters, fmt.Sprintf("%d wait for a person, the oldest for %s", b.Count, roughly(b.Oldest)),
		"service-courier deadletters list")
}

// Looks that are due are claimed within a second; those looked at in vain so
// often are not about to get better.
const (
	looksLate    = 15 * time.Second
	looksInVain  = 3
	mendLateLook = "see that serve runs; while service-order is down for everybody nothing is looked at"
	mendVainLook = "see why service-order answers so about these orders; they are asked for again by themselves"
)

// looksFinding lists the worst, whatever the status, when there are any.
func looksFinding(ctx context.Context, health *postgres.Health) (doctor.Finding, error) {
	pending, due, err := health.Looks(ctx)
	if err != nil || pending == 0 {
		return doctor.Okay(checkLooks, "no order is to be looked at again"), err
	}
	worst, err := health.WorstLooks(ctx, mostShown)
	if err != nil {
		return doctor.Finding{}, err
	}
	f := doctor.Okay(checkLooks, fmt.Sprintf("orders to look at again: %d, due now: %d", pending, due.Count))
	switch {
	case due.Oldest > looksLate:
		f = doctor.Warning(checkLooks, fmt.Sprintf("%s, the first for %s", f.Detail, roughly(due.Oldest)), mendLateLook)
	case worst[0].Attempts >= looksInVain:
		f = doctor.Warning(checkLooks, f.Detail, mendVainLook)
	}
	for _, l := range worst {
		line := fmt.Sprintf("%s (%s): %s, %d attempts", l.OrderID, l.State, l.Reason, l.Attempts)
		if l.Error != "" {
			line += ", " + l.Error
		}
		f = f.With(line)
	}
	return f, nil
}

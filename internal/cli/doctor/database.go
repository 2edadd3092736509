package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/config"
	"service-courier/internal/outage"
	"service-courier/internal/storage/postgres"
)

// The checks of the database.
const (
	checkPostgreSQL  = "postgresql"
	checkClock       = "clock"
	checkSchema      = "schema"
	checkIndexes     = "indexes"
	checkInvariants  = "invariants"
	checkQueue       = "waiting orders"
	checkMissing     = "missing orders"
	checkRechecks    = "rechecks"
	checkDeadLetters = "dead letters"
)

const (
	minPostgreSQL = 15 // the oldest version that the statements support
	mostShown     = 5  // rows listed below a finding

	// maxClockOffset raises no warning. A larger offset does no harm either, since due
	// times use PostgreSQL's clock only, but makes logs hard to compare.
	maxClockOffset = time.Second
	// longWait suggests that there are too few couriers.
	longWait = 10 * time.Minute
	// maxRecheckDelay is far above the second in which a due recheck is claimed.
	maxRecheckDelay = 15 * time.Second
	// manyAttempts suggest that a recheck will not succeed by itself.
	manyAttempts = 3
)

// checkDatabase runs one check after another, each with its own timeout. It skips
// the checks that need an absent server or schema.
func checkDatabase(ctx context.Context, cfg config.Config) []Finding {
	rest := []string{checkClock, checkSchema, checkIndexes, checkInvariants, checkQueue, checkMissing, checkRechecks, checkDeadLetters}
	absent := func(f ...Finding) []Finding {
		return append(f, unknown("depends on "+checkPostgreSQL, rest...)...)
	}
	if cfg.CheckDatabaseURL() != nil { // connecting could use a default server, or send a part of the password to DNS
		return absent(unknown(dependsOnSettings, checkPostgreSQL)...)
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, 1)
	if err != nil {
		return absent(failure(checkPostgreSQL, "not checked: DATABASE_URL is invalid", "set it to postgres://user:password@host:5432/database"))
	}
	defer pool.Close()
	server, clock, answers := serverFindings(ctx, postgres.NewHealth(pool))
	if !answers {
		return absent(server)
	}
	if server.Status == OK {
		server = within(ctx, checkPostgreSQL, func(ctx context.Context) (Finding, error) { return server, postgres.CheckWritable(ctx, pool) })
	}
	schema := within(ctx, checkSchema, func(ctx context.Context) (Finding, error) {
		err := postgres.CheckSchema(ctx, pool)
		if f, ok := errors.AsType[outage.Fixable](err); ok && errors.Is(err, postgres.ErrSchema) {
			return failure(checkSchema, f.Err.Error(), f.Fix), nil
		}
		return okay(checkSchema, "up to date"), err
	})
	findings := []Finding{server, clock, schema}
	if schema.Status != OK {
		return append(findings, unknown("depends on "+checkSchema, rest[2:]...)...)
	}
	return append(findings, checkTables(ctx, pool)...)
}

func checkTables(ctx context.Context, pool *pgxpool.Pool) []Finding {
	health := postgres.NewHealth(pool)
	return []Finding{
		within(ctx, checkIndexes, func(ctx context.Context) (Finding, error) {
			invalid, err := postgres.InvalidIndexes(ctx, pool)
			return indexesFinding(invalid), err
		}),
		within(ctx, checkInvariants, func(ctx context.Context) (Finding, error) {
			violations, err := postgres.CheckInvariants(ctx, pool)
			return invariantsFinding(violations), err
		}),
		within(ctx, checkQueue, func(ctx context.Context) (Finding, error) {
			queue, err := health.Queue(ctx)
			return queueFinding(queue), err
		}),
		within(ctx, checkMissing, func(ctx context.Context) (Finding, error) {
			active, err := health.ActiveOrders(ctx)
			return missingFinding(active.Missing, active.MissingOldest, active.StateLost()), err
		}),
		within(ctx, checkRechecks, func(ctx context.Context) (Finding, error) { return rechecksFinding(ctx, health) }),
		within(ctx, checkDeadLetters, func(ctx context.Context) (Finding, error) {
			pending, err := health.DeadLetters(ctx)
			return deadLettersFinding(pending), err
		}),
	}
}

// within runs a check with a timeout. A timeout is only a warning: the database may
// be large, and has answered before.
func within(ctx context.Context, check string, run func(context.Context) (Finding, error)) Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	f, err := run(ctx)
	switch {
	case err == nil:
		return f
	case ctx.Err() != nil:
		return warning(check, fmt.Sprintf("not known: it took longer than %v", checkTimeout), "check again when PostgreSQL is less busy")
	default:
		return failureOf(check, err, "see the log of PostgreSQL")
	}
}

// serverFindings reads version and clock together, since comparing the clocks needs
// the time of the request.
func serverFindings(ctx context.Context, health *postgres.Health) (server, clock Finding, answers bool) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	failed := func(err error) (Finding, Finding, bool) {
		return failureOf(checkPostgreSQL, err, postgres.FixAbsent), Finding{}, false
	}
	if _, _, _, err := health.Server(ctx); err != nil { // the first request also connects, which takes longer
		return failed(err)
	}
	sent := time.Now()
	number, name, now, err := health.Server(ctx)
	if err != nil {
		return failed(err)
	}
	took := time.Since(sent)
	tls, err := health.TLS(ctx)
	if err != nil {
		return failed(err)
	}
	return versionFinding(number, name, tls), clockFinding(now.Sub(sent.Add(took/2)), took), true
}

// versionFinding gets the TLS version; "" without TLS.
func versionFinding(number int, name, tls string) Finding {
	if number/10000 < minPostgreSQL {
		return failure(checkPostgreSQL, "version "+name, fmt.Sprintf("upgrade to %d or newer", minPostgreSQL))
	}
	connection := "without TLS"
	if tls != "" {
		connection = "over " + tls
	}
	return okay(checkPostgreSQL, fmt.Sprintf("answers, version %s, %s", name, connection))
}

// clockFinding gets how far PostgreSQL's clock is ahead, with an uncertainty of half
// the time that the request took.
func clockFinding(ahead, took time.Duration) Finding {
	if ahead.Abs() <= maxClockOffset+took/2 {
		return okay(checkClock, "differs from PostgreSQL's by less than "+roughly(maxClockOffset+took/2))
	}
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	return warning(checkClock, fmt.Sprintf("PostgreSQL's is %s %s this machine's", roughly(ahead.Abs()), direction),
		"synchronise both clocks; due times use PostgreSQL's, logs use this machine's")
}

func indexesFinding(invalid []string) Finding {
	if len(invalid) == 0 {
		return okay(checkIndexes, "all valid")
	}
	f := warning(checkIndexes, fmt.Sprintf("%d invalid after an interrupted build: they cost writes and serve no query", len(invalid)),
		"run these statements; the service may keep running")
	for _, name := range invalid {
		f = f.with("REINDEX INDEX CONCURRENTLY " + name + ";")
	}
	return f
}

func invariantsFinding(violations []postgres.Violation) Finding {
	if len(violations) == 0 {
		return okay(checkInvariants, "all hold")
	}
	f := failure(checkInvariants, fmt.Sprintf("%d violated", len(violations)),
		"if only an order waits beside a free courier: check that serve runs; otherwise keep a copy of the database and report a bug")
	for _, v := range violations[:min(len(violations), mostShown)] {
		f = f.with(v.Invariant + ": " + v.Subject)
	}
	if more := len(violations) - mostShown; more > 0 {
		f = f.with(fmt.Sprintf("and %d more", more))
	}
	return f
}

func queueFinding(s postgres.QueueState) Finding {
	waiting := fmt.Sprintf("waiting: %d", s.Waiting.Count)
	if s.Missing > 0 {
		waiting += fmt.Sprintf(" (%d missing in service-order, which get no courier)", s.Missing)
	}
	if s.Waiting.Count > s.Missing {
		waiting += fmt.Sprintf(", the oldest for %s", roughly(s.Waiting.Oldest))
	}
	detail := fmt.Sprintf("%s; on hold: %d; free couriers: %d of %d", waiting, s.Held, s.Available, s.Couriers)
	switch {
	case s.Couriers == 0:
		return warning(checkQueue, detail, "register couriers: service-courier couriers create")
	case s.Waiting.Oldest > longWait:
		return warning(checkQueue, detail, "add couriers, or check whether some are busy with missing orders")
	}
	return okay(checkQueue, detail)
}

func missingFinding(missing int, oldest time.Duration, stateLost bool) Finding {
	if missing == 0 {
		return okay(checkMissing, "none")
	}
	detail := fmt.Sprintf("missing in service-order: %d active, the oldest for %s", missing, roughly(oldest))
	if stateLost {
		return warning(checkMissing, detail+"; service-order lost its state: it answered 404 for most active orders",
			"restore its state; service-courier orders list --missing lists the orders; see docs/runbook.md, missing orders")
	}
	return warning(checkMissing, detail,
		"service-courier orders list --missing lists them; see docs/runbook.md, missing orders: their couriers are not freed automatically")
}

func deadLettersFinding(b postgres.Backlog) Finding {
	if b.Count == 0 {
		return okay(checkDeadLetters, "none pending")
	}
	return warning(checkDeadLetters, fmt.Sprintf("%d pending, the oldest for %s", b.Count, roughly(b.Oldest)),
		"see the page Dead letters, or service-courier deadletters list")
}

// rechecksFinding lists the orders with most attempts, whatever the status.
func rechecksFinding(ctx context.Context, health *postgres.Health) (Finding, error) {
	pending, due, err := health.Rechecks(ctx)
	if err != nil || pending == 0 {
		return okay(checkRechecks, "none pending"), err
	}
	worst, err := health.WorstRechecks(ctx, mostShown)
	if err != nil {
		return Finding{}, err
	}
	f := okay(checkRechecks, fmt.Sprintf("pending: %d, due now: %d", pending, due.Count))
	switch {
	case due.Oldest > maxRecheckDelay:
		f = warning(checkRechecks, fmt.Sprintf("%s, the oldest for %s", f.Detail, roughly(due.Oldest)),
			"check that serve runs; rechecks pause while service-order is unavailable")
	case worst[0].Attempts >= manyAttempts:
		f = warning(checkRechecks, f.Detail, "check why service-order gives these answers; the rechecks continue")
	}
	for _, r := range worst {
		line := fmt.Sprintf("%s (%s): %s, %d attempts", r.OrderID, r.State, r.Reason, r.Attempts)
		if r.Error != "" {
			line += ", " + r.Error
		}
		f = f.with(line)
	}
	return f, nil
}

package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/config"
	"service-courier/internal/doctor"
	"service-courier/internal/storage/postgres"
)

// The checks of the database.
const (
	checkPostgreSQL  = "postgresql"
	checkClock       = "clock"
	checkSchema      = "schema"
	checkIndexes     = "indexes"
	checkInvariants  = "invariants"
	checkLine        = "waiting line"
	checkMissing     = "missing orders"
	checkLooks       = "looks"
	checkDeadLetters = "dead letters"
)

// oldestPostgreSQL is what the statements need.
const oldestPostgreSQL = 15

// examineDatabase asks PostgreSQL, one check after the other. Each has its own
// bound, and what follows from an absent server or schema is not tried.
func examineDatabase(ctx context.Context, cfg config.Config) []doctor.Finding {
	rest := []string{checkClock, checkSchema, checkIndexes, checkInvariants, checkLine, checkMissing, checkLooks, checkDeadLetters}
	absent := func(f doctor.Finding) []doctor.Finding {
		return append([]doctor.Finding{f}, notKnown("PostgreSQL cannot be asked", rest...)...)
	}
	const want = "set it to postgres://user:password@host:5432/database"
	if cfg.DatabaseURL == "" { // pgx would go looking for a server of its own choice
		return absent(doctor.Failure(checkPostgreSQL, "not asked: DATABASE_URL is not set", want))
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, 1)
	if err != nil {
		return absent(doctor.Failure(checkPostgreSQL, "not asked: DATABASE_URL is not usable", want))
	}
	defer pool.Close()
	server, clock, answers := serverFindings(ctx, postgres.NewHealth(pool))
	if !answers {
		return absent(server)
	}
	schema := schemaFinding(ctx, pool)
	findings := []doctor.Finding{server, clock, schema}
	if schema.Status != doctor.OK {
		return append(findings, notKnown("the schema is not there", rest[2:]...)...)
	}
	return append(findings, examineTables(ctx, pool)...)
}

func schemaFinding(ctx context.Context, pool *pgxpool.Pool) doctor.Finding {
	return within(ctx, checkSchema, func(ctx context.Context) (doctor.Finding, error) {
		err := postgres.CheckSchema(ctx, pool)
		if errors.Is(err, postgres.ErrNoSchema) {
			return doctor.Failure(checkSchema, err.Error(), "service-courier migrate up"), nil
		}
		return doctor.Okay(checkSchema, "up to date"), err
	})
}

// examineTables reads what the tables hold.
func examineTables(ctx context.Context, pool *pgxpool.Pool) []doctor.Finding {
	health := postgres.NewHealth(pool)
	return []doctor.Finding{
		within(ctx, checkIndexes, func(ctx context.Context) (doctor.Finding, error) {
			halfBuilt, err := postgres.HalfBuiltIndexes(ctx, pool)
			return indexesFinding(halfBuilt), err
		}),
		within(ctx, checkInvariants, func(ctx context.Context) (doctor.Finding, error) {
			violations, err := postgres.CheckInvariants(ctx, pool)
			return invariantsFinding(violations), err
		}),
		within(ctx, checkLine, func(ctx context.Context) (doctor.Finding, error) {
			line, err := health.Line(ctx)
			return lineFinding(line), err
		}),
		within(ctx, checkMissing, func(ctx context.Context) (doctor.Finding, error) {
			standing, err := health.Standing(ctx)
			return missingFinding(standing), err
		}),
		within(ctx, checkLooks, func(ctx context.Context) (doctor.Finding, error) { return looksFinding(ctx, health) }),
		within(ctx, checkDeadLetters, func(ctx context.Context) (doctor.Finding, error) {
			letters, err := health.DeadLetters(ctx)
			return lettersFinding(letters), err
		}),
	}
}

// within runs a check for its bounded time. One that takes longer is only a
// warning: the database may be large, and has answered before.
func within(ctx context.Context, check string, ask func(context.Context) (doctor.Finding, error)) doctor.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	f, err := ask(ctx)
	switch {
	case err == nil:
		return f
	case ctx.Err() != nil:
		return doctor.Warning(check, fmt.Sprintf("not known: it took more than %v", checkTimeout), "ask again when PostgreSQL has less to do")
	default:
		return failure(check, err, "see PostgreSQL's log")
	}
}

// serverFindings asks for version and clock in one go, since the clocks are
// compared over the time of the answer.
func serverFindings(ctx context.Context, health *postgres.Health) (server, clock doctor.Finding, answers bool) {
	const mend = postgres.MendAbsent
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if _, _, _, err := health.Server(ctx); err != nil { // the first one connects, which takes its time
		return failure(checkPostgreSQL, err, mend), clock, false
	}
	asked := time.Now()
	number, name, now, err := health.Server(ctx)
	if err != nil {
		return failure(checkPostgreSQL, err, mend), clock, false
	}
	took := time.Since(asked)
	over, err := health.TLS(ctx)
	if err != nil {
		return failure(checkPostgreSQL, err, mend), clock, false
	}
	return versionFinding(number, name, over), clockFinding(now.Sub(asked.Add(took/2)), took), true
}

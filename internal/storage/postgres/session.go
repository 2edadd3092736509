package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/dsn"
	"service-courier/internal/outage"
)

// connectTimeout of each host, unless DATABASE_URL has another.
const connectTimeout = 3 * time.Second

// sessionSettings are those of every session of the service, unless DATABASE_URL has
// others.
var sessionSettings = map[string]string{
	"lock_timeout":                        "2s", // then its transaction is retried
	"statement_timeout":                   "15s",
	"idle_in_transaction_session_timeout": "15s",
	"idle_session_timeout":                "0", // the pool keeps idle connections, and would hand out closed ones
	// Every statement has its index. One generic plan without sequential scans suits
	// a batch of any size and a table that has grown since. PostgreSQL's own choice,
	// made while the tables were empty, scans them whole until the next ANALYZE.
	"plan_cache_mode":   "force_generic_plan",
	"enable_seqscan":    "off",
	"enable_bitmapscan": "off",
	"jit":               "off",
}

// Open returns a pool for url with at most maxConns connections; pool_max_conns of url
// replaces it, unless it is that of a command that needs only a few. It connects when first used, so that the service starts without its database.
func Open(ctx context.Context, url string, maxConns int) (*pgxpool.Pool, error) {
	return open(ctx, url, maxConns, sessionSettings)
}

func open(ctx context.Context, url string, maxConns int, settings map[string]string) (*pgxpool.Pool, error) {
	cfg, err := dsn.Parse(url)
	if err != nil {
		return nil, fmt.Errorf("database URL %w", err)
	}
	if _, set := dsn.MaxConns(cfg); !set || maxConns < dsn.MinConns {
		cfg.MaxConns = int32(maxConns)
	}
	cfg.MinConns, cfg.MinIdleConns = min(cfg.MinConns, cfg.MaxConns), min(cfg.MinIdleConns, cfg.MaxConns)
	c := cfg.ConnConfig
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	setDefault(c.RuntimeParams, "application_name", "service-courier")
	setDefault(c.RuntimeParams, "timezone", "UTC")
	settings = maps.Clone(settings)
	maps.DeleteFunc(settings, func(name, _ string) bool { _, set := c.RuntimeParams[name]; return set })
	if c.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement { // else a pooler may be in between, which refuses them
		maps.Copy(c.RuntimeParams, settings)
	}
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { return renew(c, url) }
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		clampTimes(c)
		return prepareSession(ctx, c, settings)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return pool, nil
}

func setDefault(parameters map[string]string, name, value string) {
	if _, set := parameters[name]; !set {
		parameters[name] = value
	}
}

// renew reads the files that url names again, since certificates and passwords may be
// replaced while the service runs.
func renew(c *pgx.ConnConfig, url string) error {
	latest, err := dsn.Parse(url)
	if err != nil {
		return fmt.Errorf("database URL %w", err)
	}
	c.TLSConfig, c.Fallbacks, c.Password = latest.ConnConfig.TLSConfig, latest.ConnConfig.Fallbacks, latest.ConnConfig.Password
	return nil
}

// errUnusable matches the error of a session that the service cannot work with.
var errUnusable = errors.New("unusable database session")

// prepareSession refuses a session in which text could be stored wrongly or statements
// would fail at random, and gives the others their settings.
func prepareSession(ctx context.Context, c *pgx.Conn, settings map[string]string) error {
	if encoding := c.PgConn().ParameterStatus("server_encoding"); encoding != "UTF8" {
		return outage.Fixable{
			Cause: "the database does not store text as UTF-8",
			Err:   fmt.Errorf("%w: its encoding is %s", errUnusable, encoding),
			Fix:   "create another one: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
		}
	}
	// The server's own process, or a number of the pooler in between.
	var backend uint32
	if err := c.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&backend); err != nil {
		return fmt.Errorf("read the id of the session: %w", err)
	}
	pooled := backend != c.PgConn().PID()
	switch prepares := c.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement; {
	case pooled && prepares:
		return outage.Fixable{
			Cause: "a connection pooler is in between, and may change the session between two statements",
			Err:   fmt.Errorf("%w: its prepared statements may be lost", errUnusable),
			Fix:   fixPooler,
		}
	case pooled:
		return cmp.Or(checkTransactions(ctx, c), checkSettings(ctx, c, settings))
	case prepares || len(settings) == 0:
		return nil
	}
	var set strings.Builder
	for name, value := range settings {
		fmt.Fprintf(&set, "SET %s = '%s';", name, value)
	}
	if _, err := c.Exec(ctx, set.String()); err != nil {
		return fmt.Errorf("set the parameters of the session: %w", err)
	}
	return nil
}

const fixPooler = "set default_query_exec_mode=cache_describe in DATABASE_URL, and the settings of the role (docs/deploy.md#pgbouncer)"

const protocolViolation = "08P01"

// checkTransactions refuses a pooler that gives each statement another session.
func checkTransactions(ctx context.Context, c *pgx.Conn) error {
	tx, err := c.Begin(ctx)
	if err == nil {
		return tx.Rollback(ctx)
	}
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok && failed.Code == protocolViolation {
		return outage.Fixable{
			Cause: "a connection pooler is in between that allows no transactions",
			Err:   fmt.Errorf("%w: %w", errUnusable, err),
			Fix:   "set its pool_mode to transaction or session (docs/deploy.md#pgbouncer)",
		}
	}
	return fmt.Errorf("begin a transaction: %w", err)
}

// checkSettings: a pooler gives each transaction another session, so that only the
// defaults of the role, the database or the server set its parameters.
func checkSettings(ctx context.Context, c *pgx.Conn, settings map[string]string) error {
	names := slices.Sorted(maps.Keys(settings))
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = settings[name]
	}
	var database string
	var missing []string
	err := c.QueryRow(ctx, `
		SELECT quote_ident(current_database()), ARRAY(
			SELECT format('%s = %L', name, value) FROM unnest($1::text[], $2::text[]) wanted (name, value)
			WHERE current_setting(name) <> value ORDER BY name)`, names, values).Scan(&database, &missing)
	if err != nil {
		return fmt.Errorf("read the parameters of the session: %w", err)
	}
	if len(missing) == 0 {
		return nil
	}
	for i, setting := range missing {
		missing[i] = "ALTER ROLE CURRENT_USER IN DATABASE " + database + " SET " + setting
	}
	return outage.Fixable{
		Cause: "a connection pooler is in between, and the role lacks settings",
		Err:   fmt.Errorf("%w: %s", errUnusable, strings.Join(missing, "; ")),
		Fix:   "set them as this role, then RECONNECT in the pooler (docs/deploy.md#pgbouncer)",
	}
}

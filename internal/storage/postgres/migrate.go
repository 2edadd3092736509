package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"service-courier/internal/outage"
)

var (
	//go:embed migrations/*.sql
	migrations embed.FS
	//go:embed sql/sequences_advance.sql
	sequencesAdvance string
	//go:embed sql/sequences_restored.sql
	sequencesRestored string
)

// versionTable lists the applied migrations. It has a name of its own, so that the
// goose_db_version of another program is not mistaken for it.
const versionTable = "service_courier_schema"

// ErrSchema matches the error of a database without the schema that this program
// needs. The error's text says what is there and how to fix it.
var ErrSchema = errors.New("database schema")

const (
	// migrateLock is the advisory lock of the program that migrates ("migrat" in ASCII).
	migrateLock = 0x6d6967726174
	// migratorConns: one holds the lock, one migrates, one reads.
	migratorConns = 3
)

const (
	fixMigrate       = "run 'service-courier migrate up'"
	fixOtherDatabase = "use another database, or another schema (search_path in DATABASE_URL)"
	fixSearchPath    = "create the schema of search_path, or correct DATABASE_URL"
	fixIncomplete    = "restore them from a backup, or drop the rest with the table " + versionTable + " and run 'service-courier migrate up'"
	fixNewerProgram  = "use the program that applied it"
)

// Migrator applies and rolls back the schema.
type Migrator struct {
	pool     *pgxpool.Pool
	db       *sql.DB // of pool, for goose
	provider *goose.Provider
}

// NewMigrator returns a migrator for the database at url. Close it after use.
func NewMigrator(ctx context.Context, url string) (*Migrator, error) {
	pool, err := open(ctx, url, migratorConns, nil) // connects when first used
	if err != nil {
		return nil, err
	}
	m := &Migrator{pool: pool, db: stdlib.OpenDBFromPool(pool)}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded migrations: %w", err), m.Close())
	}
	m.provider, err = goose.NewProvider(goose.DialectPostgres, m.db, dir, goose.WithTableName(versionTable))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("migrations: %w", err), m.Close())
	}
	return m, nil
}

// Close closes the connections.
func (m *Migrator) Close() error {
	err := m.db.Close()
	m.pool.Close()
	return err
}

// Up applies all pending migrations and returns their names. It advances sequences that
// are behind their tables, and after a restore that of the journal. A database that holds objects of another schema under our names
// is left as it is; the error matches ErrSchema.
func (m *Migrator) Up(ctx context.Context) ([]string, error) {
	var results []*goose.MigrationResult
	var before int64
	err := m.locked(ctx, func() (err error) {
		if before, err = recognise(ctx, m.pool); err != nil {
			return err
		}
		if results, err = m.provider.Up(ctx); err != nil {
			return fmt.Errorf("migrate up: %w", asOwner(err))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if before <= newestMigration() {
		if err := checkComplete(ctx, m.pool); err != nil {
			return nil, err
		}
	}
	if err := m.advanceSequences(ctx); err != nil {
		return nil, err
	}
	names := make([]string, len(results))
	for i, r := range results {
		names[i] = r.Source.Path
	}
	return names, nil
}

func (m *Migrator) advanceSequences(ctx context.Context) error {
	end, err := NewJournal(m.pool).End(ctx)
	if err != nil {
		return err
	}
	if _, err := m.pool.Exec(ctx, sequencesAdvance); err != nil {
		return fmt.Errorf("advance the sequences: %w", explain(err))
	}
	if _, err := m.pool.Exec(ctx, sequencesRestored, int64(end.Epoch)); err != nil {
		return fmt.Errorf("advance the sequence of the journal after a restore: %w", explain(err))
	}
	return nil
}

// asOwner explains a refusal to change the schema.
func asOwner(err error) error {
	const insufficientPrivilege = "42501"
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == insufficientPrivilege {
		return outage.Fixable{
			Cause: "this role may not change the schema", Err: err,
			Fix: "migrate as the owner of the schema, who may also: GRANT CREATE, USAGE ON SCHEMA … TO the role of DATABASE_URL",
		}
	}
	return err
}

// locked runs do while no other migrator does. The lock belongs to a transaction, since a
// connection pooler may give each transaction another session.
func (m *Migrator) locked(ctx context.Context, do func() error) error {
	return pgx.BeginFunc(ctx, m.pool, func(tx pgx.Tx) error {
		const settings = "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
		if _, err := tx.Exec(ctx, settings); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", migrateLock); err != nil {
			return err
		}
		return do()
	})
}

// Down rolls back the latest migration and returns its name; "" when none is left.
func (m *Migrator) Down(ctx context.Context) (name string, err error) {
	err = m.locked(ctx, func() (err error) {
		name, err = m.down(ctx)
		return err
	})
	return name, err
}

func (m *Migrator) down(ctx context.Context) (string, error) {
	have, err := schemaVersion(ctx, m.pool)
	if err != nil {
		return "", err
	}
	if have > newestMigration() {
		return "", outage.Fixable{
			Err: fmt.Errorf("%w is newer than this program (version %d, this program has %d)", ErrSchema, have, newestMigration()),
			Fix: fixNewerProgram,
		}
	}
	result, err := m.provider.Down(ctx)
	if errors.Is(err, goose.ErrNoNextVersion) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("migrate down: %w", asOwner(err))
	}
	return result.Source.Path, nil
}

// MigrationState is one migration and whether the database has it.
type MigrationState struct {
	Name    string
	Applied bool
}

// Status lists every migration, oldest first.
func (m *Migrator) Status(ctx context.Context) ([]MigrationState, error) {
	status, err := m.provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate status: %w", err)
	}
	states := make([]MigrationState, len(status))
	for i, s := range status {
		states[i] = MigrationState{Name: s.Source.Path, Applied: s.State == goose.StateApplied}
	}
	return states, nil
}

// Migrate applies all pending migrations to the database at url.
func Migrate(ctx context.Context, url string) error {
	m, err := NewMigrator(ctx, url)
	if err != nil {
		return err
	}
	_, err = m.Up(ctx)
	return errors.Join(err, m.Close())
}

// CheckSchema returns nil when the database has every migration of this program, and this
// role the rights on it; the database may have newer ones. Otherwise the error matches
// ErrSchema, or is that of the query.
func CheckSchema(ctx context.Context, pool *pgxpool.Pool) error {
	have, err := recognise(ctx, pool)
	switch {
	case err != nil:
		return err
	case have > newestMigration(): // it may lack what a newer version dropped
		return cmp.Or(checkRights(ctx, pool), checkSafe(ctx, pool))
	case have == newestMigration():
		return cmp.Or(checkComplete(ctx, pool), checkRights(ctx, pool), checkSafe(ctx, pool))
	case have > 0:
		return outage.Fixable{
			Err: fmt.Errorf("%w is out of date (version %d, this program needs %d)", ErrSchema, have, newestMigration()),
			Fix: fixMigrate,
		}
	}
	return outage.Fixable{Err: fmt.Errorf("%w is missing", ErrSchema), Fix: fixMigrate}
}

// CheckWritable returns an error when sessions may only read, as on a standby.
func CheckWritable(ctx context.Context, pool *pgxpool.Pool) error {
	var only bool
	if err := pool.QueryRow(ctx, "SELECT current_setting('transaction_read_only')::bool").Scan(&only); err != nil {
		return fmt.Errorf("read whether PostgreSQL is read-only: %w", explain(err))
	}
	if only {
		return outage.Fixable{Cause: readOnly.text, Err: errors.New("transaction_read_only is on"), Fix: readOnly.fix}
	}
	return nil
}

// recognise returns the version of our schema, 0 when it can be created, and an error
// that matches ErrSchema when another schema is in its place.
func recognise(ctx context.Context, pool *pgxpool.Pool) (version int64, err error) {
	if version, err = schemaVersion(ctx, pool); err != nil || version > 0 {
		return version, err
	}
	err = checkNames(ctx, pool)
	if err != nil { // unless another migrator has created our schema meanwhile
		if version, retryErr := schemaVersion(ctx, pool); retryErr == nil && version > 0 {
			return version, nil
		}
	}
	return 0, err
}

// schemaVersion returns the version of our schema in the database, 0 when it is not there.
func schemaVersion(ctx context.Context, pool *pgxpool.Pool) (version int64, err error) {
	const undefinedTable, insufficientPrivilege = "42P01", "42501"
	err = pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&version)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && !isConnect(err) {
		switch pg.Code {
		case undefinedTable:
			return 0, nil
		case insufficientPrivilege:
			return 0, outage.Fixable{Err: fmt.Errorf("%w: this role has no right to SELECT on %s", ErrSchema, versionTable), Fix: fixGrant}
		}
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the schema: %w", explain(err))
	}
	return version, nil
}

// checkNames returns an error that matches ErrSchema when tables, types or indexes of
// another schema have names that ours needs. It is for a database without our schema.
func checkNames(ctx context.Context, pool *pgxpool.Pool) error {
	var taken []string
	var older, none bool
	var forbidden string
	err := pool.QueryRow(ctx, `
		WITH names AS (
			SELECT relname::text AS name FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(current_schema()))
			UNION
			SELECT typname::text FROM pg_type WHERE typnamespace = to_regnamespace(quote_ident(current_schema()))
		)
		SELECT ARRAY(SELECT name FROM names WHERE name = ANY ($1::text[]) ORDER BY name),
		       (SELECT count(*) = 4 FROM names WHERE name IN ('goose_db_version', 'couriers', 'courier_orders', 'dead_letters')),
		       current_schema() IS NULL,
		       coalesce((SELECT min(nspname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
		                 WHERE relname = $2 AND NOT has_schema_privilege(n.oid, 'USAGE')
		                   AND nspname = ANY (string_to_array(translate(replace(current_setting('search_path'), '$user', current_user), '" ', ''), ','))), '')`,
		schemaNames(), versionTable).Scan(&taken, &older, &none, &forbidden)
	switch {
	case err != nil:
		return fmt.Errorf("read the names in the schema: %w", explain(err))
	case forbidden != "":
		return outage.Fixable{Err: fmt.Errorf("%w: this role has no right to use the schema %s", ErrSchema, forbidden), Fix: fixGrant}
	case none:
		return outage.Fixable{Err: fmt.Errorf("%w: search_path names no schema that exists", ErrSchema), Fix: fixSearchPath}
	case older:
		return outage.Fixable{
			Err: fmt.Errorf("%w is that of an unreleased version of service-courier and cannot be upgraded", ErrSchema),
			Fix: fixOtherDatabase,
		}
	case len(taken) > 0:
		return outage.Fixable{
			Err: fmt.Errorf("%w belongs to another program, which has %s", ErrSchema, strings.Join(taken, ", ")),
			Fix: fixOtherDatabase,
		}
	}
	return nil
}

// checkComplete returns an error that matches ErrSchema when the version table is there
// without the rest of its schema, as after a restore of some tables only.
func checkComplete(ctx context.Context, pool *pgxpool.Pool) error {
	missing, err := query(ctx, pool, pgx.RowTo[string], "read the names in the schema", `
		WITH ours AS (SELECT relnamespace FROM pg_class WHERE oid = to_regclass($2))
		SELECT unnest($1::text[])
		EXCEPT SELECT relname::text FROM pg_class NATURAL JOIN ours
		EXCEPT SELECT typname::text FROM pg_type JOIN ours ON typnamespace = relnamespace
		EXCEPT SELECT proname::text FROM pg_proc JOIN ours ON pronamespace = relnamespace
		ORDER BY 1`, schemaNames(), versionTable)
	if err != nil || len(missing) == 0 {
		return explain(err)
	}
	const shown = 5
	names := strings.Join(missing[:min(shown, len(missing))], ", ")
	if more := len(missing) - shown; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return outage.Fixable{
		Err: fmt.Errorf("%w is incomplete, it lacks %s", ErrSchema, names),
		Fix: fixIncomplete,
	}
}

var creates = regexp.MustCompile(`(?m)^CREATE (?:UNIQUE )?(?:TABLE|TYPE|VIEW|SEQUENCE|INDEX|FUNCTION|PROCEDURE) +(\w+)`)

// schemaNames returns the names that the migrations give to tables, types, views,
// sequences, indexes and routines.
func schemaNames() (names []string) {
	files, _ := fs.Glob(migrations, "migrations/*.sql") // the pattern is a constant
	for _, file := range files {
		text, _ := migrations.ReadFile(file)
		for _, match := range creates.FindAllSubmatch(text, -1) {
			names = append(names, string(match[1]))
		}
	}
	return names
}

// InvalidIndexes names the indexes of the service's tables whose build was interrupted:
// every write maintains them and no query uses them.
func InvalidIndexes(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	rows, err := pool.Query(ctx, `
		SELECT indexrelid::regclass::text FROM pg_index
		WHERE NOT indisvalid AND pg_table_is_visible(indrelid)
		ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("read the indexes: %w", explain(err))
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the indexes: %w", explain(err))
	}
	return names, nil
}

// newestMigration returns the highest version embedded; file names begin with it.
func newestMigration() int64 {
	names, _ := fs.Glob(migrations, "migrations/*.sql") // sorted; the pattern is a constant
	version, _ := goose.NumericComponent(names[len(names)-1])
	return version
}

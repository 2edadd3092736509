package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver, for goose
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNoSchema says that the database answers but lacks the schema this
// program needs, or has an older one.
var ErrNoSchema = errors.New("the database has no schema of this version: run 'service-courier migrate up'")

// Migrator brings the schema up and down. It holds a session lock meanwhile,
// so that two of them at once do no harm.
type Migrator struct {
	db       *sql.DB
	provider *goose.Provider
}

// NewMigrator connects to the database at url. Close it after use.
func NewMigrator(url string) (*Migrator, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("embedded migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, fmt.Errorf("migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("migrations: %w", err), db.Close())
	}
	return &Migrator{db, provider}, nil
}

// Close drops the connection.
func (m *Migrator) Close() error { return m.db.Close() }

// Up applies all that is missing and returns the names of what it applied.
func (m *Migrator) Up(ctx context.Context) ([]string, error) {
	results, err := m.provider.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate up: %w", err)
	}
	names := make([]string, len(results))
	for i, r := range results {
		names[i] = r.Source.Path
	}
	return names, nil
}

// Down takes back the newest migration and returns its name; "" when none is left.
func (m *Migrator) Down(ctx context.Context) (string, error) {
	result, err := m.provider.Down(ctx)
	if errors.Is(err, goose.ErrNoNextVersion) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("migrate down: %w", err)
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

// Migrate applies all that is missing in the database at url.
func Migrate(ctx context.Context, url string) error {
	m, err := NewMigrator(url)
	if err != nil {
		return err
	}
	_, err = m.Up(ctx)
	return errors.Join(err, m.Close())
}

// CheckSchema returns nil when the database has every migration of this
// program (it may have newer ones), ErrNoSchema when it lacks some, and the
// connection's error when it cannot be asked.
func CheckSchema(ctx context.Context, pool *pgxpool.Pool) error {
	var have int64
	err := pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&have)
	const undefinedTable = "42P01"
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == undefinedTable:
		return ErrNoSchema
	case err != nil:
		return fmt.Errorf("read the schema's version: %w", explain(err))
	case have < newestMigration():
		return fmt.Errorf("%w (it is at %d, %d is needed)", ErrNoSchema, have, newestMigration())
	}
	return nil
}

// HalfBuiltIndexes names the indexes of the service's tables whose building was
// interrupted: they take every write and answer nothing.
func HalfBuiltIndexes(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
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

// newestMigration returns the highest version embedded; names begin with it.
func newestMigration() int64 {
	names, _ := fs.Glob(migrations, "migrations/*.sql") // sorted; the pattern is a constant
	version, _ := goose.NumericComponent(names[len(names)-1])
	return version
}

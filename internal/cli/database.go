package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"service-courier/internal/app"
	"service-courier/internal/cli/output"
	"service-courier/internal/config"
	"service-courier/internal/logging"
	"service-courier/internal/storage/postgres"
)

// MigrateUp applies all missing migrations to the database in DATABASE_URL.
func MigrateUp(ctx context.Context, out io.Writer) error {
	return withMigrator(ctx, func(m *postgres.Migrator) error {
		applied, err := m.Up(ctx)
		if err != nil {
			return err
		}
		for _, name := range applied {
			fmt.Fprintln(out, "applied", name)
		}
		if len(applied) == 0 {
			fmt.Fprintln(out, "no migrations to apply, the schema is up to date")
		}
		return nil
	})
}

// MigrateDown rolls back the newest migration.
func MigrateDown(ctx context.Context, out io.Writer) error {
	return withMigrator(ctx, func(m *postgres.Migrator) error {
		name, err := m.Down(ctx)
		if err != nil {
			return err
		}
		if name == "" {
			fmt.Fprintln(out, "no migrations to roll back")
			return nil
		}
		fmt.Fprintln(out, "rolled back", name)
		return nil
	})
}

// migration is a postgres.MigrationState as JSON.
type migration struct {
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

var migrationColumns = []output.Column{{Title: "migration", Path: "name"}, {Title: "applied", Path: "applied"}}

// MigrateStatus lists all migrations and whether they are applied.
func MigrateStatus(ctx context.Context, w output.Writer) error {
	return withMigrator(ctx, func(m *postgres.Migrator) error {
		states, err := m.Status(ctx)
		if err != nil {
			return err
		}
		_, err = w.List(func(yield func(json.RawMessage, error) bool) {
			for _, s := range states {
				if !yield(json.Marshal(migration(s))) {
					return
				}
			}
		}, migrationColumns, 0)
		return err
	})
}

// MigrateGrant grants a database role what `serve` needs.
func MigrateGrant(ctx context.Context, role string, out io.Writer) error {
	return withMigrator(ctx, func(m *postgres.Migrator) error {
		if err := m.Grant(ctx, role); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "granted: role %s can run the service but not change the schema\n", role)
		return err
	})
}

func withMigrator(ctx context.Context, do func(*postgres.Migrator) error) (err error) {
	url, err := config.LoadDatabaseURL()
	if err != nil {
		return err
	}
	m, err := postgres.NewMigrator(ctx, url)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := m.Close(); err == nil {
			err = closeErr
		}
	}()
	return postgres.ExplainError(do(m))
}

// Resync compares with service-order once: the orders that it lists as created since
// then, and every active order. It is safe beside running replicas, and repairs a
// database that was restored from a backup.
func Resync(ctx context.Context, since time.Time, out, logs io.Writer) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	began := time.Now()
	cfg.LogFormat = cmp.Or(cfg.LogFormat, logging.Text) // for a person, as all commands write
	missing, err := app.Resync(ctx, cfg, since, app.NewLog(logs, cfg))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "compared orders listed since %s and every active order in %v; %s\n",
		since.Format(time.RFC3339), time.Since(began).Round(time.Millisecond), missingOrders(missing))
	return err
}

func missingOrders(n int) string {
	if n == 0 {
		return "service-order has every active order"
	}
	return fmt.Sprintf("active orders missing in service-order: %d", n)
}

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"service-courier/internal/config"
	"service-courier/internal/output"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/tracing"
)

// Serve runs the service with the environment's settings until ctx ends. It
// never migrates: without the schema it waits and says so.
func Serve(ctx context.Context, logs io.Writer) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	return Run(ctx, cfg, jsonLog(logs, cfg.LogLevel))
}

// jsonLog is serve's log. It has times as Go writes them, "1m30s"; slog would give a
// number of nanoseconds that does not say so.
func jsonLog(out io.Writer, level slog.Level) *slog.Logger {
	readable := func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.Duration().String())
		}
		return a
	}
	return slog.New(tracing.Logged(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: readable})))
}

// Run runs the service with the settings given until ctx ends.
func Run(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	log.InfoContext(ctx, "starting", slog.Any("settings", cfg))
	s, err := newService(ctx, cfg, log)
	if err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	log.InfoContext(ctx, "stopped")
	return nil
}

// MigrateUp applies every migration that the database of DATABASE_URL lacks.
func MigrateUp(ctx context.Context, out io.Writer) error {
	return withMigrator(func(m *postgres.Migrator) error {
		applied, err := m.Up(ctx)
		if err != nil {
			return err
		}
		for _, name := range applied {
			fmt.Fprintln(out, "applied", name)
		}
		if len(applied) == 0 {
			fmt.Fprintln(out, "nothing to apply: the schema is up to date")
		}
		return nil
	})
}

// MigrateDown takes the newest migration back.
func MigrateDown(ctx context.Context, out io.Writer) error {
	return withMigrator(func(m *postgres.Migrator) error {
		name, err := m.Down(ctx)
		if err != nil {
			return err
		}
		if name == "" {
			fmt.Fprintln(out, "nothing to take back")
			return nil
		}
		fmt.Fprintln(out, "took back", name)
		return nil
	})
}

// migration is a postgres.MigrationState for programs.
type migration struct {
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

var migrationColumns = []output.Column{{Title: "migration", Path: "name"}, {Title: "applied", Path: "applied"}}

// MigrateStatus lists every migration and whether it is applied.
func MigrateStatus(ctx context.Context, w output.Writer) error {
	return withMigrator(func(m *postgres.Migrator) error {
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

// MigrateGrant gives a database role what `serve` needs of the schema.
func MigrateGrant(ctx context.Context, role string, out io.Writer) error {
	return withMigrator(func(m *postgres.Migrator) error {
		if err := m.Grant(ctx, role); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s can run the service, and cannot change the schema\n", role)
		return err
	})
}

func withMigrator(do func(*postgres.Migrator) error) (err error) {
	url, err := config.LoadDatabaseURL()
	if err != nil {
		return err
	}
	m, err := postgres.NewMigrator(url)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := m.Close(); err == nil {
			err = closeErr
		}
	}()
	return postgres.ForPerson(do(m))
}

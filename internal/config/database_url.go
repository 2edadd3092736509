package config

import (
	"fmt"

	"service-courier/internal/dsn"
)

// CheckDatabaseURL returns an error that shows no part of the URL which may belong to
// the password.
func (c Config) CheckDatabaseURL() error {
	if _, err := dsn.Parse(c.DatabaseURL); err != nil {
		return fmt.Errorf("DATABASE_URL %w", err)
	}
	return nil
}

// checkDatabaseOrigin: pgx takes a password that the URL does not contain from
// PGPASSWORD.
func (e environment) checkDatabaseOrigin() error {
	if dsn.HasPassword(e.values["DATABASE_URL"]) {
		return nil
	}
	return e.checkOrigins("PGPASSWORD", "DATABASE_URL")
}

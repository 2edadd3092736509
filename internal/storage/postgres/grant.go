package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/grant.sql
var grant string

// Grant gives role what the service needs of the schema, and no more. The
// connection has to be the owner's; the role has to exist, and the schema.
func (m *Migrator) Grant(ctx context.Context, role string) error {
	var schema string
	if err := m.db.QueryRowContext(ctx, "SELECT current_schema()").Scan(&schema); err != nil {
		return fmt.Errorf("ask for the schema's name: %w", explain(err))
	}
	names := strings.NewReplacer("{role}", pgx.Identifier{role}.Sanitize(), "{schema}", pgx.Identifier{schema}.Sanitize())
	// One message of several statements is one transaction.
	if _, err := m.db.ExecContext(ctx, names.Replace(grant)); err != nil {
		return fmt.Errorf("grant %s its rights, which is for the owner of the schema to do: %w", role, err)
	}
	return nil
}

package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/outage"
)

var (
	//go:embed sql/grant.sql
	grant string
	//go:embed sql/rights_missing.sql
	rightsMissing string
	//go:embed sql/rights_catalog.sql
	rightsCatalog string
	//go:embed sql/schema_unsafe.sql
	schemaUnsafe string
)

const fixGrant = "grant this role its rights, as the owner of the schema: service-courier migrate grant ROLE"

// Grant gives role the rights that the service needs on the schema, and no more. The
// connection has to be the owner's; the role and the schema have to exist.
func (m *Migrator) Grant(ctx context.Context, role string) error {
	if version, err := recognise(ctx, m.pool); err != nil {
		return err
	} else if version == 0 {
		return outage.Fixable{Err: fmt.Errorf("%w is missing", ErrSchema), Fix: fixMigrate}
	}
	err := pgx.BeginFunc(ctx, m.pool, func(tx pgx.Tx) error {
		statements, err := query(ctx, tx, pgx.RowTo[string], "list the grants", grant, role)
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, strings.Join(statements, ";\n")); err != nil {
			return err
		}
		return checkOwner(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("grant rights to %s as the owner of the schema: %w", role, err)
	}
	return m.grantConnect(ctx, role)
}

// checkOwner refuses a schema whose objects belong to several roles, as after a restore of
// some of them by another role: none of these may grant rights on all.
func checkOwner(ctx context.Context, tx pgx.Tx) error {
	foreign, err := query(ctx, tx, pgx.RowTo[string], "read the owners of the schema", `
		WITH version_table AS (SELECT relowner AS owner, relnamespace AS namespace FROM pg_class WHERE oid = to_regclass($2))
		SELECT relname || ' of ' || relowner::regrole FROM version_table JOIN pg_class ON relnamespace = namespace
		WHERE relowner <> owner AND relkind IN ('r', 'v', 'S') AND relname = ANY ($1::text[])
		UNION ALL
		SELECT proname || ' of ' || proowner::regrole FROM version_table JOIN pg_proc ON pronamespace = namespace
		WHERE proowner <> owner AND proname = ANY ($1::text[])
		ORDER BY 1`, schemaNames(), versionTable)
	if err != nil || len(foreign) == 0 {
		return err
	}
	return outage.Fixable{
		Err: fmt.Errorf("%w has objects of another owner than %s: %s", ErrSchema, versionTable, strings.Join(foreign, ", ")),
		Fix: "give all to one role: ALTER … OWNER TO",
	}
}

// grantConnect gives role the right to connect, where PUBLIC has none. Only the owner of
// the database can grant it, which may be another role than the owner of the schema.
func (m *Migrator) grantConnect(ctx context.Context, role string) error {
	var database string
	var allowed bool
	check := func() error {
		const sql = "SELECT quote_ident(current_database()), has_database_privilege($1, current_database(), 'CONNECT')"
		return m.pool.QueryRow(ctx, sql, role).Scan(&database, &allowed)
	}
	if err := check(); err != nil || allowed {
		return err
	}
	statement := "GRANT CONNECT ON DATABASE " + database + " TO " + pgx.Identifier{role}.Sanitize()
	_, err := m.pool.Exec(ctx, statement)
	if err == nil { // without the grant option PostgreSQL only warns
		err = check()
	}
	if err != nil || !allowed {
		return outage.Fixable{
			Err: fmt.Errorf("role %s may not connect to the database", role),
			Fix: "as the owner of the database: " + statement,
		}
	}
	return nil
}

// checkRights returns an error that matches ErrSchema and names the rights that this role
// lacks. Without the check, only the first event that needs a right would show it.
func checkRights(ctx context.Context, pool *pgxpool.Pool) error {
	const reading = "read the rights of this role"
	missing, err := query(ctx, pool, pgx.RowTo[string], reading, rightsMissing, schemaNames())
	if err != nil {
		return explain(err)
	}
	if len(missing) > 0 {
		return outage.Fixable{Err: fmt.Errorf("%w: this role has no right to %s", ErrSchema, strings.Join(missing, ", ")), Fix: fixGrant}
	}
	names, grants, err := namesAndFixes(ctx, pool, reading, rightsCatalog)
	if err != nil || len(names) == 0 {
		return explain(err)
	}
	return outage.Fixable{
		Err: fmt.Errorf("%w: this role may not use PostgreSQL's %s", ErrSchema, strings.Join(names, ", ")),
		Fix: "as a superuser, in this database: " + strings.Join(grants, "; "),
	}
}

// namesAndFixes returns what a query finds wrong and, for each, the statement that fixes it.
func namesAndFixes(ctx context.Context, pool *pgxpool.Pool, doing, sql string, args ...any) (names, fixes []string, err error) {
	type finding struct{ Name, Fix string }
	found, err := query(ctx, pool, pgx.RowToStructByPos[finding], doing, sql, args...)
	for _, f := range found {
		names, fixes = append(names, f.Name), append(fixes, f.Fix)
	}
	return names, fixes, err
}

// checkSafe refuses settings of the schema that would make the service miss rows without an
// error. Its own error matches ErrSchema.
func checkSafe(ctx context.Context, pool *pgxpool.Pool) error {
	problems, fixes, err := namesAndFixes(ctx, pool, "read the settings of the schema", schemaUnsafe, schemaNames())
	if err != nil || len(problems) == 0 {
		return explain(err)
	}
	return outage.Fixable{
		Err: fmt.Errorf("%w: %s", ErrSchema, strings.Join(problems, ", ")),
		Fix: "as its owner: " + strings.Join(fixes, "; ") + "; then restart the service",
	}
}

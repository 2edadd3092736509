package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// query returns the rows of a query. Its error begins with doing, and matches
// courier.ErrUnavailable when PostgreSQL is unavailable.
func query[T any](ctx context.Context, q querier, scan pgx.RowToFunc[T], doing, sql string, args ...any) ([]T, error) {
	rows, _ := q.Query(ctx, sql, args...) // CollectRows returns its error
	all, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, orUnavailable(err))
	}
	return all, nil
}

// queryRow is query for exactly one row; without one the error matches pgx.ErrNoRows.
func queryRow[T any](ctx context.Context, q querier, scan pgx.RowToFunc[T], doing, sql string, args ...any) (T, error) {
	rows, _ := q.Query(ctx, sql, args...) // CollectExactlyOneRow returns its error
	one, err := pgx.CollectExactlyOneRow(rows, scan)
	if err != nil {
		return one, fmt.Errorf("%s: %w", doing, orUnavailable(err))
	}
	return one, nil
}

// orZero returns the zero value for NULL.
func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// orNull returns NULL for the zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// text makes s valid for a text column: no NUL, no invalid UTF-8.
func text(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

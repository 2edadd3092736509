package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/courier"
)

// orUnavailable makes err match courier.ErrUnavailable when the fault is that
// PostgreSQL cannot do its work now; any other error stays as it is.
func orUnavailable(err error) error {
	if unavailable(err) {
		return fmt.Errorf("%w: %w", courier.ErrUnavailable, err)
	}
	return err
}

// unavailable reports an error that may be gone when the same is asked later:
// no connection or a lost one, no time left, or a server that says "not now".
// A caller that went away is none, for nothing is wrong with PostgreSQL then.
func unavailable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return saysNotNow(pg.Code)
	}
	var (
		connect *pgconn.ConnectError
		network net.Error // context.DeadlineExceeded is one as well
	)
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		pgconn.SafeToRetry(err)
}

// saysNotNow reports a SQLSTATE that blames the moment, not the statement.
func saysNotNow(code string) bool {
	switch code {
	case "55P03", // lock_not_available
		"25006",          // read_only_sql_transaction: a standby, before or after a failover
		"42P01", "42703", // undefined table or column: the schema is not there yet
		"42501": // insufficient privilege: an operator has to mend it, the request is right
		return true
	}
	switch sqlstateClass(code) {
	case "08", // connection exception
		"28", // invalid authorization: an operator has to mend it, the request is right
		"3D", // invalid catalog name: the database is not there yet
		"40", // transaction rollback: deadlock, serialization failure
		"53", // insufficient resources
		"57", // operator intervention: shutting down, starting up, statement timeout
		"58": // system error
		return true
	}
	return false
}

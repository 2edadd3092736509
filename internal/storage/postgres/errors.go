package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/courier"
	"service-courier/internal/outage"
)

// orUnavailable makes err match courier.ErrUnavailable when PostgreSQL is unavailable;
// any other error stays as it is, see explain.
func orUnavailable(err error) error {
	err = explain(err)
	if unavailable(err) && !errors.Is(err, courier.ErrUnavailable) {
		return unavailableError{err}
	}
	return err
}

// unavailableError matches courier.ErrUnavailable, without its text: the log has the cause.
type unavailableError struct{ error }

// Is implements errors.Is.
func (unavailableError) Is(target error) bool { return target == courier.ErrUnavailable }

// Unwrap returns the underlying error.
func (e unavailableError) Unwrap() error { return e.error }

// unavailable reports an error that may be gone after a retry: no connection, a lost one,
// a timeout, or a temporary refusal. A cancelled request is none.
func unavailable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if isConnect(err) { // whatever SQLSTATE refuses the connection: no statement was run
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return isTemporary(pg.Code) || sequenceBehind(pg)
	}
	var network net.Error // context.DeadlineExceeded is one as well
	return errors.As(err, &network) || errors.Is(err, errUnusable) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		pgconn.SafeToRetry(err)
}

// isTemporary reports a SQLSTATE whose cause is not the statement.
func isTemporary(code string) bool {
	switch code {
	case "55P03", // lock_not_available
		"25006",                   // read_only_sql_transaction: a standby, before or after a failover
		"42P01", "42703", "42883", // undefined table, column or function: the schema is missing or out of date
		"42501": // insufficient_privilege: an operator has to fix it
		return true
	}
	switch sqlstateClass(code) {
	case "08", // connection exception
		"28", // invalid authorization: an operator has to fix it
		"3D", // invalid catalog name: the database does not exist yet
		"40", // transaction rollback: deadlock, serialization failure
		"53", // insufficient resources
		"57", // operator intervention: shutting down, starting up, statement timeout
		"58": // system error
		return true
	}
	return false
}

// cause is what is wrong and how to fix it; neither names a host, a user or a database.
type cause struct{ text, fix string }

// sequenceBehind reports whether an id from a sequence is in its table already. Our data
// are not the cause: a copy of the database has the rows, but not the sequence's state.
func sequenceBehind(pg *pgconn.PgError) bool {
	const uniqueViolation = "23505"
	switch pg.ConstraintName {
	case "journal_pkey", "dead_letters_pkey", "couriers_pkey":
		return pg.Code == uniqueViolation
	}
	return false
}

// causes of errors that an operator can fix, by SQLSTATE, or by SQLSTATE and routine of
// the server, whose messages may be translated.
var causes = map[string]cause{
	"28P01": {"PostgreSQL refuses the password", "correct the user and the password of DATABASE_URL"},
	"28000": {"PostgreSQL refuses the connection", "check that pg_hba.conf allows this user, with the sslmode and sslcert of DATABASE_URL"},
	"28000 InitializeSessionUserId": {
		"the role does not exist or may not log in", "CREATE ROLE … LOGIN or ALTER ROLE … LOGIN, or correct the user of DATABASE_URL",
	},
	"53300":                 {"PostgreSQL has no free connection", "raise max_connections, or the CONNECTION LIMIT of the role or the database; or lower pool_max_conns in DATABASE_URL"},
	"25006":                 readOnly,
	"57P01":                 {"PostgreSQL ended the connection", FixAbsent},
	"57P02":                 {"PostgreSQL ended the connection", FixAbsent},
	"57P03":                 {"PostgreSQL starts, recovers or shuts down", FixAbsent},
	"42P01":                 incomplete,
	"42703":                 incomplete,
	"42883":                 incomplete,
	"55P03":                 {"another session holds a lock", "find and end it, as a superuser: SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"},
	"53100":                 {"PostgreSQL's disk is full", "free space on the disk of PostgreSQL"},
	"3D000":                 {"the database does not exist", "create the database, or correct DATABASE_URL"},
	"3F000":                 {"the schema does not exist", fixSearchPath},
	"42501":                 {"a right is missing", fixGrant},
	"55000 CheckMyDatabase": {"the database accepts no connections", "ALTER DATABASE … ALLOW_CONNECTIONS true, or correct DATABASE_URL"},
	"42501 CheckMyDatabase": {
		"the right to connect is missing", "as the owner of the database: GRANT CONNECT ON DATABASE … TO the role of DATABASE_URL",
	},
}

var (
	readOnly   = cause{"PostgreSQL is read-only", "connect to the primary (target_session_attrs=read-write in DATABASE_URL), or set default_transaction_read_only to off"}
	incomplete = cause{"a part of the schema is missing", "run 'service-courier doctor', which names the migration or the right that is missing"}
)

// poolerCauses are by the text of PgBouncer, which has one SQLSTATE and no translations.
var poolerCauses = map[string]cause{
	"startup parameter":  {"a connection pooler refuses the settings of the session", fixPooler},
	"statement pooling":  {"the connection pooler has pool_mode = statement", "set pool_mode to transaction or session (docs/deploy.md#pgbouncer)"},
	"query_wait_timeout": {"the connection pooler has no free session", "increase its default_pool_size (docs/deploy.md#pgbouncer)"},
}

// causeOf returns the cause of a refusal.
func causeOf(pg *pgconn.PgError) cause {
	if sequenceBehind(pg) {
		return cause{"a sequence is behind the ids of its table", fixMigrate}
	}
	for text, c := range poolerCauses {
		if pg.Code == "08P01" && strings.Contains(pg.Message, text) {
			return c
		}
	}
	if c, ok := causes[pg.Code+" "+pg.Routine]; ok {
		return c
	}
	return causes[pg.Code]
}

var tlsSettings = outage.TLS{
	Switch: "sslmode", Address: "DATABASE_URL", Authority: "sslrootcert of DATABASE_URL",
	Certificate: "sslcert and sslkey of DATABASE_URL",
}

// explain adds cause and fix to an error that an operator can fix.
func explain(err error) error {
	if _, done := errors.AsType[outage.Fixable](err); done || err == nil {
		return err
	}
	var host *net.DNSError
	c := cause{"the TLS connection to PostgreSQL fails", outage.TLSFix(err, tlsSettings)}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		c = causeOf(pg)
	}
	if c.fix == "" && certificateRefused(err) {
		c.fix = tlsSettings.CertificateFix()
	}
	switch {
	case c.fix != "":
	case refusesTLS(err):
		c = cause{"PostgreSQL offers no TLS", "enable ssl on the server, or set sslmode=disable in DATABASE_URL"}
	case errors.Is(err, context.DeadlineExceeded):
		err = slowError{err}
		c = cause{"PostgreSQL does not answer in time", "check that it runs at DATABASE_URL, its load, and what blocks it in pg_stat_activity"}
	case errors.As(err, &host) && host.IsNotFound:
		c = cause{"the host of DATABASE_URL does not resolve", "correct it, or the entry in DNS"}
	case errors.Is(err, syscall.ECONNREFUSED):
		c = cause{"PostgreSQL refuses connections", FixAbsent}
	case isDown(err):
		c = cause{"PostgreSQL does not answer", FixAbsent}
	}
	if c.fix == "" {
		return err
	}
	down := isDown(err)
	if isConnect(err) {
		err = attemptsError{err}
	}
	if down {
		err = downError{err}
	}
	return outage.Fixable{Cause: c.text, Err: err, Fix: c.fix}
}

// certificateRefused reports a connection with a client certificate that the server closed
// before it said anything. The TLS alert with the reason may be lost then: TLS 1.3 sends it
// after the handshake.
func certificateRefused(err error) bool {
	connect, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok && connect.Config.TLSConfig != nil && len(connect.Config.TLSConfig.Certificates) > 0 &&
		(errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
}

// refusedTLS is pgconn's text for a server that offers no TLS; it exports no such error.
const refusedTLS = "server refused TLS connection"

// refusesTLS reports that the server offers no TLS, and sslmode allows no other connection.
func refusesTLS(err error) bool {
	connect, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok || connect.Config.TLSConfig == nil || !strings.Contains(err.Error(), refusedTLS) {
		return false
	}
	return !slices.ContainsFunc(connect.Config.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil })
}

// attemptsError is a failed connection whose text has each failure once, in one line.
// Without sslmode each host is tried with TLS and then without.
type attemptsError struct{ error }

// Error implements error.
func (e attemptsError) Error() string {
	attempts := strings.Split(e.error.Error(), "\n\t")
	if len(attempts) == 1 {
		return attempts[0]
	}
	var kept []string
	for _, a := range attempts[1:] {
		if !strings.HasSuffix(a, refusedTLS) && !slices.Contains(kept, a) {
			kept = append(kept, a)
		}
	}
	if len(kept) == 0 {
		kept = attempts[1:]
	}
	return attempts[0] + " " + strings.Join(kept, ", ")
}

// Unwrap returns the underlying error.
func (e attemptsError) Unwrap() error { return e.error }

// FixAbsent is what to do when no server answers, or not yet: one text, since the log
// repeats an outage whose fix changes.
const FixAbsent = "start PostgreSQL, wait until it has started, or correct DATABASE_URL"

// ExplainError adds cause and fix to an error that an operator can fix.
func ExplainError(err error) error { return explain(err) }

// Down reports an error of this package that every statement has at present, since there
// is no connection.
func Down(err error) bool {
	_, down := errors.AsType[downError](err)
	return down
}

// Impaired reports an error of this package that some statements have at present while
// others succeed: PostgreSQL is slow or read-only, has no free session, a session holds a
// lock, or a right or a part of the schema is missing.
func Impaired(err error) bool {
	if _, slow := errors.AsType[slowError](err); slow {
		return true
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch pg.Code {
	case "53300", "25006", "55P03", "42501", "42P01", "42703", "42883":
		return true
	}
	return false
}

// slowError marks the timeouts for Impaired: those of other packages look alike.
type slowError struct{ error }

// Unwrap returns the underlying error.
func (e slowError) Unwrap() error { return e.error }

// downError marks the errors for Down: others, such as those of service-order's client,
// may look alike.
type downError struct{ error }

// Unwrap returns the underlying error.
func (e downError) Unwrap() error { return e.error }

// isDown reports that there is no connection, or that it broke.
func isDown(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "57P01", "57P02", "57P03": // shutting down, crashed, starting up
			return true
		case "53300": // sessions that are connected go on
			return false
		}
		return isConnect(err)
	}
	var network *net.OpError
	if isConnect(err) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	return pgconn.SafeToRetry(err) && !errors.Is(err, context.DeadlineExceeded) // "conn closed"
}

const queryCanceled = "57014"

// Answered reports that PostgreSQL answered, with an error, in time.
func Answered(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code != queryCanceled && !isDown(err)
}

// isConnect reports that the connection was not made; the error of a statement is another.
func isConnect(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/outage"
)

// mends says of what a server refuses, by SQLSTATE, how to mend it.
var mends = map[string]string{
	"28P01": "correct the user and the password of DATABASE_URL",
	"28000": "see that pg_hba.conf lets this user in this way, with the sslmode and the sslcert of DATABASE_URL",
	"3D000": "create the database, or correct DATABASE_URL",
	"42501": "grant this role its rights, as the owner of the schema: service-courier migrate grant ROLE",
}

var tlsSettings = outage.TLS{
	Switch: "sslmode", Address: "DATABASE_URL", Authority: "sslrootcert of DATABASE_URL",
	Certificate: "sslcert and sslkey of DATABASE_URL",
}

// explain says how to mend what keeps the server from being asked.
func explain(err error) error {
	mend := outage.MendTLS(err, tlsSettings)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		mend = mends[pg.Code]
	}
	if mend == "" {
		return err
	}
	return outage.Mendable{Err: err, Mend: mend}
}

// MendAbsent is what to do when no server answers.
const MendAbsent = "start PostgreSQL, or correct DATABASE_URL"

// ForPerson explains an error to a person who waits for a command. That no server
// answers needs a mend here; the log of a service that tries on does not.
func ForPerson(err error) error {
	_, told := errors.AsType[outage.Mendable](err)
	if !told {
		err = explain(err)
		_, told = errors.AsType[outage.Mendable](err)
	}
	if _, absent := errors.AsType[*pgconn.ConnectError](err); absent && !told {
		return outage.Mendable{Err: err, Mend: MendAbsent}
	}
	return err
}

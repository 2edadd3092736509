package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/dev/devpostgres"
	"service-courier/test/certificates"
)

// certified is a role that authenticates by certificate.
const certified = "certified"

// securePostgres is a server that requires TLS: role user by password, role certified by
// certificate.
type securePostgres struct {
	*testing.T
	*devpostgres.Server
	password string // of user
}

func newSecurePostgres(t *testing.T, ca *certificates.Authority, server certificates.Pair, password string) *securePostgres {
	t.Helper()
	p := &securePostgres{t, startPostgres(t), password}
	p.admin(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", user, password), "CREATE ROLE "+certified+" LOGIN")
	p.write("pg_hba.conf", []byte(strings.Join([]string{
		"host      all postgres " + "127.0.0.1/32 scram-sha-256",
		"hostssl   all " + certified + " 127.0.0.1/32 cert",
		"hostssl   all " + user + " 127.0.0.1/32 scram-sha-256",
		"",
	}, "\n")))
	p.write("ca.pem", ca.PEM)
	p.admin("ALTER SYSTEM SET ssl_cert_file = 'server.pem'", "ALTER SYSTEM SET ssl_key_file = 'server.key'",
		"ALTER SYSTEM SET ssl_ca_file = 'ca.pem'", "ALTER SYSTEM SET ssl = on")
	p.useCertificate(server)
	return p
}

// useCertificate changes the certificate of the server.
func (p *securePostgres) useCertificate(server certificates.Pair) {
	p.Helper()
	p.write("server.pem", server.Certificate)
	p.write("server.key", server.Key)
	p.admin("SELECT pg_reload_conf()")
}

// write writes a file into the data directory, as the server's user.
func (p *securePostgres) write(name string, content []byte) {
	p.Helper()
	var dir string
	p.query("SHOW data_directory", &dir)
	info, err := os.Stat(dir)
	if err != nil {
		p.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		p.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
		p.Fatal(err)
	}
}

// admin runs statements as the superuser.
func (p *securePostgres) admin(statements ...string) {
	p.Helper()
	conn := p.connect()
	defer func() { _ = conn.Close(p.Context()) }()
	for _, statement := range statements {
		if _, err := conn.Exec(p.Context(), statement); err != nil {
			p.Fatalf("%s: %v", statement, err)
		}
	}
}

func (p *securePostgres) query(query string, into any) {
	p.Helper()
	conn := p.connect()
	defer func() { _ = conn.Close(p.Context()) }()
	if err := conn.QueryRow(p.Context(), query).Scan(into); err != nil {
		p.Fatalf("%s: %v", query, err)
	}
}

func (p *securePostgres) connect() *pgx.Conn {
	p.Helper()
	conn, err := pgx.Connect(p.Context(), p.URL("postgres"))
	if err != nil {
		p.Fatal(err)
	}
	return conn
}

// urlFor returns the URL of a database for a role, with verified TLS.
func (p *securePostgres) urlFor(role *url.Userinfo, database string, parameters ...string) string {
	p.Helper()
	u, err := url.Parse(database)
	if err != nil {
		p.Fatal(err)
	}
	u.User, u.RawQuery = role, strings.Join(append(parameters, "sslmode=verify-full"), "&")
	return u.String()
}

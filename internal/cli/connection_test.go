package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"testing"

	"service-courier/internal/cli/doctor"
	"service-courier/internal/cli/output"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/deadletters"
)

// forward passes connections to address from on to address to, until the test ends.
func forward(t *testing.T, network, from, to string) net.Addr {
	t.Helper()
	var c net.ListenConfig
	listener, err := c.Listen(t.Context(), network, from)
	if err != nil {
		t.Skipf("this machine cannot listen on %s: %v", from, err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			var d net.Dialer
			out, err := d.DialContext(context.WithoutCancel(t.Context()), "tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			pass := func(into, from net.Conn) { _, _ = io.Copy(into, from); _ = into.Close(); _ = from.Close() }
			go pass(in, out)
			go pass(out, in)
		}
	}()
	return listener.Addr()
}

// TestConnectionStrings: every command that connects to PostgreSQL takes what psql takes,
// and the parameters of the pool.
func TestConnectionStrings(t *testing.T) {
	database := pgtest.NewDatabase(t, nil)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	name := u.Path[1:]
	sockets := t.TempDir()
	forward(t, "unix", filepath.Join(sockets, ".s.PGSQL.5439"), u.Host)
	_, six, err := net.SplitHostPort(forward(t, "tcp6", "[::1]:0", u.Host).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // no .env
	login, encoded := "postgres://postgres:"+password+"@", url.PathEscape(sockets)
	for what, raw := range map[string]string{
		"socket in the parameters": login + "/" + name + "?host=" + url.QueryEscape(sockets) + "&port=5439",
		"socket as the host":       login + encoded + ":5439/" + name,
		"IPv6":                     login + "[::1]:" + six + "/" + name + "?sslmode=disable",
		"several hosts":            login + "127.0.0.1:1,[::1]:" + six + "," + u.Host + "/" + name + "?target_session_attrs=read-write",
		"name=value":               "host=" + u.Hostname() + " port=" + u.Port() + " dbname=" + name + " user=postgres password='" + password + "' sslmode=disable",
		"name=value, socket":       "host='" + sockets + "' port=5439 dbname=" + name + " user=postgres password=" + password,
		"parameters of the pool":   database + "&pool_max_conns=4&pool_min_conns=2&pool_max_conn_lifetime=1h&pool_max_conn_idle_time=1m",
		"parameters of libpq":      database + "&keepalives=1&keepalives_idle=5&gssencmode=prefer&connect_timeout=5&fallback_application_name=x",
		"described statements":     database + "&default_query_exec_mode=cache_describe",
	} {
		t.Run(what, func(t *testing.T) {
			t.Setenv("DATABASE_URL", raw)
			t.Setenv("PGCONNECT_TIMEOUT", "60") // the machine may be busy
			commands := []struct {
				name string
				run  func() error
			}{
				{"migrate up", func() error { return MigrateUp(t.Context(), io.Discard) }},
				{"migrate status", func() error { return MigrateStatus(t.Context(), output.Writer{Out: io.Discard, Format: output.JSON}) }},
				{"migrate grant", func() error { return MigrateGrant(t.Context(), "pg_monitor", io.Discard) }},
				{"deadletters list", func() error {
					return ListDeadLetters(t.Context(), deadletters.Filter{}, 1, output.Writer{Out: io.Discard, Format: output.JSON}, io.Discard)
				}},
				{"serve", func() error { return checkSchema(t, raw) }},
				{"doctor", func() error { return checkDoctor(t) }},
				{"migrate down", func() error { return MigrateDown(t.Context(), io.Discard) }},
			}
			for _, command := range commands {
				if err := command.run(); err != nil {
					t.Fatalf("%s: %v", command.name, err)
				}
			}
		})
	}
}

func checkSchema(t *testing.T, raw string) error {
	t.Helper()
	pool, err := postgres.Open(t.Context(), raw, 12)
	if err != nil {
		return err
	}
	defer pool.Close()
	return postgres.CheckSchema(t.Context(), pool)
}

// checkDoctor fails unless doctor finds the schema. Other checks fail here.
func checkDoctor(t *testing.T) error {
	t.Helper()
	var out bytes.Buffer
	_ = doctor.Run(t.Context(), output.Writer{Out: &out, Format: output.JSON})
	var report struct{ Findings []doctor.Finding }
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return err
	}
	for _, f := range report.Findings {
		if f.Check == "schema" && f.Status == doctor.OK {
			return nil
		}
	}
	return errors.New(out.String())
}

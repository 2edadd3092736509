package postgres_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/storage/postgres"
)

// TestFilesAreReadAgain: what a file of DATABASE_URL holds may be mended while
// the pool is open. (Certificates go the same way; TestSecure in test/e2e has
// them.) Without renew the second look fails as the first.
func TestFilesAreReadAgain(t *testing.T) {
	u, err := url.Parse(pgtest.NewDatabase(t, postgres.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	passfile := filepath.Join(t.TempDir(), "passfile")
	u.User = url.User(u.User.Username())
	u.RawQuery += "&passfile=" + passfile
	write := func(password string) {
		if err := os.WriteFile(passfile, []byte("*:*:*:*:"+password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("not-" + password)
	pool, err := postgres.Open(t.Context(), u.String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	err = postgres.CheckSchema(t.Context(), pool)
	if err == nil || !strings.Contains(err.Error(), "correct the user and the password of DATABASE_URL") || strings.Contains(err.Error(), password) {
		t.Errorf("with a wrong password: %v", err)
	}
	write(password)
	if err := postgres.CheckSchema(t.Context(), pool); err != nil {
		t.Errorf("with the right one: %v", err)
	}
}

// TestNobodyHoldsALockForEver: a session that waits, or that a hung process left in
// its transaction, is ended by the server. It fails without these timeouts in Open.
func TestNobodyHoldsALockForEver(t *testing.T) {
	f := newFixture(t)
	for name, want := range map[string]string{
		"lock_timeout": "2s", "statement_timeout": "15s", "idle_in_transaction_session_timeout": "15s",
	} {
		f.expect(want, "SELECT current_setting('"+name+"')")
	}
}

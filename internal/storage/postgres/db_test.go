package postgres_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// TestFilesAreReadAgain: the files that DATABASE_URL names may change while the pool is
// open. (TestSecure in test/e2e does the same with certificates.) It fails without
// renew.
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

// TestServerEndsHangingSessions: the server ends a session that waits too long, or that
// a hanging process left in a transaction. It fails without the timeouts in Open.
func TestServerEndsHangingSessions(t *testing.T) {
	f := newFixture(t)
	for name, want := range map[string]string{
		"lock_timeout": "2s", "statement_timeout": "15s", "idle_in_transaction_session_timeout": "15s",
	} {
		f.expect(want, "SELECT current_setting('"+name+"')")
	}
}

// TestPanicRollsBack: a panic in a transaction releases its locks and its connection. It
// fails without the deferred Rollback in inTx.
func TestPanicRollsBack(t *testing.T) {
	pool, err := postgres.Open(t.Context(), pgtest.NewDatabase(t, postgres.Migrate), 1)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = postgres.NewOrders(pool).InTx(t.Context(), func(orderevent.Tx) error { panic("fault") })
	}()
	if n := pool.Stat().AcquiredConns(); n != 0 {
		t.Fatalf("%d connections are still in use", n) // Close would wait for them
	}
	pool.Close()
}

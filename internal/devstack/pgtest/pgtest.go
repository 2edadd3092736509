// Package pgtest gives tests databases on a real PostgreSQL: one private
// cluster a test process, started on first use, and in it one database a test,
// cloned from a template that is migrated once. Nothing is shared between test
// processes, so that packages may be tested in parallel, and nothing is left
// behind, even by a process that is killed.
//
// It is for _test.go files and their helpers alone. Of the environment it reads
// PG_BIN_DIR, since a test run has no other configuration.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"service-courier/internal/devstack"
)

const (
	startTimeout    = 5 * time.Minute // a first run may fetch the binaries
	stopTimeout     = 20 * time.Second
	databaseTimeout = time.Minute
)

// cluster is the process's one, from first use to Stop.
var cluster struct {
	mu      sync.Mutex
	started bool
	pg      *devstack.Postgres
	err     error
}

// Main runs the tests of a package and then stops the cluster. For TestMain:
//
//	func TestMain(m *testing.M) {
//		code := pgtest.Main(m)
//		if code == 0 { … goleak.Find() … }
//		os.Exit(code)
//	}
func Main(m *testing.M) int {
	code := m.Run()
	if err := Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest: stop the cluster:", err)
		return max(code, 1)
	}
	return code
}

// Stop ends the cluster, if one was started, and removes it. Main calls it;
// it is exported for a TestMain of another shape. No database is to be had
// afterwards.
func Stop() error {
	cluster.mu.Lock()
	defer cluster.mu.Unlock()
	pg := cluster.pg
	cluster.started, cluster.pg, cluster.err = true, nil, errors.New("the cluster was stopped")
	if pg == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return pg.Stop(ctx)
}

// start returns the cluster. A failure is kept: it would repeat for each test.
func start() (*devstack.Postgres, error) {
	cluster.mu.Lock()
	defer cluster.mu.Unlock()
	if cluster.started {
		return cluster.pg, cluster.err
	}
	cluster.started = true
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cluster.pg, cluster.err = devstack.StartPostgres(ctx, devstack.PostgresConfig{
		BinDir:         os.Getenv("PG_BIN_DIR"),
		Fast:           true,
		MaxConnections: 300,
		Progress:       os.Stderr,
		Logger:         slog.New(slog.DiscardHandler),
	})
	return cluster.pg, cluster.err
}

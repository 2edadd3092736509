package devstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

type postgresReport struct {
	Server, Watchdog, Port int
	URL, Root              string
}

// postgresChild runs a cluster in the directory of its argument, "" for a
// temporary one, until it is killed.
func postgresChild() {
	pg, err := StartPostgres(context.Background(), PostgresConfig{DataDir: os.Args[1], Fast: true, Logger: silent()})
	if err != nil {
		childFailed(err)
	}
	reportAndWait(postgresReport{
		Server: pg.proc.pid(), Watchdog: pg.dog.proc.pid(), Port: pg.Port(),
		URL: pg.URL("postgres"), Root: pg.dir.root,
	})
}

// Fails without the watchdog: the server of the killed parent runs on.
func TestKilledParentLeavesNothing(t *testing.T) {
	t.Parallel()
	var pg postgresReport
	startChild(t, "postgres", "", &pg).kill()
	eventually(t, "the server ends", func() bool { return commandLine(t.Context(), pg.Server) == "" })
	eventually(t, "its directory is removed", func() bool {
		_, err := os.Stat(pg.Root)
		return errors.Is(err, os.ErrNotExist)
	})
	eventually(t, "the watchdog ends", func() bool { return commandLine(t.Context(), pg.Watchdog) == "" })
}

func TestStartAfterAKilledParent(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachableDir(t), "pg")
	var pg postgresReport
	parent := startChild(t, "postgres", dir, &pg)
	execute(t, pg.URL, "CREATE TABLE couriers (id int)")
	parent.kill()

	// At once: the watchdog may still be at it.
	again := startTestPostgres(t, dir, pg.Port)
	execute(t, again.URL("postgres"), "INSERT INTO couriers VALUES (1)")
}

// Fails without stopOrphan: the new server finds the port and the lock taken.
func TestStartStopsAnOrphan(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachableDir(t), "pg")
	var pg postgresReport
	parent := startChild(t, "postgres", dir, &pg)
	execute(t, pg.URL, "CREATE TABLE couriers (id int)")
	if err := syscall.Kill(pg.Watchdog, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	parent.kill()
	if commandLine(t.Context(), pg.Server) == "" {
		t.Fatal("no orphan to test with")
	}

	again := startTestPostgres(t, dir, pg.Port)
	execute(t, again.URL("postgres"), "INSERT INTO couriers VALUES (1)")
}

// A pid file may name a living stranger: pids are reused. PostgreSQL itself
// refuses to start when that one has the server's user.
func TestPIDFileOfAStranger(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachableDir(t), "pg")
	pg := startTestPostgres(t, dir, 0)
	if err := pg.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	stranger, err := startProcess(t.Context(), pg.who, nil, "/bin/sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stranger.stop(context.Background(), immediately[len(immediately)-1]) })
	pidFile := filepath.Join(pg.dir.cluster(), "postmaster.pid")
	text := strconv.Itoa(stranger.pid()) + "\n" + pg.dir.cluster() + "\n"
	if err := errors.Join(os.WriteFile(pidFile, []byte(text), 0o600), pg.who.own(pidFile)); err != nil {
		t.Fatal(err)
	}

	startTestPostgres(t, dir, 0)
	if stranger.ended() {
		t.Fatal("the stranger was killed")
	}
}

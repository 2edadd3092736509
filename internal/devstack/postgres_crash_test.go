package devstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// startPostgresChild also ends the server that a failing test leaves.
func startPostgresChild(t *testing.T, dir string) (*child, postgresReport) {
	t.Helper()
	var report postgresReport
	parent := startChild(t, "postgres", dir, &report)
	t.Cleanup(func() {
		if strings.Contains(commandLine(context.Background(), report.Server), report.Root) {
			_ = syscall.Kill(report.Server, syscall.SIGQUIT)
		}
	})
	return parent, report
}

// Fails without the watchdog: the server of the killed parent runs on.
func TestKilledParentLeavesNothing(t *testing.T) {
	t.Parallel()
	parent, pg := startPostgresChild(t, "")
	parent.kill()
	eventually(t, "the server ends", func() bool { return commandLine(t.Context(), pg.Server) == "" })
	eventually(t, "its directory is removed", func() bool {
		_, err := os.Stat(pg.Root)
		return errors.Is(err, os.ErrNotExist)
	})
	eventually(t, "the watchdog ends", func() bool { return commandLine(t.Context(), pg.Watchdog) == "" })
}

func TestStartAfterACrash(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachableDir(t), "pg")

	t.Run("the parent killed, its watchdog still at it", func(t *testing.T) {
		parent, pg := startPostgresChild(t, dir)
		execute(t, pg.URL, "CREATE TABLE couriers (id int)")
		parent.kill()
		startAgain(t, dir, pg.Port)
	})
	// Fails without stopOrphan: the new server finds the port taken.
	t.Run("an orphan runs on", func(t *testing.T) {
		parent, pg := startPostgresChild(t, dir)
		if err := syscall.Kill(pg.Watchdog, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		parent.kill()
		if commandLine(t.Context(), pg.Server) == "" {
			t.Fatal("no orphan to test with")
		}
		startAgain(t, dir, pg.Port)
	})
	// Pids are reused. PostgreSQL itself refuses to start beside a pid file
	// that names a living process of its user. Fails unless that is removed.
	t.Run("a stranger has the old pid", func(t *testing.T) {
		stranger := startStranger(t, dir)
		startAgain(t, dir, 0)
		if stranger.ended() {
			t.Fatal("the stranger was killed")
		}
	})
}

// startAgain finds the table of the first start.
func startAgain(t *testing.T, dir string, port int) {
	t.Helper()
	pg := startTestPostgres(t, dir, port)
	execute(t, pg.URL("postgres"), "INSERT INTO couriers VALUES (1)")
	if err := pg.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// startStranger runs a process of the server's user, named by the pid file of
// the stopped cluster.
func startStranger(t *testing.T, dir string) *process {
	t.Helper()
	who, err := serverAccount()
	must(t, err)
	stranger, err := startProcess(t.Context(), who, nil, nil, "/bin/sleep", "60")
	must(t, err)
	t.Cleanup(func() { stranger.stop(context.Background(), immediately[len(immediately)-1]) })

	cluster := filepath.Join(dir, "data")
	pidFile := filepath.Join(cluster, "postmaster.pid")
	must(t, os.WriteFile(pidFile, []byte(strconv.Itoa(stranger.pid())+"\n"+cluster+"\n"), 0o600))
	must(t, who.own(pidFile))
	return stranger
}

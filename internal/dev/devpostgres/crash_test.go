package devpostgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"service-courier/internal/dev/childtest"
)

type childReport struct {
	Server, Watchdog, Port int
	URL, Root              string
}

// serverChild runs a cluster in the directory of its argument, "" for a
// temporary one, until it is killed.
func serverChild() {
	pg, err := Start(context.Background(), Config{DataDir: os.Args[1], Fast: true, Logger: silent()})
	if err != nil {
		childtest.Fail(err)
	}
	childtest.ReportAndWait(childReport{
		Server: pg.proc.pid(), Watchdog: pg.watchdog.proc.pid(), Port: pg.Port(),
		URL: pg.URL("postgres"), Root: pg.dir.root,
	})
}

// startServerChild also stops the server that a failing test leaves running.
func startServerChild(t *testing.T, dir string) (kill func(), _ childReport) {
	t.Helper()
	var report childReport
	kill = childtest.Start(t, dir, &report)
	t.Cleanup(func() {
		if strings.Contains(commandLine(context.Background(), report.Server), report.Root) {
			_ = syscall.Kill(report.Server, syscall.SIGQUIT)
		}
	})
	return kill, report
}

// Fails without the watchdog: the server outlives its parent.
func TestWatchdogCleansUpAfterKill(t *testing.T) {
	t.Parallel()
	kill, pg := startServerChild(t, "")
	kill()
	eventually(t, "the server ends", func() bool { return commandLine(t.Context(), pg.Server) == "" })
	eventually(t, "its directory is removed", func() bool {
		_, err := os.Stat(pg.Root)
		return errors.Is(err, os.ErrNotExist)
	})
	eventually(t, "the watchdog ends", func() bool { return commandLine(t.Context(), pg.Watchdog) == "" })
}

func TestStartAfterCrash(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachableDir(t), "pg")

	t.Run("the watchdog is still stopping the server", func(t *testing.T) {
		kill, pg := startServerChild(t, dir)
		execute(t, pg.URL, "CREATE TABLE couriers (id int)")
		kill()
		startAgain(t, dir, pg.Port)
	})
	// Fails without stopOrphan: the port is taken.
	t.Run("the server still runs", func(t *testing.T) {
		kill, pg := startServerChild(t, dir)
		if err := syscall.Kill(pg.Watchdog, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		kill()
		if commandLine(t.Context(), pg.Server) == "" {
			t.Fatal("the server does not run")
		}
		startAgain(t, dir, pg.Port)
	})
	// PostgreSQL refuses to start while its pid file names a living process of
	// its user. Fails unless stopOrphan removes the file.
	t.Run("an unrelated process has the old pid", func(t *testing.T) {
		unrelated := startUnrelated(t, dir)
		startAgain(t, dir, 0)
		if unrelated.ended() {
			t.Fatal("the unrelated process was killed")
		}
	})
}

// startAgain expects the table of the first start.
func startAgain(t *testing.T, dir string, port int) {
	t.Helper()
	pg := startTest(t, dir, port)
	execute(t, pg.URL("postgres"), "INSERT INTO couriers VALUES (1)")
	if err := pg.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// startUnrelated runs a process as the server's user and writes its pid into the
// pid file of the stopped cluster.
func startUnrelated(t *testing.T, dir string) *process {
	t.Helper()
	user, err := serverAccount()
	must(t, err)
	unrelated, err := startProcess(t.Context(), user, nil, nil, "/bin/sleep", "60")
	must(t, err)
	t.Cleanup(func() { unrelated.stop(context.Background(), immediateShutdown[len(immediateShutdown)-1]) })

	cluster := filepath.Join(dir, "data")
	pidFile := filepath.Join(cluster, "postmaster.pid")
	must(t, os.WriteFile(pidFile, []byte(strconv.Itoa(unrelated.pid())+"\n"+cluster+"\n"), 0o600))
	must(t, user.own(pidFile))
	return unrelated
}

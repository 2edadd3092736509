package devpostgres

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/dev"
)

// startTest starts a durable cluster without its fsyncs.
func startTest(t *testing.T, dir string, port int) *Server {
	t.Helper()
	pg, err := Start(t.Context(), Config{DataDir: dir, Port: port, Fast: true, Logger: silent()})
	if err != nil {
		t.Fatal(err)
	}
	stopIn(t, pg.Stop)
	return pg
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// The subtests share one cluster, since each new one costs an initdb.
func TestDataAndPortSurviveRestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachableDir(t), "missing", "postgres")
	pg := startTest(t, dir, 0)
	if err := errors.Join(pg.EnsureDatabase(t.Context(), "Two words"), pg.EnsureDatabase(t.Context(), "Two words")); err != nil {
		t.Fatal(err)
	}
	url := pg.URL("Two words")
	execute(t, url, "CREATE TABLE couriers (id int)")

	t.Run("a second start on the directory is refused", func(t *testing.T) {
		_, err := Start(t.Context(), Config{DataDir: dir, Logger: silent()})
		if !errors.Is(err, dev.ErrLocked) {
			t.Fatalf("err = %v", err)
		}
	})
	t.Run("after a crash and Restart", func(t *testing.T) {
		pg.Kill()
		<-pg.Done()
		if err := pg.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		execute(t, url, "INSERT INTO couriers VALUES (1)")
	})
	t.Run("after Stop and a new start", func(t *testing.T) {
		if err := errors.Join(pg.Stop(t.Context()), pg.Stop(t.Context())); err != nil {
			t.Fatal(err)
		}
		if err := pg.Restart(t.Context()); !errors.Is(err, errStopped) {
			t.Fatalf("Restart after Stop: %v", err)
		}
		again := startTest(t, dir, pg.Port())
		if again.URL("Two words") != url {
			t.Fatal("another URL")
		}
		execute(t, url, "INSERT INTO couriers VALUES (2)")

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := again.Stop(ended); err != nil || !again.proc.ended() {
			t.Fatalf("Stop with an ended context: %v, ended = %v", err, again.proc.ended())
		}
	})
	t.Run("a bad setting fails with the server's message", func(t *testing.T) {
		settings := map[string]string{"work_mem": "plenty"}
		_, err := Start(t.Context(), Config{DataDir: dir, Settings: settings, Logger: silent()})
		if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "work_mem"`) {
			t.Fatalf("err = %v", err)
		}
	})
}

func TestStopRemovesTemporaryCluster(t *testing.T) {
	t.Setenv("PGDATA", "/nowhere") // PG variables of the caller have no effect
	t.Setenv("PGOPTIONS", "-c nonsense")
	var log bytes.Buffer
	pg, err := Start(t.Context(), Config{Fast: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	stopIn(t, pg.Stop)

	if strings.Contains(log.String(), pg.password) {
		t.Error("the password is in the log")
	}
	if info, err := os.Stat(pg.dir.password()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v, %v", info, err)
	}
	// Ctrl-C reaches the foreground process group of the terminal only.
	for _, pid := range []int{pg.proc.pid(), pg.watchdog.proc.pid()} {
		if group, err := syscall.Getpgid(pid); err != nil || group == syscall.Getpgrp() {
			t.Errorf("process group of %d: %d, %v", pid, group, err)
		}
	}
	server, root := pg.proc.pid(), pg.dir.root
	if err := pg.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", root, err)
	}
	if commandLine(t.Context(), server) != "" {
		t.Error("the server still runs")
	}
}

func TestStartFailures(t *testing.T) {
	t.Parallel()
	taken, err := dev.Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	foreign := reachableDir(t)
	if err := os.WriteFile(filepath.Join(foreign, "diary.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()

	for name, c := range map[string]struct {
		ctx  context.Context
		cfg  Config
		want []string
	}{
		"port taken": {
			cfg:  Config{Port: taken.Addr().(*net.TCPAddr).Port},
			want: []string{"taken", "choose another port"},
		},
		"foreign directory": {
			cfg:  Config{DataDir: foreign},
			want: []string{foreign, "other than a cluster"},
		},
		"directory below a file": {
			cfg:  Config{DataDir: filepath.Join(foreign, "diary.txt", "x")},
			want: []string{"data directory", "not a directory"},
		},
		"missing binaries": {
			cfg:  Config{BinDir: foreign},
			want: []string{"PG_BIN_DIR", foreign},
		},
		"cancelled": {
			ctx:  cancelled,
			want: []string{context.Canceled.Error()},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			c.cfg.Fast, c.cfg.Logger = true, silent()
			pg, err := Start(ctx, c.cfg)
			if err == nil {
				stopIn(t, pg.Stop)
				t.Fatal("started")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func TestUnwritableDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root can write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{DataDir: filepath.Join(dir, "pg"), Logger: silent()})
	if err == nil || !strings.Contains(err.Error(), "choose one that this user may write") {
		t.Fatalf("err = %v", err)
	}
}

func TestDirectoryClosedToTheServerUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as another user")
	}
	closed := t.TempDir() // 0700 and root's
	_, err := Start(t.Context(), Config{DataDir: filepath.Join(closed, "pg"), Logger: silent()})
	if err == nil || !strings.Contains(err.Error(), "cannot enter") {
		t.Fatalf("err = %v", err)
	}
}

package devmode

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Each error says what is wrong, why and how to fix it; all bad ports at once.
func TestErrors(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // listens at once
	must(t, err)
	t.Cleanup(func() { must(t, busy.Close()) })
	taken := busy.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))

	for name, tt := range map[string]struct {
		cfg  Config
		want []string
	}{
		"ports": {
			Config{HTTPPort: taken, OrderPort: taken, KafkaPort: 70000, PostgresPort: -1},
			[]string{
				"--http-port " + strconv.Itoa(taken) + ": port is taken; stop what listens on " + busy.Addr().String() + ", or choose another port",
				"--order-port " + strconv.Itoa(taken) + ": same port as --http-port; choose another port",
				"--kafka-port 70000: not a port; choose one from 1 to 65535",
				"--postgres-port -1: not a port",
			},
		},
		"data directory below a file": {
			Config{DataDir: filepath.Join(file, "data")},
			[]string{"--data: ", file, "not a directory; choose a directory that you may write to"},
		},
		"data directory with other files": {
			Config{DataDir: filepath.Dir(file)},
			[]string{"--data: " + filepath.Dir(file) + " holds other files, such as file, but no data of dev; choose an empty or new directory"},
		},
		"no PostgreSQL in PG_BIN_DIR": {
			Config{PGBinDir: t.TempDir()},
			[]string{"no such file", "set PG_BIN_DIR to the directory of postgres and initdb, or unset it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := Run(t.Context(), tt.cfg, &out, t.Output())
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q", err, want)
				}
			}
		})
	}
}

// Root must not take over another user's directory, whose database would then
// belong to a third user.
func TestRefusesDirectoryOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can create another user's directory")
	}
	dir := dataDir(t)
	must(t, os.Mkdir(filepath.Join(dir, kafkaDir), 0o700))
	must(t, os.Chown(filepath.Join(dir, kafkaDir), 65534, 65534))
	err := Run(t.Context(), Config{DataDir: dir}, t.Output(), t.Output())
	if err == nil || !strings.Contains(err.Error(), dir+" belongs to user ") || !strings.Contains(err.Error(), "run dev as that user, or choose another directory") {
		t.Errorf("error %v", err)
	}
}

// TestDataDirectoryOfOthers: dev, often started as root, does not follow the links of
// another user, and creates and changes nothing behind them.
func TestDataDirectoryOfOthers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can create another user's files")
	}
	const stranger = 65534
	for name, tt := range map[string]struct {
		prepare func(base, target string) (dir string)
		want    string
	}{
		"leaf of another user": {func(base, target string) string {
			must(t, os.Mkdir(filepath.Join(base, "x"), 0o755))
			must(t, os.Symlink(target, filepath.Join(base, "x", ordersFile)))
			must(t, os.Chown(filepath.Join(base, "x"), stranger, stranger))
			return filepath.Join(base, "x")
		}, "belongs to user"},
		"link of another user": {func(base, target string) string {
			must(t, os.Symlink(filepath.Dir(target), filepath.Join(base, "x")))
			must(t, os.Lchown(filepath.Join(base, "x"), stranger, stranger))
			return filepath.Join(base, "x")
		}, "belongs to user"},
		"link of another user in the path": {func(base, target string) string {
			must(t, os.Symlink(filepath.Dir(target), filepath.Join(base, "x")))
			must(t, os.Lchown(filepath.Join(base, "x"), stranger, stranger))
			return filepath.Join(base, "x", "new")
		}, "belongs to user"},
		"own link into another user's directory": {func(base, _ string) string {
			must(t, os.Mkdir(filepath.Join(base, "theirs"), 0o755))
			must(t, os.Chown(filepath.Join(base, "theirs"), stranger, stranger))
			must(t, os.Symlink(filepath.Join(base, "theirs"), filepath.Join(base, "x")))
			return filepath.Join(base, "x", "new")
		}, "belongs to user"},
		"own link to a link of another user": {func(base, target string) string {
			must(t, os.Symlink(filepath.Dir(target), filepath.Join(base, "theirs")))
			must(t, os.Lchown(filepath.Join(base, "theirs"), stranger, stranger))
			must(t, os.Symlink("theirs", filepath.Join(base, "x")))
			return filepath.Join(base, "x", "new")
		}, "belongs to user"},
		"own link through another user's directory": {func(base, target string) string {
			must(t, os.Mkdir(filepath.Join(base, "theirs"), 0o755))
			must(t, os.Symlink(filepath.Dir(target), filepath.Join(base, "theirs", "link")))
			must(t, os.Chown(filepath.Join(base, "theirs"), stranger, stranger))
			must(t, os.Symlink(filepath.Join(base, "theirs", "link"), filepath.Join(base, "x")))
			return filepath.Join(base, "x", "new")
		}, "belongs to user"},
		"parent of another user": {func(base, _ string) string {
			must(t, os.MkdirAll(filepath.Join(base, "home", "x"), 0o755))
			must(t, os.Chown(filepath.Join(base, "home"), stranger, stranger))
			return filepath.Join(base, "home", "x")
		}, "belongs to user"},
		"parent that others may write": {func(base, _ string) string {
			must(t, os.Mkdir(filepath.Join(base, "open"), 0o755))
			must(t, os.Chmod(filepath.Join(base, "open"), 0o777)) //nolint:gosec // the fault
			return filepath.Join(base, "open", "x")
		}, "other users may write to"},
		"leaf that others may write, sticky": {func(base, _ string) string {
			must(t, os.Mkdir(filepath.Join(base, "x"), 0o755))
			must(t, os.Chmod(filepath.Join(base, "x"), 0o777|os.ModeSticky))
			return filepath.Join(base, "x")
		}, "other users may write to"},
		"leaf that the group may write": {func(base, _ string) string {
			must(t, os.Mkdir(filepath.Join(base, "x"), 0o755))
			must(t, os.Chmod(filepath.Join(base, "x"), 0o775)) //nolint:gosec // the fault
			must(t, os.Chown(filepath.Join(base, "x"), 0, stranger))
			return filepath.Join(base, "x")
		}, "other users may write to"},
		"link in an own directory": {func(base, target string) string {
			must(t, os.Mkdir(filepath.Join(base, "x"), 0o755))
			must(t, os.Symlink(target, filepath.Join(base, "x", ordersFile)))
			return filepath.Join(base, "x")
		}, "is a link"},
		"link that dev would truncate": {func(base, target string) string {
			must(t, os.MkdirAll(filepath.Join(base, "x", kafkaDir), 0o755))
			must(t, os.Symlink(target, filepath.Join(base, "x", ordersFile+".tmp")))
			return filepath.Join(base, "x")
		}, "is a link"},
		"link instead of PostgreSQL's directory": {func(base, target string) string {
			must(t, os.Mkdir(filepath.Join(base, "x"), 0o755))
			must(t, os.Symlink(filepath.Dir(target), filepath.Join(base, "x", postgresDir)))
			return filepath.Join(base, "x")
		}, "is a link"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := dataDir(t)
			victim := dataDir(t)
			target := filepath.Join(victim, "target")
			must(t, os.WriteFile(target, []byte("precious"), 0o600))
			ctx, cancel := context.WithTimeout(t.Context(), patience) // in case it starts
			defer cancel()
			err := Run(ctx, Config{DataDir: tt.prepare(base, target)}, t.Output(), t.Output())
			if err == nil || !strings.Contains(err.Error(), "--data: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if content, err := os.ReadFile(target); err != nil || string(content) != "precious" {
				t.Errorf("the target of the link: %q, %v", content, err)
			}
			if left, err := os.ReadDir(victim); err != nil || len(left) != 1 {
				t.Errorf("the target's directory: %v, %v", left, err)
			}
		})
	}
}

func TestShellWord(t *testing.T) {
	for path, want := range map[string]string{
		"/var/tmp/x":  "/var/tmp/x",
		"/my data":    "'/my data'",
		"/it's; here": `'/it'\''s; here'`,
	} {
		if got := shellWord(path); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", path, got, want)
		}
	}
}

package app

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What is wrong, why, and how to mend it; all bad ports at once.
func TestDevSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // listens at once
	must(t, err)
	t.Cleanup(func() { must(t, busy.Close()) })
	taken := busy.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))

	for name, tt := range map[string]struct {
		cfg  DevConfig
		want []string
	}{
		"ports": {
			DevConfig{HTTPPort: taken, OrderPort: taken, KafkaPort: 70000, PostgresPort: -1},
			[]string{
				"--http-port " + strconv.Itoa(taken) + ": the port is taken; stop what listens on " + busy.Addr().String() + ", or choose another port",
				"--order-port " + strconv.Itoa(taken) + ": the same as --http-port; choose another port",
				"--kafka-port 70000: not a port; choose one from 1 to 65535",
				"--postgres-port -1: not a port",
			},
		},
		"a data directory that cannot be": {
			DevConfig{DataDir: filepath.Join(file, "data")},
			[]string{"--data: ", file, "not a directory; choose a directory that you may write to"},
		},
		"a data directory of something else": {
			DevConfig{DataDir: filepath.Dir(file)},
			[]string{"--data: " + filepath.Dir(file) + " holds other files, such as file, and none of dev's; choose an empty directory or a new one"},
		},
		"no PostgreSQL where it should be": {
			DevConfig{PGBinDir: t.TempDir()},
			[]string{"no such file", "set PG_BIN_DIR to the directory of postgres and initdb, or unset it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := Dev(t.Context(), tt.cfg, &out, t.Output())
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

// Root, above all, must not take over what another user made: the database
// would be handed to a third one. Fails without checkOwner: root gets further.
func TestDevRefusesTheDirectoryOfAnother(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make another user's directory")
	}
	dir := dataDir(t)
	must(t, os.Mkdir(filepath.Join(dir, kafkaDir), 0o700))
	must(t, os.Chown(filepath.Join(dir, kafkaDir), 65534, 65534))
	err := Dev(t.Context(), DevConfig{DataDir: dir}, t.Output(), t.Output())
	if err == nil || !strings.Contains(err.Error(), dir+" was made by user ") || !strings.Contains(err.Error(), "run this as that user, or choose another directory") {
		t.Errorf("error %v", err)
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

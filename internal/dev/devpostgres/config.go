package devpostgres

import (
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// minMajor is the oldest PostgreSQL that the service supports.
const minMajor = 15

// Config of a server. The zero value is a temporary cluster on a free port with
// the machine's binaries, or downloaded ones.
type Config struct {
	// BinDir holds the postgres and initdb to use; it is an error if they do
	// not work. Empty: PATH, then the usual places, then a download.
	BinDir string

	// DataDir keeps the cluster between runs. It is created when missing and
	// refused if it holds anything else. Empty: a temporary directory that Stop
	// removes.
	DataDir string

	// Port on 127.0.0.1; 0 takes a free one. A port that is taken is an error.
	Port int

	// Fast turns fsync off: a crash of the machine may destroy the cluster, a
	// crash of the server or a Kill loses nothing. For tests.
	Fast bool

	// Template copies a temporary cluster from one that is kept in CacheDir, in place of
	// an initdb, which takes ten times as long. The copies have the same system identifier
	// and the same password. For tests.
	Template bool

	// MaxConnections defaults to 150.
	MaxConnections int

	// Settings are further server parameters, as in postgresql.conf. They
	// override the ones chosen here.
	Settings map[string]string

	// Env are further environment variables of the server, as NAME=value. From
	// this process it gets PATH only.
	Env []string

	// StartTimeout bounds a start including crash recovery. It defaults to a
	// minute.
	StartTimeout time.Duration

	// CacheDir keeps downloaded binaries and the template. Empty: the user's cache directory,
	// or for root one that the server's user can read.
	CacheDir string

	// MirrorURL replaces Maven Central as the source of binaries.
	MirrorURL string

	// Progress shows a download: a bar on a terminal, else a few lines. Nil
	// shows nothing.
	Progress io.Writer

	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.MaxConnections == 0 {
		c.MaxConnections = 150
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = time.Minute
	}
	if c.MirrorURL == "" {
		c.MirrorURL = mavenCentral
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// serverArgs is the command line of the server. It has all settings, so that they also
// apply to an older data directory, whose postgresql.conf stays as it was.
func (c Config) serverArgs(dataDir string, port int) []string {
	settings := map[string]string{
		"port":                    strconv.Itoa(port),
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"max_connections":         strconv.Itoa(c.MaxConnections),
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"log_checkpoints":         "off",
		"password_encryption":     "scram-sha-256",
	}
	if c.Fast {
		// synchronous_commit stays on: without fsync it costs almost nothing,
		// and a killed server would lose commits without it.
		maps.Copy(settings, map[string]string{
			"fsync":            "off",
			"full_page_writes": "off",
			"shared_buffers":   "32MB",
			"max_wal_size":     "4GB",
		})
	}
	maps.Copy(settings, c.Settings)

	args := []string{"-D", filepath.Clean(dataDir)}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

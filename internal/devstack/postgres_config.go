package devstack

import (
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// minPostgresMajor is the oldest PostgreSQL whose SQL the service relies on.
const minPostgresMajor = 15

const (
	defaultMaxConnections = 150
	defaultStartTimeout   = time.Minute
)

// PostgresConfig says where and how a cluster runs. Its zero value is a
// temporary cluster on a free port with binaries found or fetched.
type PostgresConfig struct {
	// BinDir holds the postgres and initdb to use; an unusable one is an
	// error. Empty: PATH, then the usual places, then the fetched binaries.
	BinDir string

	// DataDir keeps the cluster between runs. It is created when missing and
	// is refused when it holds anything else. Empty: a temporary directory
	// that Stop removes.
	DataDir string

	// Port on 127.0.0.1; 0 takes a free one. A given port that is taken is an
	// error.
	Port int

	// Fast trusts the operating system to stay up (no fsync): a crash of the
	// machine may destroy the cluster, one of the server or a Kill loses
	// nothing. For tests.
	Fast bool

	// MaxConnections defaults to 150.
	MaxConnections int

	// Settings are further server parameters, as in postgresql.conf. They win
	// over the ones chosen here.
	Settings map[string]string

	// Env are further variables of the server's environment, as NAME=value. It
	// sees nothing of this process's own beside PATH.
	Env []string

	// StartTimeout bounds a start, crash recovery included, beside the
	// context. It defaults to a minute.
	StartTimeout time.Duration

	// CacheDir is where fetched binaries are kept. Empty: the user's cache
	// directory, or for root one that the server's user can read.
	CacheDir string

	// MirrorURL replaces Maven Central as the place to fetch binaries from.
	MirrorURL string

	// Progress shows a fetch: as a bar when it is a terminal, else as a few
	// lines. Nil shows nothing.
	Progress io.Writer

	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

func (c PostgresConfig) withDefaults() PostgresConfig {
	if c.MaxConnections == 0 {
		c.MaxConnections = defaultMaxConnections
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = defaultStartTimeout
	}
	if c.MirrorURL == "" {
		c.MirrorURL = mavenCentral
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// serverArgs is the command line of the server. Everything is set there rather
// than in postgresql.conf, so that a data directory of an older version of
// this program gets today's settings.
func (c PostgresConfig) serverArgs(dataDir string, port int) []string {
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
		// synchronous_commit stays on: without fsync it costs next to nothing,
		// and off it would lose commits in the crash that a test makes.
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

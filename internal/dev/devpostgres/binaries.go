package devpostgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// usualPlaces are where packages install PostgreSQL outside PATH.
var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
	"/usr/pgsql-*/bin",          // the RPMs of postgresql.org
	"/usr/local/pgsql/bin",      // built from source
	"/usr/libexec/postgresql*",  // Alpine
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/Library/PostgreSQL/*/bin",
}

// binaries is a directory with a usable postgres and initdb.
type binaries struct {
	dir     string
	version string // as the program prints it
	major   int
}

func (b binaries) postgres() string { return filepath.Join(b.dir, "postgres") }
func (b binaries) initdb() string   { return filepath.Join(b.dir, "initdb") }

// finder finds binaries on this machine. Tests replace its fields.
type finder struct {
	user     account
	lookPath func(string) (string, error)
	places   []string
}

func newFinder(user account) finder {
	return finder{user: user, lookPath: exec.LookPath, places: usualPlaces}
}

// find prefers the binaries in PATH, then the newest of the usual places. A
// cluster needs the major version that created it: a major other than 0 accepts
// only that version. The error joins the reasons against each candidate.
func (f finder) find(ctx context.Context, major int) (binaries, error) {
	var skipped []error
	for _, candidates := range [][]string{f.onPath(), f.inUsualPlaces()} {
		var usable []binaries
		for _, dir := range candidates {
			found, err := f.check(ctx, dir, major)
			if err != nil {
				skipped = append(skipped, err)
				continue
			}
			usable = append(usable, found)
		}
		if len(usable) > 0 {
			return slices.MaxFunc(usable, func(a, b binaries) int { return a.major - b.major }), nil
		}
	}
	if len(skipped) == 0 {
		return binaries{}, errors.New("none in PATH or the usual places")
	}
	return binaries{}, errors.Join(skipped...)
}

// onPath resolves links, since a distribution may link only some of the programs.
func (f finder) onPath() []string {
	var dirs []string
	for _, program := range []string{"postgres", "initdb", "pg_ctl"} {
		path, err := f.lookPath(program)
		if err != nil {
			continue
		}
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		if dir := filepath.Dir(path); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func (f finder) inUsualPlaces() []string {
	var dirs []string
	for _, pattern := range f.places {
		matches, _ := filepath.Glob(pattern) // fails only on a bad pattern
		dirs = append(dirs, matches...)
	}
	return dirs
}

// check returns the binaries in dir if this program can use them.
func (f finder) check(ctx context.Context, dir string, major int) (binaries, error) {
	found := binaries{dir: dir}
	for _, program := range []string{found.postgres(), found.initdb()} {
		if _, err := os.Stat(program); err != nil {
			return binaries{}, err
		}
	}
	if err := f.user.checkReach(dir); err != nil {
		return binaries{}, err
	}
	var err error
	found.version, found.major, err = f.version(ctx, found.postgres())
	switch {
	case err != nil:
		return binaries{}, err
	case found.major < minMajor:
		return binaries{}, fmt.Errorf("%s is PostgreSQL %d, older than %d", dir, found.major, minMajor)
	case major != 0 && found.major != major:
		return binaries{}, fmt.Errorf("%s is PostgreSQL %d, the data directory was created by %d", dir, found.major, major)
	}
	return found, nil
}

// versionLine matches "postgres (PostgreSQL) 17.2" and "… 18devel".
var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// version runs the program as the server's user, which also shows that its
// libraries are installed.
func (f finder) version(ctx context.Context, program string) (whole string, major int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Env = childEnv()
	cmd.Dir = "/"
	cmd.SysProcAttr = f.user.sysProcAttr()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", 0, fmt.Errorf("%s --version: %w %s", program, err, out)
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return "", 0, fmt.Errorf("%s --version: unexpected output %q", program, out)
	}
	major, err = strconv.Atoi(string(match[1]))
	return string(out), major, err
}

// choose returns the binaries in cfg.BinDir; without BinDir those of the machine,
// else downloaded ones. For major see find.
func (f finder) choose(ctx context.Context, cfg Config, major int) (binaries, error) {
	if cfg.BinDir != "" {
		found, err := f.check(ctx, cfg.BinDir, major)
		if err != nil {
			return binaries{}, fmt.Errorf("cannot use the given PostgreSQL: %w; set PG_BIN_DIR to the directory of postgres and initdb, or unset it", err)
		}
		return found, nil
	}
	found, findErr := f.find(ctx, major)
	if findErr == nil {
		return found, nil
	}
	if major != 0 && major != downloadMajor {
		return binaries{}, noBinariesError(major, findErr)
	}
	cfg.Logger.InfoContext(ctx, "no PostgreSQL installed, using a downloaded one", slog.String("version", downloadVersion))
	found, err := f.downloaded(ctx, cfg)
	if err != nil {
		return binaries{}, noBinariesError(major, findErr, err)
	}
	return found, nil
}

func (f finder) downloaded(ctx context.Context, cfg Config) (binaries, error) {
	source, err := newDownloader(cfg, f.user)
	if err != nil {
		return binaries{}, err
	}
	dir, err := source.ensure(ctx)
	if err != nil {
		return binaries{}, err
	}
	found, err := f.check(ctx, dir, 0)
	if err != nil {
		return binaries{}, fmt.Errorf("the downloaded PostgreSQL does not run here: %w", err)
	}
	return found, nil
}

func noBinariesError(major int, causes ...error) error {
	wanted := fmt.Sprintf("PostgreSQL >= %d", minMajor)
	if major != 0 {
		wanted = fmt.Sprintf("PostgreSQL %d (which created the data directory), or remove that directory", major)
	}
	err := fmt.Errorf("no usable PostgreSQL; install %s, or set PG_BIN_DIR to the directory of its postgres and initdb", wanted)
	for _, cause := range causes {
		err = fmt.Errorf("%w\n  %w", err, cause)
	}
	return err
}

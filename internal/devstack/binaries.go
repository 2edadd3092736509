package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// usualPlaces are where packages put PostgreSQL without linking it from PATH.
var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
	"/usr/pgsql-*/bin",          // the RPMs of postgresql.org
	"/usr/local/pgsql/bin",      // its source
	"/usr/libexec/postgresql*",  // Alpine
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/Library/PostgreSQL/*/bin",
}

// binaries is a directory with a usable postgres and initdb.
type binaries struct {
	dir   string
	major int
}

func (b binaries) postgres() string { return filepath.Join(b.dir, "postgres") }
func (b binaries) initdb() string   { return filepath.Join(b.dir, "initdb") }

// finder looks for binaries on this machine. Its fields are what tests change.
type finder struct {
	who      account
	lookPath func(string) (string, error)
	places   []string
}

func newFinder(who account) finder {
	return finder{who: who, lookPath: exec.LookPath, places: usualPlaces}
}

// find prefers what PATH names; of the usual places the newest wins. A cluster
// opens only under the major version that made it, so a major other than 0
// admits that one alone. The error joins why each candidate was passed over.
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

// onPath resolves links, since a distribution may link only some programs.
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

// check says whether dir holds a server that this program can use.
func (f finder) check(ctx context.Context, dir string, major int) (binaries, error) {
	found := binaries{dir: dir}
	for _, program := range []string{found.postgres(), found.initdb()} {
		if _, err := os.Stat(program); err != nil {
			return binaries{}, err
		}
	}
	if err := f.who.checkReach(dir); err != nil {
		return binaries{}, err
	}
	version, err := f.version(ctx, found.postgres())
	switch {
	case err != nil:
		return binaries{}, err
	case version < minPostgresMajor:
		return binaries{}, fmt.Errorf("%s is PostgreSQL %d, older than %d", dir, version, minPostgresMajor)
	case major != 0 && version != major:
		return binaries{}, fmt.Errorf("%s is PostgreSQL %d, the data directory was made by %d", dir, version, major)
	}
	found.major = version
	return found, nil
}

// versionLine matches "postgres (PostgreSQL) 17.2" and "… 18devel".
var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// version runs the program, as the user that it will run as: that also shows
// whether its libraries are there.
func (f finder) version(ctx context.Context, program string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Env = childEnv()
	cmd.Dir = "/"
	cmd.SysProcAttr = f.who.sysProcAttr()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s --version: %w %s", program, err, out)
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("%s --version: not understood: %q", program, out)
	}
	return strconv.Atoi(string(match[1]))
}

package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// mavenCentral is where zonky.io publishes its PostgreSQL binaries.
const mavenCentral = "https://repo1.maven.org/maven2"

// fetchedVersion is what is fetched; raise it together with the sums.
const (
	fetchedVersion = "17.11.0"
	fetchedMajor   = 17
)

// archive is a jar of zonky.io, which holds a .txz of bin, lib and share.
type archive struct {
	platform string // as in the artifact's name
	sha256   string // of the jar
}

// archives by GOOS/GOARCH. The sums were computed from the downloaded jars and
// agree with the published .sha256 files.
var archives = map[string]archive{
	"linux/amd64":  {"linux-amd64", "0dd7b72b6f335b8ecfb355fa24c5781e8a93edd09880bb77eb52ebbf29b3e96d"},
	"linux/arm64":  {"linux-arm64v8", "8b042e0ea418b1927d95399207950da0734d27fe01e29503ade3bdc464ad4c2b"},
	"darwin/amd64": {"darwin-amd64", "d464ff178e9860ba204662ac23fa547504b7fd392392ff2fb92e3fd73b5bdb64"},
	"darwin/arm64": {"darwin-arm64v8", "a1c2786acb0c398f9b2d76806fc52f5dc8b222cbc8e9383a9b9702084daaf3a5"},
}

func (a archive) url(base string) string {
	artifact := "embedded-postgres-binaries-" + a.platform
	return fmt.Sprintf("%s/io/zonky/test/postgres/%s/%s/%s-%s.jar",
		strings.TrimRight(base, "/"), artifact, fetchedVersion, artifact, fetchedVersion)
}

// fetcher brings an archive into the cache, once a machine.
type fetcher struct {
	base     string // URL of the repository
	cache    string // directory
	archive  archive
	stall    time.Duration // without a byte for so long, the fetch is given up
	progress io.Writer     // nil: none
}

func newFetcher(cfg PostgresConfig, who account) (fetcher, error) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	found, ok := archives[platform]
	if !ok {
		return fetcher{}, fmt.Errorf("no binaries to fetch for %s", platform)
	}
	cache := cfg.CacheDir
	if cache == "" {
		var err error
		if cache, err = defaultCacheDir(who); err != nil {
			return fetcher{}, err
		}
	}
	return fetcher{base: cfg.MirrorURL, cache: cache, archive: found, stall: 30 * time.Second, progress: cfg.Progress}, nil
}

// defaultCacheDir is the user's own; root's would be closed to the user that
// the server runs as.
func defaultCacheDir(who account) (string, error) {
	if who.switched && runtime.GOOS == "darwin" {
		return "/Library/Caches/service-courier", nil
	}
	if who.switched {
		return "/var/cache/service-courier", nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory for fetched binaries: %w", err)
	}
	return filepath.Join(base, "service-courier"), nil
}

func (f fetcher) target() string { return filepath.Join(f.cache, "postgresql-"+fetchedVersion) }

// fetch returns the directory of the programs, from the cache where they are
// there. Processes that fetch at the same time wait for the first.
func (f fetcher) fetch(ctx context.Context) (string, error) {
	bin := filepath.Join(f.target(), "bin")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if err := f.makeCache(); err != nil {
		return "", fmt.Errorf("cache directory %s: %w", f.cache, err)
	}
	lock, err := awaitLock(ctx, filepath.Join(f.cache, "lock"))
	if err != nil {
		return "", fmt.Errorf("cache directory %s: %w", f.cache, err)
	}
	defer lock.release()
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if err := f.install(ctx); err != nil {
		return "", err
	}
	return bin, nil
}

func (f fetcher) makeCache() error {
	if err := os.MkdirAll(filepath.Dir(f.cache), 0o755); err != nil {
		return err
	}
	err := os.Mkdir(f.cache, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return errors.Join(err, os.Chmod(f.cache, 0o755)) // whatever the umask
}

// install works in a directory beside the target and renames it at the end, so
// that what is half fetched is never used. The lock is held.
func (f fetcher) install(ctx context.Context) (err error) {
	work := f.target() + ".part"
	if err := os.RemoveAll(work); err != nil { // of a fetch that was killed
		return err
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	jar := filepath.Join(work, "binaries.jar")
	if err := f.download(ctx, jar); err != nil {
		return err
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := f.unpack(ctx, jar, unpacked); err != nil {
		return fmt.Errorf("unpack PostgreSQL %s: %w", fetchedVersion, err)
	}
	return os.Rename(unpacked, f.target())
}

// fetchClient follows redirects and the environment's proxy, as every
// downloader does.
func fetchClient() (*http.Client, func()) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 30 * time.Second
	return &http.Client{Transport: transport}, transport.CloseIdleConnections
}

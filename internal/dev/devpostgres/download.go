package devpostgres

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ulikunitz/xz"
	"golang.org/x/term"

	"service-courier/internal/dev"
)

// mavenCentral is where zonky.io publishes its PostgreSQL binaries.
const mavenCentral = "https://repo1.maven.org/maven2"

// downloadVersion: change it together with the checksums.
const (
	downloadVersion = "17.11.0"
	downloadMajor   = 17
)

// archive is a jar of zonky.io that contains a .txz of bin, lib and share.
type archive struct {
	platform string // as in the artifact's name
	sha256   string // of the jar
}

// archives by GOOS/GOARCH. The checksums were computed from the jars and agree
// with the published .sha256 files.
var archives = map[string]archive{
	"linux/amd64":  {"linux-amd64", "0dd7b72b6f335b8ecfb355fa24c5781e8a93edd09880bb77eb52ebbf29b3e96d"},
	"linux/arm64":  {"linux-arm64v8", "8b042e0ea418b1927d95399207950da0734d27fe01e29503ade3bdc464ad4c2b"},
	"darwin/amd64": {"darwin-amd64", "d464ff178e9860ba204662ac23fa547504b7fd392392ff2fb92e3fd73b5bdb64"},
	"darwin/arm64": {"darwin-arm64v8", "a1c2786acb0c398f9b2d76806fc52f5dc8b222cbc8e9383a9b9702084daaf3a5"},
}

func (a archive) url(base string) string {
	artifact := "embedded-postgres-binaries-" + a.platform
	return fmt.Sprintf("%s/io/zonky/test/postgres/%s/%s/%s-%s.jar",
		strings.TrimRight(base, "/"), artifact, downloadVersion, artifact, downloadVersion)
}

// downloader installs an archive in the cache, once per machine.
type downloader struct {
	base     string // URL of the repository
	cache    string // directory
	archive  archive
	stall    time.Duration // a download without data for this long fails
	progress io.Writer     // nil: none
}

func newDownloader(cfg Config, user account) (downloader, error) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	found, ok := archives[platform]
	if !ok {
		return downloader{}, fmt.Errorf("no binaries to download for %s", platform)
	}
	cache, err := cacheDir(cfg, user)
	if err != nil {
		return downloader{}, err
	}
	return downloader{base: cfg.MirrorURL, cache: cache, archive: found, stall: 30 * time.Second, progress: cfg.Progress}, nil
}

// cacheDir is by default the user's cache directory. That of root would not be
// readable by the server's user.
func cacheDir(cfg Config, user account) (string, error) {
	if cfg.CacheDir != "" {
		return cfg.CacheDir, nil
	}
	if user.switched && runtime.GOOS == "darwin" {
		return "/Library/Caches/service-courier", nil
	}
	if user.switched {
		return "/var/cache/service-courier", nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory: %w", err)
	}
	return filepath.Join(base, "service-courier"), nil
}

func (d downloader) target() string { return filepath.Join(d.cache, "postgresql-"+downloadVersion) }

// ensure returns the directory of the programs and downloads them if the cache
// lacks them. Concurrent processes wait for the first one.
func (d downloader) ensure(ctx context.Context) (string, error) {
	bin := filepath.Join(d.target(), "bin")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	lock, err := lockCache(ctx, d.cache)
	if err != nil {
		return "", err
	}
	defer lock.Release()
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if err := d.install(ctx); err != nil {
		return "", err
	}
	return bin, nil
}

// lockCache creates the directory if missing and locks it against other processes.
func lockCache(ctx context.Context, dir string) (*dev.FileLock, error) {
	if err := makeCache(dir); err != nil {
		return nil, fmt.Errorf("cache directory %s: %w", dir, err)
	}
	lock, err := dev.Lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("cache directory %s: %w", dir, err)
	}
	return lock, nil
}

func makeCache(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return errors.Join(err, os.Chmod(dir, 0o755)) // the umask may have narrowed it
}

// install works in a second directory and renames it at the end, so that an
// incomplete download is never used. The caller holds the lock.
func (d downloader) install(ctx context.Context) (err error) {
	work := d.target() + ".part"
	if err := os.RemoveAll(work); err != nil { // from a download that was killed
		return err
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	jar := filepath.Join(work, "binaries.jar")
	if err := d.download(ctx, jar); err != nil {
		return err
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := d.unpack(ctx, jar, unpacked); err != nil {
		return fmt.Errorf("unpack PostgreSQL %s: %w", downloadVersion, err)
	}
	return os.Rename(unpacked, d.target())
}

// httpClient follows redirects and uses the proxy of the environment.
func httpClient() (*http.Client, func()) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 30 * time.Second
	return &http.Client{Transport: transport}, transport.CloseIdleConnections
}

var errStalled = errors.New("the server sends no data")

// download writes the archive to path and verifies its checksum.
func (d downloader) download(ctx context.Context, path string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	url := d.archive.url(d.base)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client, closeIdle := httpClient()
	defer closeIdle()
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("download PostgreSQL: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("download PostgreSQL: GET %s: %s", request.URL.Redacted(), response.Status)
	}

	stall := time.AfterFunc(d.stall, func() { cancel(errStalled) })
	defer stall.Stop()
	body := &activityReader{from: response.Body, onData: func() { stall.Reset(d.stall) }}
	bar := newProgress(d.progress, "downloading PostgreSQL "+downloadVersion, response.ContentLength)
	sum, err := save(path, io.TeeReader(body, bar))
	bar.finish(err)
	if err != nil {
		return fmt.Errorf("download PostgreSQL: GET %s: %w", request.URL.Redacted(), causeOr(ctx, err))
	}
	if sum != d.archive.sha256 {
		return fmt.Errorf("download PostgreSQL: %s has the SHA-256 checksum %s, expected %s: the file was changed and is not used",
			request.URL.Redacted(), sum, d.archive.sha256)
	}
	return nil
}

// save writes a file and returns its SHA-256 checksum in hexadecimal.
func save(path string, from io.Reader) (_ string, err error) {
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(file, sum), from); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// causeOr returns the cause of the context's end instead of the "context
// canceled" of a read.
func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// activityReader calls onData after each read with data.
type activityReader struct {
	from   io.Reader
	onData func()
}

func (r *activityReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if n > 0 {
		r.onData()
	}
	return n, err
}

// unpack extracts the .txz in the jar to target, readable by every user.
func (d downloader) unpack(ctx context.Context, jar, target string) (err error) {
	files, err := zip.OpenReader(jar)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	for _, file := range files.File {
		if strings.HasSuffix(file.Name, ".txz") {
			return d.unpackMember(ctx, file, target)
		}
	}
	return errors.New("the jar contains no .txz")
}

func (d downloader) unpackMember(ctx context.Context, member *zip.File, target string) (err error) {
	packed, err := member.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	bar := newProgress(d.progress, "unpacking PostgreSQL "+downloadVersion, int64(member.UncompressedSize64))
	unpacked, err := xz.NewReader(bufio.NewReaderSize(io.TeeReader(packed, bar), 1<<16))
	if err == nil {
		err = untar(ctx, unpacked, target)
	}
	bar.finish(err)
	return err
}

// untar writes below target only, for any names and links in the archive.
func untar(ctx context.Context, from io.Reader, target string) (err error) {
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := root.Chmod(".", 0o755); err != nil {
		return err
	}
	entries := tar.NewReader(from)
	for ctx.Err() == nil {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = writeEntry(root, header, entries)
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func writeEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	if err := makeDirs(root, path.Dir(name)); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return makeDirs(root, name)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		return writeFile(root, name, header.FileInfo().Mode().Perm(), content)
	default:
		return fmt.Errorf("%s: unexpected type %q in the archive", name, header.Typeflag)
	}
}

// makeDirs is MkdirAll regardless of the umask.
func makeDirs(root *os.Root, name string) error {
	if name == "." {
		return nil
	}
	if err := makeDirs(root, path.Dir(name)); err != nil {
		return err
	}
	err := root.Mkdir(name, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return root.Chmod(name, 0o755)
}

func writeFile(root *os.Root, name string, mode fs.FileMode, content io.Reader) (err error) {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.Copy(file, content); err != nil {
		return err
	}
	return file.Chmod(mode | 0o444)
}

const (
	barWidth    = 30
	barInterval = 100 * time.Millisecond
)

// progress is a writer that shows how much was written: a bar on a terminal,
// elsewhere a line at the start and at each quarter.
type progress struct {
	out      io.Writer
	terminal bool
	label    string
	total    int64 // bytes; below 1: unknown
	done     int64
	shown    time.Time
	quarter  int64
}

func newProgress(out io.Writer, label string, total int64) *progress {
	if out == nil {
		out = io.Discard
	}
	file, isFile := out.(*os.File)
	p := &progress{out: out, label: label, total: total, terminal: isFile && term.IsTerminal(int(file.Fd()))}
	if !p.terminal {
		p.line("%s (%s)", label, megabytes(total))
	}
	return p
}

func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	switch {
	case p.terminal && time.Since(p.shown) >= barInterval:
		p.shown = time.Now()
		p.draw()
	case !p.terminal && p.total > 0 && p.done*4/p.total > p.quarter:
		p.quarter = p.done * 4 / p.total
		p.line("%s: %d%%", p.label, p.done*100/p.total)
	}
	return len(b), nil
}

// finish completes the bar, or leaves it as it is after an error.
func (p *progress) finish(err error) {
	if !p.terminal {
		return
	}
	if err == nil && p.total > 0 {
		p.done = p.total
	}
	p.draw()
	p.line("")
}

func (p *progress) draw() {
	if p.total < 1 {
		p.print("\r%s  %s", p.label, megabytes(p.done))
		return
	}
	filled := int(min(p.done, p.total) * barWidth / p.total)
	p.print("\r%s [%s%s] %3d%% of %s", p.label,
		strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), p.done*100/p.total, megabytes(p.total))
}

// print ignores errors: a download does not fail with its terminal.
func (p *progress) print(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format, args...) }

func (p *progress) line(format string, args ...any) { p.print(format+"\n", args...) }

func megabytes(n int64) string {
	if n < 0 {
		return "size unknown"
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

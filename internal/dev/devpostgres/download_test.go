package devpostgres

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ulikunitz/xz"
)

// fakeJar is a jar like those of zonky.io, with programs that print their
// version.
func fakeJar(t *testing.T, extra ...tar.Header) []byte {
	t.Helper()
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) 17.11'\n"
	var txz, jar bytes.Buffer
	packed, err := xz.NewWriter(&txz)
	must(t, err)
	tree := tar.NewWriter(packed)
	for _, name := range []string{"bin/postgres", "bin/initdb"} {
		must(t, tree.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "./" + name, Mode: 0o755, Size: int64(len(script))}))
		_, err := tree.Write([]byte(script))
		must(t, err)
	}
	must(t, tree.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "lib/libpq.so", Linkname: "libpq.so.5"}))
	for _, header := range extra {
		must(t, tree.WriteHeader(&header))
	}
	must(t, tree.Close())
	must(t, packed.Close())

	files := zip.NewWriter(&jar)
	for name, content := range map[string][]byte{"META-INF/MANIFEST.MF": []byte("x"), "postgres-test.txz": txz.Bytes()} {
		file, err := files.Create(name)
		must(t, err)
		_, err = file.Write(content)
		must(t, err)
	}
	must(t, files.Close())
	return jar.Bytes()
}

// testDownloader expects the jar from a server with the handler.
func testDownloader(t *testing.T, jar []byte, handler http.HandlerFunc) downloader {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	sum := sha256.Sum256(jar)
	return downloader{
		base: server.URL + "/maven2/", cache: filepath.Join(reachableDir(t), "cache"),
		archive: archive{platform: "test", sha256: hex.EncodeToString(sum[:])}, stall: time.Minute,
	}
}

func TestDownloadHappensOnce(t *testing.T) {
	t.Parallel()
	jar := fakeJar(t)
	var requests atomic.Int32
	f := testDownloader(t, jar, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		const want = "/maven2/io/zonky/test/postgres/embedded-postgres-binaries-test/" + downloadVersion +
			"/embedded-postgres-binaries-test-" + downloadVersion + ".jar"
		if r.URL.Path != want {
			t.Errorf("path %s, want %s", r.URL.Path, want)
		}
		_, _ = w.Write(jar)
	})
	var shown bytes.Buffer
	f.progress = &shown
	var together sync.WaitGroup
	for range 3 { // like the tests of several packages on a new machine
		together.Go(func() {
			one := f
			one.progress = nil
			if _, err := one.ensure(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	if got := requests.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}

	found, err := testFinder(t, "").check(t.Context(), filepath.Join(f.target(), "bin"), downloadMajor)
	if err != nil || found.major != downloadMajor {
		t.Errorf("found %v, %v", found, err)
	}
	if link, err := os.Readlink(filepath.Join(f.target(), "lib", "libpq.so")); link != "libpq.so.5" {
		t.Errorf("link %q, %v", link, err)
	}
	assertNoPartFiles(t, f)
}

// assertNoPartFiles checks that the cache holds complete downloads only.
func assertNoPartFiles(t *testing.T, f downloader) {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(f.cache, "*.part"))
	if err != nil || len(parts) > 0 {
		t.Errorf("left behind: %v, %v", parts, err)
	}
}

func TestDownloadFailures(t *testing.T) {
	t.Parallel()
	jar := fakeJar(t)
	escape := fakeJar(t, tar.Header{Typeflag: tar.TypeDir, Name: "../../escaped/"})
	hung := make(chan struct{})
	t.Cleanup(func() { close(hung) })

	for name, c := range map[string]struct {
		jar     []byte // expected, by its checksum
		handler http.HandlerFunc
		want    string
	}{
		"wrong checksum": {jar, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append([]byte("tampered"), jar...))
		}, "expected"},
		"truncated": {jar, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(jar)))
			_, _ = w.Write(jar[:len(jar)/2])
		}, "unexpected EOF"},
		"not found": {jar, http.NotFound, "404 Not Found"},
		"stalled": {jar, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(jar[:10])
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-hung:
			}
		}, errStalled.Error()},
		"not a jar": {[]byte("text"), func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("text"))
		}, "unpack"},
		"path outside the target": {escape, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(escape)
		}, "escape"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := testDownloader(t, c.jar, c.handler)
			if name == "stalled" {
				f.stall = 50 * time.Millisecond
			}
			_, err := f.ensure(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("err = %v, want %q", err, c.want)
			}
			if _, err := os.Stat(f.target()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("installed a failed download: %v", err)
			}
			assertNoPartFiles(t, f)
		})
	}
}

func TestDownloadStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := testDownloader(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	})
	if _, err := f.ensure(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v", err)
	}
}

func TestNoBinariesAndNoNetwork(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	f := testFinder(t, reachableDir(t))
	cfg := Config{MirrorURL: gone.URL, CacheDir: filepath.Join(reachableDir(t), "cache"), Logger: silent()}
	_, err := f.choose(t.Context(), cfg.withDefaults(), 0)
	if err == nil {
		t.Fatal("found some")
	}
	for _, want := range []string{"install PostgreSQL >= 15", "PG_BIN_DIR", "none in PATH", "connection refused"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestClusterOfAnUnavailableVersion(t *testing.T) {
	t.Parallel()
	f := testFinder(t, reachableDir(t))
	_, err := f.choose(t.Context(), Config{Logger: silent()}.withDefaults(), 16)
	if err == nil || !strings.Contains(err.Error(), "install PostgreSQL 16") {
		t.Fatalf("err = %v", err)
	}
}

func TestProgressLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out, "fetching", 8_000_000)
	for range 8 {
		_, _ = p.Write(make([]byte, 1_000_000))
	}
	p.finish(nil)
	const want = "fetching (8.0 MB)\nfetching: 25%\nfetching: 50%\nfetching: 75%\nfetching: 100%\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func TestProgressBar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{out: &out, terminal: true, label: "fetching", total: 30}
	_, _ = p.Write(make([]byte, 10))
	p.finish(nil)
	want := "\rfetching [" + strings.Repeat("#", 10) + strings.Repeat(".", 20) + "]  33% of 0.0 MB" +
		"\rfetching [" + strings.Repeat("#", 30) + "] 100% of 0.0 MB\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

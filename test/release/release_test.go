// Package release tests the output of `make snapshot`: the archives, their
// checksums and the SBOMs.
package release

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// envDir names the directory of a release. `make snapshot` sets it and runs the tests.
const envDir = "SERVICE_COURIER_TEST_RELEASE"

var platforms = []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"}

func dir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(envDir)
	if dir == "" {
		t.Skipf("%s is not set: run `make snapshot`", envDir)
	}
	return dir
}

// single returns the only file that matches the pattern.
func single(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir(t), pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

// TestArchives: each archive has both programs, manual pages, completions, settings
// and documents. The programs for this machine run and print their commit.
func TestArchives(t *testing.T) {
	for _, platform := range platforms {
		unpacked := t.TempDir()
		unpack(t, single(t, "service-courier_*_"+platform+".tar.gz"), unpacked)
		for _, name := range []string{
			"service-courier", "service-order", "README.md", ".env.example", "docs/runbook.md",
			"man/man1/service-courier.1", "man/man1/service-courier-serve.1",
			"completions/service-courier.bash", "completions/service-courier.zsh", "completions/service-courier.fish",
		} {
			if info, err := os.Stat(filepath.Join(unpacked, name)); err != nil || info.Size() == 0 {
				t.Errorf("%s: %s: %v", platform, name, err)
			}
		}
		if platform != runtime.GOOS+"_"+runtime.GOARCH {
			continue
		}
		for _, name := range []string{"service-courier", "service-order"} {
			out, err := exec.CommandContext(t.Context(), filepath.Join(unpacked, name), "--version").CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), name+" v") || strings.Contains(string(out), "unknown") || strings.Contains(string(out), "commit none") {
				t.Errorf("%s --version: %v: %s", name, err, out)
			}
		}
	}
}

func unpack(t *testing.T, path, into string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(plain); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(into, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, h.FileInfo().Mode()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestChecksums: every archive and SBOM has a correct checksum.
func TestChecksums(t *testing.T) {
	content, err := os.ReadFile(single(t, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if want := len(platforms) * 3; len(lines) != want {
		t.Errorf("%d lines, want %d: an archive and two SBOMs per platform", len(lines), want)
	}
	for _, line := range lines {
		sum, name, _ := strings.Cut(line, "  ")
		file, err := os.ReadFile(filepath.Join(dir(t), name))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(file); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s: wrong checksum", name)
		}
	}
}

// TestSBOMs: each SBOM lists the dependencies of its program.
func TestSBOMs(t *testing.T) {
	for _, platform := range platforms {
		for program, dependency := range map[string]string{
			"service-courier": "github.com/jackc/pgx/v5", "service-order": "github.com/spf13/cobra",
		} {
			content, err := os.ReadFile(single(t, program+"_*_"+platform+".cdx.json"))
			if err != nil {
				t.Fatal(err)
			}
			var bom struct {
				Format     string `json:"bomFormat"`
				Components []struct{ Name, Version string }
			}
			if err := json.Unmarshal(content, &bom); err != nil || bom.Format != "CycloneDX" {
				t.Fatalf("%s for %s: %v, format %q", program, platform, err, bom.Format)
			}
			versions := make(map[string]string)
			for _, c := range bom.Components {
				versions[c.Name] = c.Version
			}
			if versions[dependency] == "" || versions["std"] == "" {
				t.Errorf("%s for %s: no %s or no std among %d components", program, platform, dependency, len(versions))
			}
		}
	}
}

package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"service-courier/internal/dev/citest"
)

// local is the platform of this machine.
var local = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

func release(sources string) build {
	return build{sources: sources, version: "v1.2.3", commit: "abc", date: "2026-01-02T15:04:05Z"}
}

// TestImage builds the images as the command does and checks their content and
// configuration. Sources in another directory must give the same digest: a path, a
// time or a version stamp of the checkout in the binary changes it (without
// -trimpath it does).
func TestImage(t *testing.T) {
	citest.Only(t, "it compiles both programs twice")
	dir := t.TempDir()
	var out bytes.Buffer
	b := release(filepath.Join("..", ".."))
	if err := writeAll(t.Context(), b, []v1.Platform{local}, dir, &out); err != nil {
		t.Fatal(err)
	}
	elsewhere := release(copyOfSources(t))
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			img, digest := read(t, filepath.Join(dir, p.name))
			if !strings.Contains(out.String(), p.name+":v1.2.3 "+digest) {
				t.Errorf("printed %q, the digest is %s", &out, digest)
			}
			config, err := img.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(elsewhere.config(p, local, config.Created.Time).Config, config.Config); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			checkBinary(t, p, checkFiles(t, img, p))
			again, err := elsewhere.image(t.Context(), p, local)
			if err != nil {
				t.Fatal(err)
			}
			one, err := img.Digest()
			other, otherErr := again.Digest()
			if err != nil || otherErr != nil || one != other {
				t.Errorf("digest %s, from other sources %s; %v", one, other, errors.Join(err, otherErr))
			}
		})
	}
}

// read returns the only image of a layout and the digest of its index.
func read(t *testing.T, path string) (v1.Image, string) {
	t.Helper()
	top, err := layout.ImageIndexFromPath(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(top); err != nil {
		t.Fatal(err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	platforms, err := index.IndexManifest()
	if err != nil || len(platforms.Manifests) != 1 || !platforms.Manifests[0].Platform.Equals(local) {
		t.Fatalf("%+v, %v", platforms, err)
	}
	img, err := index.Image(platforms.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img, manifest.Manifests[0].Digest.String()
}

// TestDockerfile compares the configuration of each image with the program's stage in the
// Dockerfile.
func TestDockerfile(t *testing.T) {
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) { checkDockerfile(t, p, release("").config(p, local, time.Time{}).Config) })
	}
}

func checkDockerfile(t *testing.T, p program, config v1.Config) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, stage, _ := strings.Cut(string(content), "FROM scratch AS "+p.name+"\n")
	stage, _, _ = strings.Cut(stage, "\n\n")
	quoted := func(words []string) string { return `["` + strings.Join(words, `", "`) + `"]` }
	health := config.Healthcheck
	want := []string{
		"ENV " + strings.Join(config.Env, " "),
		"USER " + config.User,
		"EXPOSE " + p.port,
		fmt.Sprintf("HEALTHCHECK --interval=%s --timeout=%s --start-period=%s CMD %s", health.Interval, health.Timeout, health.StartPeriod, quoted(health.Test[1:])),
		"ENTRYPOINT " + quoted(config.Entrypoint),
	}
	if config.Cmd != nil {
		want = append(want, "CMD "+quoted(config.Cmd))
	}
	got := slices.DeleteFunc(strings.Split(strings.TrimSpace(stage), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "COPY ") || strings.HasPrefix(line, "#")
	})
	if data := strings.Contains(stage, "COPY --from=build --chown=65532:65532 /out/data /data\n"); data != p.data {
		t.Errorf("the Dockerfile has /data: %t, the image: %t", data, p.data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("image (-) and Dockerfile (+) differ:\n%s", diff)
	}
	if strings.HasPrefix(config.User, "0") || config.User == "" {
		t.Error("the image runs as root")
	}
}

// checkFiles checks that the image holds only the needed files, writable by root
// alone, and returns the binary.
func checkFiles(t *testing.T, img v1.Image, p program) (binary []byte) {
	t.Helper()
	var found []string
	content := mutate.Extract(img)
	defer content.Close()
	for archive := tar.NewReader(content); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, fmt.Sprintf("%s %o %d:%d %s", h.Name, h.Mode, h.Uid, h.Gid, h.ModTime.UTC().Format("2006-01-02T15:04:05Z")))
		body, err := io.ReadAll(archive)
		switch {
		case err != nil:
			t.Fatal(err)
		case h.Name == p.name:
			binary = body
		case h.Name == certificates && !x509.NewCertPool().AppendCertsFromPEM(body):
			t.Errorf("no certificate authority in %s", h.Name)
		}
	}
	const rest = " 0:0 2026-01-02T15:04:05Z"
	want := []string{p.name + " 755" + rest, "etc 755" + rest, "etc/ssl 755" + rest, "etc/ssl/certs 755" + rest, certificates + " 644" + rest}
	if p.data {
		want = append(want, "data 755 65532:65532 2026-01-02T15:04:05Z")
	}
	slices.Sort(found)
	slices.Sort(want)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	return binary
}

// checkBinary checks that the binary is static and prints its version.
func checkBinary(t *testing.T, p program, binary []byte) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the binary is not static: %v, %v", libraries, err)
	}
	path := filepath.Join(t.TempDir(), p.name)
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "--version").CombinedOutput()
	if want := p.name + " v1.2.3, commit abc, of 2026-01-02T15:04:05Z, go"; err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("--version: %v: %s, want %s…", err, out, want)
	}
}

// copyOfSources copies the sources to another directory, without their history.
func copyOfSources(t *testing.T) string {
	t.Helper()
	top, dir := filepath.Join("..", ".."), t.TempDir()
	for _, name := range []string{"cmd", "internal"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(top, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBadFlags(t *testing.T) {
	for flags, want := range map[string]string{
		"-platforms windows/amd64": "use a platform such as linux/amd64",
		"-platforms ,":             "use a platform such as linux/amd64",
		"now":                      "use only flags",
		"-date yesterday":          `date "yesterday"`,
	} {
		args := append(strings.Fields(flags), "-out="+t.TempDir())
		if flags == "now" {
			args = strings.Fields(flags)
		}
		if err := run(t.Context(), args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", flags, err, want)
		}
	}
}

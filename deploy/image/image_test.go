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

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// here is the platform whose binaries this machine runs.
var here = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// release is a version as `make image` would name it.
func release(sources string) build {
	return build{sources: sources, version: "v1.2.3", commit: "abc", date: "2026-01-02T15:04:05Z"}
}

// TestImage makes the images as the command does, reads them back and looks at
// all that is in them. Sources elsewhere must give the same digest: a path, a time
// or a version stamp of the checkout that leaks into the binary changes it (it
// does without -trimpath).
func TestImage(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	b := release(filepath.Join("..", ".."))
	if err := writeAll(t.Context(), b, []v1.Platform{here}, dir, &out); err != nil {
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
			likeTheDockerfile(t, p, config.Config)
			binary := files(t, img, p)
			runs(t, p, binary)
			again, err := elsewhere.image(t.Context(), p, here)
			if err != nil {
				t.Fatal(err)
			}
			one, err := img.Digest()
			other, otherErr := again.Digest()
			if err != nil || otherErr != nil || one != other {
				t.Errorf("%s, from sources elsewhere %s; %v", one, other, errors.Join(err, otherErr))
			}
		})
	}
}

// read returns the one image in a layout, and the digest of its index.
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
	if err != nil || len(platforms.Manifests) != 1 || !platforms.Manifests[0].Platform.Equals(here) {
		t.Fatalf("%+v, %v", platforms, err)
	}
	img, err := index.Image(platforms.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img, manifest.Manifests[0].Digest.String()
}

// likeTheDockerfile: the lines of the program's stage say what the image says.
func likeTheDockerfile(t *testing.T, p program, config v1.Config) {
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
	got := slices.DeleteFunc(strings.Split(strings.TrimSpace(stage), "\n"), func(line string) bool { return strings.HasPrefix(line, "COPY ") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("image (-), Dockerfile (+):\n%s", diff)
	}
	if strings.HasPrefix(config.User, "0") || config.User == "" {
		t.Errorf("it runs as root")
	}
}

// files sees that there is nothing in the image but what is needed, that only root
// could change it, and returns the binary.
func files(t *testing.T, img v1.Image, p program) (binary []byte) {
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
			t.Error("there is no certificate authority in the file of them")
		}
	}
	const rest = " 0:0 2026-01-02T15:04:05Z"
	want := []string{p.name + " 755" + rest, "etc 755" + rest, "etc/ssl 755" + rest, "etc/ssl/certs 755" + rest, certificates + " 644" + rest}
	slices.Sort(found)
	slices.Sort(want)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("want -, have +:\n%s", diff)
	}
	return binary
}

// runs sees that the binary needs no other file, and says which build it is.
func runs(t *testing.T, p program, binary []byte) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it is not static: %v, %v", libraries, err)
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

// copyOfSources is a checkout in another place, without its history.
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
		"-platforms windows/amd64": "want such as linux/amd64",
		"-platforms ,":             "want such as linux/amd64",
		"now":                      "only flags",
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

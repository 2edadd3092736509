package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// program is a released program and how its image runs it.
type program struct {
	name string
	port string // on every interface of the container
	args []string
	data bool // has dataDir
}

var programs = []program{
	{name: "service-courier", port: "8082", args: []string{"serve"}},
	{name: "service-order", port: "8080", data: true},
}

// nonrootID is a user and a group without a name; they own only dataDir.
const (
	nonrootID = 65532
	nonroot   = "65532:65532"
)

// dataDir is an empty directory: a new volume takes its owner from there.
const dataDir = "data/"

// certificates is where Go and OpenSSL on Debian find the certificate authorities.
const certificates = "etc/ssl/certs/ca-certificates.crt"

// build is one version of the sources.
type build struct {
	sources               string // root of the module
	version, commit, date string
}

// image builds the image of a program for one platform: one layer with the
// certificate authorities, which rarely changes, and one with the binary.
func (b build) image(ctx context.Context, p program, platform v1.Platform) (v1.Image, error) {
	at, err := time.Parse(time.RFC3339, b.date)
	if err != nil {
		return nil, fmt.Errorf("date %q: use a time such as 2026-01-02T15:04:05Z", b.date)
	}
	binary, err := b.compile(ctx, p.name, platform)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.ConfigFile(img, b.config(p, platform, at))
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", p.name, err)
	}
	for _, l := range []struct {
		createdBy, file string
		content         []byte
		mode            fs.FileMode
	}{
		{"certificate authorities", certificates, authorities(), 0o644},
		{p.name, p.name, binary, 0o755},
		{"data", dataDir, nil, 0o755},
	} {
		if l.file == dataDir && !p.data {
			continue
		}
		made, err := layer(l.file, l.content, l.mode, at)
		if err != nil {
			return nil, fmt.Errorf("layer of %s: %w", l.file, err)
		}
		img, err = mutate.Append(img, mutate.Addendum{Layer: made, History: v1.History{Created: v1.Time{Time: at}, CreatedBy: l.createdBy}})
		if err != nil {
			return nil, fmt.Errorf("image of %s: %w", p.name, err)
		}
	}
	return img, nil
}

// compile returns the static binary of a program.
func (b build) compile(ctx context.Context, name string, platform v1.Platform) ([]byte, error) {
	dir, err := os.MkdirTemp("", "service-courier-image-")
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", name, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, name)
	ldflags := strings.Join([]string{"-s -w", "version=" + b.version, "commit=" + b.commit, "date=" + b.date},
		" -X service-courier/internal/buildinfo.")
	cmd := exec.CommandContext(ctx, "go", "build", "-C", b.sources, "-trimpath", "-buildvcs=false",
		"-tags=timetzdata", "-ldflags="+ldflags, "-o="+path, "./cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile %s for %s: %w\n%s", name, platform, err, out)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", name, err)
	}
	return binary, nil
}

// config is how the image runs, as in the Dockerfile. Only Docker uses the health check.
func (b build) config(p program, platform v1.Platform, at time.Time) *v1.ConfigFile {
	return &v1.ConfigFile{
		Architecture: platform.Architecture,
		OS:           platform.OS,
		Variant:      platform.Variant,
		Created:      v1.Time{Time: at},
		RootFS:       v1.RootFS{Type: "layers"},
		Config: v1.Config{
			User:         nonroot,
			Entrypoint:   []string{"/" + p.name},
			Cmd:          p.args,
			Env:          []string{"HTTP_ADDR=0.0.0.0:" + p.port},
			ExposedPorts: map[string]struct{}{p.port + "/tcp": {}},
			Healthcheck: &v1.HealthConfig{
				Test:     []string{"CMD", "/" + p.name, "health"},
				Interval: 10 * time.Second, Timeout: 5 * time.Second, StartPeriod: 5 * time.Second,
			},
			Labels: map[string]string{
				"org.opencontainers.image.title":    p.name,
				"org.opencontainers.image.version":  b.version,
				"org.opencontainers.image.revision": b.commit,
				"org.opencontainers.image.created":  b.date,
			},
		},
	}
}

// authorities returns the certificate authorities that Mozilla trusts, in PEM. It
// leaves out those with constraints, which PEM cannot express.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer never fails
		}
	}
	return all.Bytes()
}

// layer holds one file and its directories, or dataDir. Root owns the former, because the
// program must not change them.
func layer(name string, content []byte, mode fs.FileMode, at time.Time) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for i, r := range name {
		if r != '/' {
			continue
		}
		owner := 0
		if name == dataDir {
			owner = nonrootID
		}
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeDir, Name: name[:i+1], Mode: 0o755, Uid: owner, Gid: owner, ModTime: at, Format: tar.FormatUSTAR,
		})
		if err != nil {
			return nil, err
		}
	}
	if name != dataDir {
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: int64(len(content)), ModTime: at, Format: tar.FormatUSTAR,
		})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

package main

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nonroot is nobody's account; no file of the image is its own.
const nonroot = "65532:65532"

// image makes the image of a program for one platform: the authorities in one
// layer, which rarely changes, and the binary in another.
func (b build) image(ctx context.Context, p program, platform v1.Platform) (v1.Image, error) {
	at, err := time.Parse(time.RFC3339, b.date)
	if err != nil {
		return nil, fmt.Errorf("date %q: want such as 2026-01-02T15:04:05Z", b.date)
	}
	binary, err := b.compile(ctx, p.name, platform)
	if err != nil {
		return nil, err
	}
	trust, err := layer(certificates, authorities(), 0o644, at)
	if err != nil {
		return nil, err
	}
	executable, err := layer(p.name, binary, 0o755, at)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.ConfigFile(img, b.config(p, platform, at))
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", p.name, err)
	}
	img, err = mutate.Append(img,
		mutate.Addendum{Layer: trust, History: v1.History{Created: v1.Time{Time: at}, CreatedBy: "certificate authorities"}},
		mutate.Addendum{Layer: executable, History: v1.History{Created: v1.Time{Time: at}, CreatedBy: p.name}},
	)
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", p.name, err)
	}
	return img, nil
}

// config is how the image is run; the Dockerfile says the same. The health check
// is Docker's, which others leave aside.
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

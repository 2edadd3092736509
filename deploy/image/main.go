// Command image builds the OCI images of both programs without a container engine
// or a base image: the same images as the Dockerfile.
//
//	go run ./deploy/image -out dist/image -version v1.2.3 -commit … -date 2026-01-02T15:04:05Z
//
// For each program it writes an OCI layout of all platforms, DIR/NAME, and for each
// platform a tarball for `docker load`, DIR/NAME_OS_ARCH.tar. The same sources,
// version and compiler give the same digests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var b build
	var dir, platforms string
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&b.sources, "sources", ".", "root of the module")
	flags.StringVar(&dir, "out", "dist/image", "output directory; it is replaced")
	flags.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64", "platforms, comma-separated")
	flags.StringVar(&b.version, "version", "dev", "version")
	flags.StringVar(&b.commit, "commit", "unknown", "commit of the sources")
	flags.StringVar(&b.date, "date", time.Unix(0, 0).UTC().Format(time.RFC3339), "date of the commit, RFC 3339; the only time in the images")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments %q: use only flags", flags.Args())
	}
	var targets []v1.Platform
	for text := range strings.SplitSeq(platforms, ",") {
		p, err := v1.ParsePlatform(text)
		if err == nil && (p.OS != "linux" || p.Architecture == "") {
			err = errors.New("unsupported platform")
		}
		if err != nil {
			return fmt.Errorf("-platforms %q: use a platform such as linux/amd64: %w", text, err)
		}
		targets = append(targets, *p)
	}
	return writeAll(ctx, b, targets, dir, out)
}

// writeAll builds and writes the images of every program and prints their digests.
func writeAll(ctx context.Context, b build, platforms []v1.Platform, dir string, out io.Writer) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("replace the images: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the images: %w", err)
	}
	for _, p := range programs {
		images := make([]v1.Image, len(platforms))
		for i, platform := range platforms {
			var err error
			if images[i], err = b.image(ctx, p, platform); err != nil {
				return err
			}
		}
		digest, err := write(dir, p.name+":"+b.version, p.name, platforms, images)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s:%s %s\n", p.name, b.version, digest)
	}
	return nil
}

// write writes the images of one program, one per platform: a tarball of each and
// an OCI layout of all, whose digest it returns.
func write(dir, reference, program string, platforms []v1.Platform, images []v1.Image) (v1.Hash, error) {
	tag, err := name.NewTag(reference)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("image name: %w", err)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, img := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &platforms[i]},
		})
		path := filepath.Join(dir, fmt.Sprintf("%s_%s_%s.tar", program, platforms[i].OS, platforms[i].Architecture))
		if err := tarball.WriteToFile(path, tag, img); err != nil {
			return v1.Hash{}, fmt.Errorf("write %s: %w", path, err)
		}
	}
	path := filepath.Join(dir, program)
	top := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add:        index,
		Descriptor: v1.Descriptor{Annotations: map[string]string{"org.opencontainers.image.ref.name": tag.TagStr()}},
	})
	if _, err := layout.Write(path, top); err != nil {
		return v1.Hash{}, fmt.Errorf("write %s: %w", path, err)
	}
	return index.Digest()
}

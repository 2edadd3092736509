// Command image makes the OCI images of both programs without a container engine
// and without a base image: what the Dockerfile makes, from the sources around it.
//
//	go run ./deploy/image -out dist/image -version v1.2.3 -commit … -date 2026-01-02T15:04:05Z
//
// For each program it writes an OCI layout of all platforms, DIR/NAME, and a
// tarball a platform that `docker load` takes, DIR/NAME_OS_ARCH.tar. The same
// sources, version and compiler give the same digests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1) //nolint:gocritic // stop only unregisters the signal
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var b build
	var dir, platforms string
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&b.sources, "sources", ".", "the top of the sources")
	flags.StringVar(&dir, "out", "dist/image", "where to write; what is there is replaced")
	flags.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64", "for which platforms")
	flags.StringVar(&b.version, "version", "dev", "the release")
	flags.StringVar(&b.commit, "commit", "unknown", "of the sources")
	flags.StringVar(&b.date, "date", time.Unix(0, 0).UTC().Format(time.RFC3339), "of the commit, RFC 3339: the only time in the images")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: there are no arguments, only flags", flags.Args())
	}
	var targets []v1.Platform
	for text := range strings.SplitSeq(platforms, ",") {
		p, err := v1.ParsePlatform(text)
		if err != nil || p.OS != "linux" || p.Architecture == "" {
			return fmt.Errorf("-platforms %q: want such as linux/amd64: %w", text, errors.Join(err))
		}
		targets = append(targets, *p)
	}
	return writeAll(ctx, b, targets, dir, out)
}

// writeAll makes and writes the images of every program, and says their digests.
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

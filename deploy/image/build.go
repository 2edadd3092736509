package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// program is one of the two that are shipped, and how its image runs it.
type program struct {
	name string
	port string // it listens on every interface of its container
	args []string
}

var programs = []program{
	{name: "service-courier", port: "8082", args: []string{"serve"}},
	{name: "service-order", port: "8080"},
}

// build is one version of the sources.
type build struct {
	sources               string // the module's top
	version, commit, date string
}

// compile returns the static binary of a program.
func (b build) compile(ctx context.Context, name string, platform v1.Platform) ([]byte, error) {
	dir, err := os.MkdirTemp("", "service-courier-image-")
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", name, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder: the system's to remove, if it must
	path := filepath.Join(dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-C", b.sources, "-trimpath", "-buildvcs=false",
		"-tags=timetzdata", "-ldflags="+b.ldflags(), "-o="+path, "./cmd/"+name)
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

// ldflags leaves out the symbols, and says which build it is.
func (b build) ldflags() string {
	const variable = " -X service-courier/internal/buildinfo."
	return strings.Join([]string{
		"-s -w", "version=" + b.version, "commit=" + b.commit, "date=" + b.date,
	}, variable)
}

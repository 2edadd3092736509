// Package program compiles the programs of this module and runs them as child
// processes, as an operator would: settings by environment, a working directory
// of their own, an end by signal. The end-to-end tests and the benchmark use
// it; it knows nothing of what the programs do.
package program

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build compiles the commands of cmd/ that are named into dir.
func Build(ctx context.Context, dir string, names ...string) error {
	// No version stamp: it fails in a clone that belongs to another user.
	args := []string{"build", "-buildvcs=false", "-o", dir + string(filepath.Separator)}
	for _, name := range names {
		args = append(args, "service-courier/cmd/"+name)
	}
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%s", names, err, out)
	}
	return nil
}

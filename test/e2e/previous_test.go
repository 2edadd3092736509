package e2e

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// previousVersion is the commit, or the tag, that production runs when this
// version is rolled out: docs/releasing.md says when it moves.
//
//go:embed previous.txt
var previousVersion string

// previousProgram compiles service-courier of the previous version from the
// repository's history, in a folder of its own, and returns its path.
func previousProgram(t *testing.T) string {
	t.Helper()
	version := strings.TrimSpace(previousVersion)
	sources, program := t.TempDir(), filepath.Join(t.TempDir(), "service-courier")
	if out, err := git(t.Context(), "cat-file", "-e", version+"^{commit}").CombinedOutput(); err != nil {
		t.Fatalf("the previous version, %s of test/e2e/previous.txt, is not in this clone's history: the test needs git "+
			"and a clone that is not shallow (git fetch --unshallow --tags): %v\n%s", version, err, out)
	}
	archive := filepath.Join(sources, "sources.tar")
	for _, cmd := range []*exec.Cmd{
		git(t.Context(), "archive", "--format=tar", "--output="+archive, version),
		exec.CommandContext(t.Context(), "tar", "-xf", archive, "-C", sources),
		exec.CommandContext(t.Context(), "go", "build", "-C", sources, "-buildvcs=false", "-o", program, "./cmd/service-courier"),
	} {
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("the previous version %s: %v: %v\n%s", version, cmd.Args, err, out)
		}
	}
	return program
}

// git runs on this repository from its top, whoever owns the clone.
func git(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "-C", filepath.Join("..", "..")}, args...)...)
}

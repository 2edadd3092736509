// Command mutants removes the guards of this service, one at a time, in a copy
// of the sources, and runs the tests that must notice. It prints a table and
// fails when a guard can go without a test failing. `make mutants` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// timeout of one run of tests: a guard against deadlocks that is gone may hang.
const timeout = "90s"

func main() {
	only := flag.String("only", "", "run only the guards whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1) //nolint:gocritic // stop only unregisters the signal
	}
}

func run(ctx context.Context, only string) error {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.CopyFS(dir, sources(".")); err != nil {
		return fmt.Errorf("copy the sources (run it at the root of the repository): %w", err)
	}
	fmt.Printf("%-24s %-9s %6s  %s\n", "guard removed", "noticed", "after", "by")
	var survivors []string
	for _, m := range mutants {
		if !strings.Contains(m.name, only) {
			continue
		}
		began := time.Now()
		by, err := m.try(ctx, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		noticed := "yes"
		if by == "" {
			noticed, by = "NO", "-"
			survivors = append(survivors, m.name)
		}
		fmt.Printf("%-24s %-9s %5.0fs  %s\n", m.name, noticed, time.Since(began).Seconds(), by)
	}
	if len(survivors) > 0 {
		return fmt.Errorf("no test notices that these are gone: %s", strings.Join(survivors, ", "))
	}
	return nil
}

// mutant is one guard and how it is removed.
type mutant struct {
	name, file string
	guard      string // as it stands in the file
	without    string // what stands there when it is gone
	test       string // package and -run pattern of the test that must fail
}

// try removes the guard in dir, runs the test, puts the guard back, and
// returns the name of the test that failed, "" when none did.
func (m mutant) try(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, m.file)
	whole, err := os.ReadFile(path) //nolint:gosec // names from the table below
	if err != nil {
		return "", err
	}
	if strings.Count(string(whole), m.guard) != 1 {
		return "", fmt.Errorf("%s does not have the guard once: %q", m.file, m.guard)
	}
	broken := strings.Replace(string(whole), m.guard, m.without, 1)
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		return "", err
	}
	defer func() { _ = os.WriteFile(path, whole, 0o600) }()
	pkg, pattern, _ := strings.Cut(m.test, " ")
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout="+timeout, "-run", pattern, pkg) //nolint:gosec // from the table
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	var failed *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case !errors.As(err, &failed):
		return "", err
	}
	return verdict(string(out))
}

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// verdict tells a test that failed from sources that no longer compile.
func verdict(out string) (string, error) {
	if match := failedTest.FindStringSubmatch(out); match != nil {
		return match[1], nil
	}
	if strings.Contains(out, "panic: test timed out") {
		return "a test that hangs", nil
	}
	if strings.Contains(out, "\npanic: ") {
		return "a panic", nil
	}
	return "", fmt.Errorf("the tests did not run:\n%s", out)
}

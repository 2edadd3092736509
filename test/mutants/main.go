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
	"slices"
	"strings"
	"sync"
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

// atOnce is how many guards are tried at a time: the tests that miss one mostly wait.
const atOnce = 2

func run(ctx context.Context, only string) error {
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !strings.Contains(m.name, only) })
	ctx, cancel := context.WithCancel(ctx)
	var trying sync.WaitGroup
	defer trying.Wait()
	defer cancel()
	outcomes := begin(ctx, &trying, chosen)
	fmt.Printf("%-24s %-9s %6s  %s\n", "guard removed", "noticed", "after", "by")
	var survivors []string
	for i, m := range chosen {
		tried := <-outcomes[i]
		if tried.err != nil {
			return fmt.Errorf("%s: %w", m.name, tried.err)
		}
		noticed, by := "yes", tried.by
		if by == "" {
			noticed, by = "NO", "-"
			survivors = append(survivors, m.name)
		}
		fmt.Printf("%-24s %-9s %5.0fs  %s\n", m.name, noticed, tried.took.Seconds(), by)
	}
	if len(survivors) > 0 {
		return fmt.Errorf("no test notices that these are gone: %s", strings.Join(survivors, ", "))
	}
	return nil
}

// outcome is what became of a guard's removal: by names the test that failed.
type outcome struct {
	by   string
	took time.Duration
	err  error
}

// begin tries the chosen in turn, each of atOnce workers in a copy of the sources.
// Each outcome comes over its own channel, so that they are told in the table's order.
func begin(ctx context.Context, trying *sync.WaitGroup, chosen []mutant) []chan outcome {
	outcomes, turns := make([]chan outcome, len(chosen)), make(chan int, len(chosen))
	for i := range chosen {
		outcomes[i] = make(chan outcome, 1)
		turns <- i
	}
	close(turns)
	for range atOnce {
		trying.Go(func() {
			dir, err := copySources()
			defer func() { _ = os.RemoveAll(dir) }()
			for i := range turns {
				began, by := time.Now(), ""
				if err == nil {
					by, err = chosen[i].try(ctx, dir)
				}
				outcomes[i] <- outcome{by, time.Since(began), err}
			}
		})
	}
	return outcomes
}

func copySources() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "mutants-"); err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, sources(".")); err != nil {
		return dir, fmt.Errorf("copy the sources (run it at the root of the repository): %w", err)
	}
	return dir, nil
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

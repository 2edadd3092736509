// Command mutants removes each guard of this service, one at a time, in a copy of
// the sources, and runs the test that must then fail. It prints a table, and fails
// when a test passes without its guard. `make mutants` runs it.
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

// timeout of one test run: without a guard against deadlocks it may hang.
const timeout = "90s"

func main() {
	only := flag.String("only", "", "run only the guards whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// workers is how many guards are tried in parallel: the tests mostly wait.
const workers = 2

func run(ctx context.Context, only string) error {
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !strings.Contains(m.name, only) })
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	outcomes := start(ctx, &wg, chosen)
	fmt.Printf("%-36s %-9s %6s  %s\n", "guard removed", "noticed", "after", "by")
	var survivors []string
	var failed error
	for i, m := range chosen {
		result := <-outcomes[i]
		noticed, by := "yes", result.by
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case result.err != nil:
			noticed, by = "ERROR", "see below"
			failed = errors.Join(failed, fmt.Errorf("%s: %w", m.name, result.err))
		case by == "":
			noticed, by = "NO", "-"
			survivors = append(survivors, m.name)
		}
		fmt.Printf("%-36s %-9s %5.0fs  %s\n", m.name, noticed, result.took.Seconds(), by)
	}
	if len(survivors) > 0 {
		failed = errors.Join(failed, fmt.Errorf("no test fails without: %s", strings.Join(survivors, ", ")))
	}
	return failed
}

// outcome of removing one guard; by names the test that failed, "" when none did.
type outcome struct {
	by   string
	took time.Duration
	err  error
}

// start runs the chosen mutants, each worker in its own copy of the sources. Each
// outcome has its own channel, so that run prints them in the table's order.
func start(ctx context.Context, wg *sync.WaitGroup, chosen []mutant) []chan outcome {
	outcomes, next := make([]chan outcome, len(chosen)), make(chan int, len(chosen))
	for i := range chosen {
		outcomes[i] = make(chan outcome, 1)
		next <- i
	}
	close(next)
	for range workers {
		wg.Go(func() {
			dir, err := copySources()
			defer func() { _ = os.RemoveAll(dir) }()
			for i := range next {
				started, result := time.Now(), outcome{err: err}
				if err == nil {
					result.by, result.err = chosen[i].try(ctx, dir)
				}
				result.took = time.Since(started)
				outcomes[i] <- result
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

// mutant is one guard and what replaces it.
type mutant struct {
	name, file string
	guard      string // the text in the file
	without    string // its replacement
	test       string // package and -run pattern of the test that must fail
}

// try replaces the guard in dir, runs the test, restores the file, and returns the
// name of the test that failed, "" when none did.
func (m mutant) try(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, m.file)
	whole, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if strings.Count(string(whole), m.guard) != 1 {
		return "", fmt.Errorf("%s must contain the guard exactly once: %q", m.file, m.guard)
	}
	broken := strings.Replace(string(whole), m.guard, m.without, 1)
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		return "", err
	}
	defer func() { _ = os.WriteFile(path, whole, 0o600) }()
	pkg, pattern, _ := strings.Cut(m.test, " ")
	cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-count=1", "-timeout="+timeout, "-run", pattern, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CI=true") // some guards have their test only there, see citest
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

// verdict returns the failed test's name, or an error when the sources no longer compile.
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

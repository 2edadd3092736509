// Command mutants removes each guard of this service, one at a time, and runs the test
// that must then fail. It prints a table, and fails
// when a test passes without its guard. `make mutants` runs it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
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

// workers is how many guards are tried in parallel: most tests wait for what does not come
// without the guard.
const workers = 6

// compiling limits how many of them compile at a time, which keeps the processors busy.
var compiling = make(chan struct{}, 2)

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

// start runs the chosen mutants. Each outcome has its own channel, so that run prints them
// in the table's order.
func start(ctx context.Context, wg *sync.WaitGroup, chosen []mutant) []chan outcome {
	outcomes, next := make([]chan outcome, len(chosen)), make(chan int, len(chosen))
	for i := range chosen {
		outcomes[i] = make(chan outcome, 1)
		next <- i
	}
	close(next)
	for range workers {
		wg.Go(func() {
			for i := range next {
				var result outcome
				started := time.Now()
				result.by, result.err = chosen[i].try(ctx)
				result.took = time.Since(started)
				outcomes[i] <- result
			}
		})
	}
	return outcomes
}

// mutant is one guard and what replaces it.
type mutant struct {
	name, file string
	guard      string // the text in the file
	without    string // its replacement
	test       string // package and -run pattern of the test that must fail
}

// try runs the test without the guard, and returns the name of the test that failed, ""
// when none did.
func (m mutant) try(ctx context.Context) (string, error) {
	whole, err := os.ReadFile(m.file)
	if err != nil {
		return "", fmt.Errorf("%w (run it at the root of the repository)", err)
	}
	if strings.Count(string(whole), m.guard) != 1 {
		return "", fmt.Errorf("%s must contain the guard exactly once: %q", m.file, m.guard)
	}
	temp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	root, env, err := m.remove(strings.Replace(string(whole), m.guard, m.without, 1), temp)
	if err != nil {
		return "", err
	}
	pkg, pattern, _ := strings.Cut(m.test, " ")
	binary := filepath.Join(temp, "mutant.test")
	// Without debug information, which takes a third of the time of linking.
	if out, err := compile(ctx, root, env, "-ldflags=-w", "-o", binary, pkg); err != nil {
		return "", fmt.Errorf("%w:\n%s", err, out)
	}
	args := []string{"-test.timeout=" + timeout, "-test.run=" + pattern}
	const noFile = "rapid.nofailfile" // rapid would leave a file in the sources
	if compiled, err := os.ReadFile(binary); err == nil && bytes.Contains(compiled, []byte(noFile)) {
		args = append(args, "-"+noFile)
	}
	out, err := command(ctx, filepath.Join(root, pkg), env, binary, args...).CombinedOutput()
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

func compile(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	compiling <- struct{}{}
	defer func() { <-compiling }()
	return command(ctx, dir, env, "go", append([]string{"test", "-c", "-vet=off"}, args...)...).CombinedOutput()
}

func command(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.WaitDelay = 10 * time.Second // for a process that the test left with its output
	return cmd
}

// remove returns the root of sources that have the broken file in place of the whole one,
// and the environment for them. What is compiled or embedded is replaced by an overlay, so
// that only its package and those that import it are compiled again. What a test reads
// itself is replaced in a copy of the sources.
func (m mutant) remove(broken, temp string) (root string, env []string, err error) {
	env = append(os.Environ(), "CI=true") // some guards have their test only there, see citest
	if !strings.HasPrefix(m.file, "internal/") && !strings.HasPrefix(m.file, "cmd/") {
		root = filepath.Join(temp, "sources")
		if err := os.CopyFS(root, sources(".")); err != nil {
			return "", nil, err
		}
		return root, env, os.WriteFile(filepath.Join(root, m.file), []byte(broken), 0o600)
	}
	path, err := filepath.Abs(m.file)
	if err != nil {
		return "", nil, err
	}
	file, overlay := filepath.Join(temp, "broken"), filepath.Join(temp, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: file}})
	if err != nil {
		return "", nil, err
	}
	// In the environment, for the programs that a test builds.
	env = append(env, "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
	return ".", env, errors.Join(os.WriteFile(file, []byte(broken), 0o600), os.WriteFile(overlay, list, 0o600))
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

package containers

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// The environment variables that run these tests. If no engine can run, the first is
// satisfied with a message, the second fails.
const (
	envRun     = "SERVICE_COURIER_TEST_CONTAINERS"
	envRequire = "SERVICE_COURIER_REQUIRE_CONTAINERS"
	envInside  = "SERVICE_COURIER_CONTAINERS_INSIDE" // set by the outer process
)

// errNotRun means that this machine cannot run a container engine.
var errNotRun = errors.New("not run")

func TestMain(m *testing.M) {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case os.Getenv(envRun) == "" && os.Getenv(envRequire) == "":
		os.Exit(0)
	case os.Getenv(envInside) != "":
		os.Exit(inside(ctx, m))
	}
	code, err := outside(ctx)
	if err != nil {
		fmt.Println("containers:", err)
		code = 1
		if errors.Is(err, errNotRun) && os.Getenv(envRequire) == "" {
			code = 0
		}
	}
	os.Exit(code)
}

// outside prepares what needs the network, then runs this binary again in namespaces of
// its own: process 1 there takes all others with it when it ends.
func outside(ctx context.Context) (code int, err error) {
	if os.Getuid() != 0 {
		return 0, fmt.Errorf("%w: namespaces and a Docker daemon need root", errNotRun)
	}
	cache, release, err := openCache(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	began := time.Now()
	if err := cache.prepare(ctx); err != nil {
		return 0, err
	}
	fmt.Printf("containers: packages, plugin and modules after %v\n", time.Since(began).Round(time.Second))
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), envInside+"="+string(cache))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w: no namespaces: %w", errNotRun, err)
	}
	if err := cmd.Wait(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			return 0, err
		}
		return max(exit.ExitCode(), 1), nil
	}
	return 0, nil
}

// inside runs the tests on a new daemon.
func inside(ctx context.Context, m *testing.M) int {
	context.AfterFunc(ctx, func() { os.Exit(1) }) // a signal ends this process 1, and all others with it
	began := time.Now()
	e, err := startEngine(ctx, cacheDir(os.Getenv(envInside)))
	if err == nil {
		defer e.stop(context.WithoutCancel(ctx))
		err = e.buildStandIns(ctx)
	}
	if err != nil {
		fmt.Println("containers:", err)
		return 1
	}
	fmt.Printf("containers: engine and stand-ins after %v\n", time.Since(began).Round(time.Second))
	docker = e
	return m.Run()
}

// docker is the daemon of this run.
var docker *engine

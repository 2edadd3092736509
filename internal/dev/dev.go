// Package dev is the development environment of service-courier, for the
// command `service-courier dev` and for tests. Its subpackages run a private
// PostgreSQL server (devpostgres), an embedded Kafka broker (devkafka) and a
// simulated service-order (ordersim); pgtest gives each test a database. This
// package holds what they share: locked directories and loopback ports.
//
// None of them imports the service or reads its settings, and `serve` must not
// use them: production brings its own PostgreSQL and Kafka.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

var (
	// ErrLocked means that another process uses the directory.
	ErrLocked = errors.New("in use by another running service-courier; stop that one or choose another directory")

	// ErrPortTaken means that another process listens on the port.
	ErrPortTaken = errors.New("port is taken")
)

// FileLock is a lock on a file. The operating system releases it when the
// process ends; the file stays.
type FileLock struct{ file *os.File }

// TryLock locks the file, or returns ErrLocked.
func TryLock(path string) (*FileLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, err
	}
	return &FileLock{file}, nil
}

// Lock locks the file and waits while another process holds the lock.
func Lock(ctx context.Context, path string) (*FileLock, error) {
	for {
		lock, err := TryLock(path)
		if !errors.Is(err, ErrLocked) {
			return lock, err
		}
		if err := Sleep(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// Release unlocks the file. Closing it is not enough: a child process that
// another goroutine is starting holds a copy of the descriptor until it
// executes its program, and the lock lasts as long as any copy.
func (l *FileLock) Release() {
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	_ = l.file.Close()
}

// Listen listens on a port of 127.0.0.1; 0 takes a free one.
func Listen(ctx context.Context, port int) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: 127.0.0.1:%d; stop what listens there or choose another port", ErrPortTaken, port)
	}
	return listener, err
}

// DirError adds to err the data directory and, where permissions are the cause,
// the fix.
func DirError(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("data directory %s: %w; choose one that this user may write, or remove it if another user made it", dir, err)
	}
	return fmt.Errorf("data directory %s: %w", dir, err)
}

// Sleep waits for d, or returns the cause that ended ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

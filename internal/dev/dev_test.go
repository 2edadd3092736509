package dev

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The copy of the descriptor stands for a child process that is being started.
func TestReleaseUnlocksDespiteACopiedDescriptor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	child, err := syscall.Dup(int(lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(child) }()
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("locked twice: %v", err)
	}
	lock.Release()
	again, err := TryLock(path)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	again.Release()
}

func TestLockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock of a locked file = %v, want context.DeadlineExceeded", err)
	}
}

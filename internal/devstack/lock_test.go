package devstack

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// A copy of the descriptor stands for the child that another goroutine starts.
func TestReleasedLockIsFreeForOthersAlthoughAChildHasACopy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := lockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	child, err := syscall.Dup(int(lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(child) }()
	if _, err := lockFile(path); !errors.Is(err, errLocked) {
		t.Fatalf("taken twice: %v", err)
	}
	lock.release()
	again, err := lockFile(path)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	again.release()
}

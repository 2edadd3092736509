package devstack

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

var errLocked = errors.New("in use by another running service-courier; stop that one or choose another directory")

// fileLock is a lock on a file. It ends with the process however that ends; the
// file itself stays.
type fileLock struct{ file *os.File }

// lockFile takes the file's lock, or fails with errLocked.
func lockFile(path string) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, err
	}
	return &fileLock{file}, nil
}

// awaitLock is lockFile that waits for whoever has it.
func awaitLock(ctx context.Context, path string) (*fileLock, error) {
	for {
		lock, err := lockFile(path)
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// release gives the lock back. Closing the file is not enough: a child that
// another goroutine is just starting has a copy of the descriptor until it
// executes its program, and the lock lasts as long as any copy.
func (l *fileLock) release() {
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	_ = l.file.Close()
}

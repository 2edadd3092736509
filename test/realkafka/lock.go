package realkafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockFile takes an exclusive lock on the file at path, waiting for whoever
// holds it, and returns what gives it back. The kernel drops the lock of a
// killed process, so none is ever stale; the file itself stays, since removing
// it would let two processes lock two files of the same name.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock file of the Kafka jars: %w", err)
	}
	// A blocking flock cannot be interrupted by ctx.
	err = poll(ctx, 50*time.Millisecond, func() (bool, error) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s, which another process that fetches the Kafka jars may hold: %w", path, err)
	}
	return func() { _ = file.Close() }, nil
}

// poll calls try at once and then every interval until it says done, fails, or
// ctx ends.
func poll(ctx context.Context, interval time.Duration, try func() (done bool, err error)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if done, err := try(); done || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

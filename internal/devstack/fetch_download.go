package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

var errStalled = errors.New("no data for too long")

// download writes the archive to path and checks its sum.
func (f fetcher) download(ctx context.Context, path string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	url := f.archive.url(f.base)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client, closeIdle := fetchClient()
	defer closeIdle()
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("fetch PostgreSQL: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch PostgreSQL: GET %s: %s", request.URL.Redacted(), response.Status)
	}

	stall := time.AfterFunc(f.stall, func() { cancel(errStalled) })
	defer stall.Stop()
	body := &liveReader{from: response.Body, seen: func() { stall.Reset(f.stall) }}
	bar := newProgress(f.progress, "fetching PostgreSQL "+fetchedVersion, response.ContentLength)
	sum, err := save(path, io.TeeReader(body, bar))
	bar.finish(err)
	if err != nil {
		return fmt.Errorf("fetch PostgreSQL: GET %s: %w", request.URL.Redacted(), causeOr(ctx, err))
	}
	if sum != f.archive.sha256 {
		return fmt.Errorf("fetch PostgreSQL: %s has the SHA-256 sum %s, expected %s: it was changed on its way or at its source, and is not used",
			request.URL.Redacted(), sum, f.archive.sha256)
	}
	return nil
}

// save returns the SHA-256 sum, in hexadecimal, of what it wrote.
func save(path string, from io.Reader) (_ string, err error) {
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(file, sum), from); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// causeOr prefers why the context ended to the "context canceled" of a read.
func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// liveReader reports each time that something was read.
type liveReader struct {
	from io.Reader
	seen func()
}

func (r *liveReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if n > 0 {
		r.seen()
	}
	return n, err
}

package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// rereadInterval: a token removed from the file is valid for at most this long.
const rereadInterval = time.Second

// Reporter reports failed and successful attempts to read the file.
type Reporter interface {
	Failed(ctx context.Context, err error)
	Recovered(ctx context.Context)
}

// File is a file of tokens that is reread while in use, so that tokens change
// without a restart. If it cannot be read or parsed, its last tokens stay valid.
// An empty file permits no caller.
type File struct {
	path     string
	reporter Reporter

	mu     sync.Mutex
	readAt time.Time
	text   []byte
	tokens Tokens
}

// OpenFile reads the file, which must contain at least one token.
func OpenFile(path string, reporter Reporter) (*File, error) {
	f := &File{path: path, reporter: reporter}
	if err := f.reread(); err != nil {
		return nil, err
	}
	if f.tokens.Len() == 0 {
		return nil, fmt.Errorf("%s contains no token: want lines of name:role:token", path)
	}
	return f, nil
}

// Caller returns the owner of the token, by the file as it was at most a second ago.
func (f *File) Caller(ctx context.Context, token string) (Caller, bool) {
	return f.current(ctx).Caller(ctx, token)
}

// current rereads the file if rereadInterval has passed.
func (f *File) current(ctx context.Context) Tokens {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.readAt) >= rereadInterval {
		if err := f.reread(); err != nil {
			f.reporter.Failed(ctx, err)
		} else {
			f.reporter.Recovered(ctx)
		}
	}
	return f.tokens
}

func (f *File) reread() error {
	f.readAt = time.Now()
	text, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("read the tokens: %w", err)
	}
	if f.text != nil && bytes.Equal(text, f.text) {
		return nil
	}
	tokens, err := Parse(strings.TrimPrefix(string(text), "\uFEFF")) // as editors on Windows save it
	if err != nil {
		return errors.Join(fmt.Errorf("the tokens in %s are invalid", f.path), err)
	}
	f.text, f.tokens = text, tokens
	return nil
}

package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// rereadEvery bounds how long a token stays valid that was taken out of the file.
const rereadEvery = time.Second

// Teller says that the file cannot be used, once, and that it can again, once.
type Teller interface {
	Failed(ctx context.Context, err error)
	Works(ctx context.Context)
}

// File is tokens in a file that is read again while it is used, so that tokens
// come and go without a restart. Where it cannot be read, or is not as Parse wants
// it, the tokens that it had stay valid. One that has no token lets nobody in.
type File struct {
	path string
	tell Teller

	mu     sync.Mutex
	read   time.Time // when it was
	text   []byte
	tokens Tokens
}

// OpenFile reads the tokens, of which there must be one at least.
func OpenFile(path string, tell Teller) (*File, error) {
	f := &File{path: path, tell: tell}
	if err := f.reread(); err != nil {
		return nil, err
	}
	if f.tokens.Len() == 0 {
		return nil, fmt.Errorf("%s has no token: want lines of name:role:token", path)
	}
	return f, nil
}

// Caller returns who has the token, as the file was at most a second ago.
func (f *File) Caller(ctx context.Context, token string) (Caller, bool) {
	return f.now(ctx).Caller(ctx, token)
}

// now rereads the file when the last time is long ago.
func (f *File) now(ctx context.Context) Tokens {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.read) >= rereadEvery {
		if err := f.reread(); err != nil {
			f.tell.Failed(ctx, err)
		} else {
			f.tell.Works(ctx)
		}
	}
	return f.tokens
}

func (f *File) reread() error {
	f.read = time.Now()
	text, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("read the tokens: %w", err)
	}
	if f.text != nil && bytes.Equal(text, f.text) {
		return nil
	}
	tokens, err := Parse(string(text))
	if err != nil {
		return errors.Join(fmt.Errorf("the tokens of %s are not usable", f.path), err)
	}
	f.text, f.tokens = text, tokens
	return nil
}

package devpostgres

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// copyTemplate copies the template into the server's directory and returns its major
// version. After an error nothing of it is left there.
func (s *Server) copyTemplate(ctx context.Context) (major int, err error) {
	template, err := s.ensureTemplate(ctx)
	if err != nil {
		return 0, err
	}
	password, data := filepath.Join(template, "password"), filepath.Join(template, "data")
	if err := s.runChild(ctx, "/bin/cp", "-pR", password, data, s.dir.root); err != nil {
		return 0, errors.Join(err, os.RemoveAll(s.dir.password()), os.RemoveAll(s.dir.cluster()))
	}
	return s.bin.major, nil
}

// ensureTemplate returns the directory of the template and creates it if the cache lacks
// it. The name holds what a cluster depends on.
func (s *Server) ensureTemplate(ctx context.Context) (string, error) {
	cache, err := cacheDir(s.cfg, s.user)
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", s.bin.dir, s.bin.version, s.initdbArgs()))
	template := filepath.Join(cache, fmt.Sprintf("cluster-%d-%.8x", s.bin.major, key))
	if _, err := os.Stat(template); err == nil {
		return template, nil
	}
	lock, err := lockCache(ctx, cache)
	if err != nil {
		return "", err
	}
	defer lock.Release()
	if _, err := os.Stat(template); err == nil {
		return template, nil
	}
	return template, s.createTemplate(ctx, template)
}

// createTemplate works in a second directory and renames it at the end, with everything
// on the disk: an incomplete template would break every later start. The caller holds
// the lock.
func (s *Server) createTemplate(ctx context.Context, template string) (err error) {
	work := template + ".part"
	if err := os.RemoveAll(work); err != nil { // from a start that was killed
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	password := filepath.Join(work, "password")
	if err := errors.Join(os.Mkdir(work, 0o700), s.user.own(work), writeNew(password, rand.Text()+"\n"), s.user.own(password)); err != nil {
		return err
	}
	if err := s.initdb(ctx, filepath.Join(work, "data"), password, s.initdbArgs()); err != nil {
		return err
	}
	return os.Rename(work, template)
}

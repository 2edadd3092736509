package devstack

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dataDir is the directory of one cluster:
//
//	lock          held by the parent, so that a second one is told
//	password      of the superuser, mode 0600
//	data/         PostgreSQL's own
//	postgres.log  of this start; postgres.log.old of the one before
type dataDir struct {
	root string
	who  account
	lock *fileLock
}

func (d *dataDir) cluster() string  { return filepath.Join(d.root, "data") }
func (d *dataDir) logPath() string  { return filepath.Join(d.root, "postgres.log") }
func (d *dataDir) password() string { return filepath.Join(d.root, "password") }

// openDataDir creates the directory where missing, hands it to the server's
// user and locks it. Close releases it.
func openDataDir(root string, who account) (_ *dataDir, err error) {
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return nil, explainDir(root, err)
	}
	if err := os.Mkdir(root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, explainDir(root, err)
	}
	// The server reports its directory resolved; so it can be recognised.
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, explainDir(root, err)
	}
	if err := who.checkReach(filepath.Dir(root)); err != nil {
		return nil, fmt.Errorf("data directory %s: %w; choose one outside, such as under /var/lib", root, err)
	}
	d := &dataDir{root: root, who: who}
	if err := d.claim(); err != nil {
		return nil, err
	}
	return d, nil
}

// claim refuses a directory with foreign content: it is about to be handed to
// another user.
func (d *dataDir) claim() error {
	entries, err := os.ReadDir(d.root)
	if err != nil {
		return explainDir(d.root, err)
	}
	lock := filepath.Join(d.root, "lock")
	if _, err := os.Lstat(lock); err != nil && len(entries) > 0 {
		return fmt.Errorf("data directory %s: holds files that are not a cluster of ours; choose an empty or a new one", d.root)
	}
	if d.lock, err = lockFile(lock); err != nil {
		return explainDir(d.root, err)
	}
	if err := d.who.own(d.root); err != nil {
		d.close()
		return explainDir(d.root, err)
	}
	return nil
}

func (d *dataDir) close() { d.lock.release() }

// major is the version that made the cluster, 0 when there is none yet.
func (d *dataDir) major() (int, error) {
	text, err := os.ReadFile(filepath.Join(d.cluster(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, explainDir(d.root, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// openLog starts a new log and keeps the last one, so that neither grows for
// ever and a crash can still be read after the restart.
func (d *dataDir) openLog() (*os.File, error) {
	if err := os.Rename(d.logPath(), d.logPath()+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(d.logPath(), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
}

// superuserPassword reads the cluster's password; a cluster to be made gets a
// new one, written before it so that no cluster is without.
func (d *dataDir) superuserPassword(newCluster bool) (string, error) {
	text, err := os.ReadFile(d.password())
	if err == nil && len(text) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if !newCluster {
		return "", fmt.Errorf("data directory %s: its password file is lost or empty; remove the directory to start with a new cluster", d.root)
	}
	_ = os.Remove(d.password()) // an empty one of a start that was killed
	password, err := randomPassword()
	if err != nil {
		return "", err
	}
	if err := writeNew(d.password(), password+"\n"); err != nil {
		return "", explainDir(d.root, err)
	}
	return password, d.who.own(d.password())
}

func randomPassword() (string, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	return hex.EncodeToString(raw), nil
}

// writeNew follows no link: as root it writes into another user's directory.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

func explainDir(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("data directory %s: %w; choose one that this user may write, or remove it if another user made it", dir, err)
	default:
		return fmt.Errorf("data directory %s: %w", dir, err)
	}
}

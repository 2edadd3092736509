package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// What --data holds.
const (
	postgresDir = "postgresql"
	kafkaDir    = "kafka"
	ordersFile  = "orders.jsonl"
)

// makeDataDir makes the directory of --data, and its name one that holds
// wherever a person goes on from.
func (d *dev) makeDataDir() (err error) {
	if d.cfg.DataDir == "" {
		return nil
	}
	if d.cfg.DataDir, err = filepath.Abs(d.cfg.DataDir); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	if err := os.MkdirAll(d.cfg.DataDir, 0o755); err != nil { // PostgreSQL's user passes through
		return fmt.Errorf("--data: %w; choose a directory that you may write to", err)
	}
	if err := d.checkContent(); err != nil {
		return err
	}
	return d.checkOwner()
}

// checkContent refuses a directory that holds other files and nothing of dev's: a
// person meant another one, and would find dev's among his own.
func (d *dev) checkContent() error {
	entries, err := os.ReadDir(d.cfg.DataDir)
	if err != nil {
		return fmt.Errorf("--data: %w; choose a directory that you may read", err)
	}
	own := func(e fs.DirEntry) bool {
		return slices.Contains([]string{postgresDir, kafkaDir, ordersFile}, e.Name())
	}
	if len(entries) == 0 || slices.ContainsFunc(entries, own) {
		return nil
	}
	return fmt.Errorf("--data: %s holds other files, such as %s, and none of dev's; choose an empty directory or a new one",
		d.cfg.DataDir, entries[0].Name())
}

// checkOwner refuses what another user made. Root above all: he could read it,
// and would hand the database to the user that runs PostgreSQL for him, so that
// whoever made it is locked out.
func (d *dev) checkOwner() error {
	info, err := os.Stat(d.keptIn(kafkaDir)) // the one that nobody else is lent
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--data: %w; choose a directory that you may read", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("--data: %s was made by user %s; run this as that user, or choose another directory",
		d.cfg.DataDir, userName(stat.Uid))
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(id); err == nil {
		return found.Username
	}
	return id
}

// keptIn returns the place of a part under --data, "" when nothing is kept.
func (d *dev) keptIn(part string) string {
	if d.cfg.DataDir == "" {
		return ""
	}
	return filepath.Join(d.cfg.DataDir, part)
}

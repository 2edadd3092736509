package devmode

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// checkParents refuses a path that another user could lead elsewhere: each component
// that exists, and each target of a link, belongs to root or to this user, and no other
// user may write to it. A sticky directory such as /tmp is fine: there no other
// user can replace what is ours.
func checkParents(path string) error {
	for _, p := range components(path) {
		info, err := os.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil // creating the directory fails with an error if the path cannot exist
		}
		if err != nil {
			return fmt.Errorf("--data: %w; choose a directory that you may read", err)
		}
		if uid := owner(info); uid != 0 && uid != os.Geteuid() {
			return foreign(p, uid)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if err := checkLink(p); err != nil {
				return err
			}
			continue
		}
		if info.IsDir() && info.Mode()&fs.ModeSticky == 0 && othersMayWrite(info) {
			return writable(p)
		}
	}
	return nil
}

// checkLink checks where a link leads, and each link on the way.
func checkLink(link string) error {
	end, err := filepath.EvalSymlinks(link) // fails for a loop
	if err != nil {
		return fmt.Errorf("--data: %w; choose a directory without this link", err)
	}
	next, err := os.Readlink(link)
	if err != nil {
		return fmt.Errorf("--data: %w; choose a directory without this link", err)
	}
	if !filepath.IsAbs(next) {
		next = filepath.Join(filepath.Dir(link), next)
	}
	return cmp.Or(checkParents(filepath.Clean(next)), checkParents(end))
}

// checkOwn refuses a directory that another user owns or may write to, and one with a
// link: dev creates none, so another user did.
func checkOwn(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("--data: %w; choose a directory that you may read", err)
	}
	if uid := owner(info); uid != os.Geteuid() {
		return foreign(dir, uid)
	}
	if othersMayWrite(info) {
		return writable(dir)
	}
	for _, name := range []string{postgresDir, kafkaDir, ordersFile, ordersFile + ".tmp"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("--data: %w; choose a directory that you may read", err)
		case !info.IsDir() && !info.Mode().IsRegular():
			return fmt.Errorf("--data: %s is a link or a device; remove it, or choose another directory", filepath.Join(dir, name))
		case name != postgresDir && owner(info) != os.Geteuid(): // PostgreSQL's user owns its directory
			return foreign(dir, owner(info))
		case name != postgresDir && othersMayWrite(info):
			return writable(filepath.Join(dir, name))
		}
	}
	return nil
}

// components are the directories of an absolute path from the root on, and the path.
func components(path string) (all []string) {
	for ; path != filepath.Dir(path); path = filepath.Dir(path) {
		all = append(all, path)
	}
	all = append(all, path)
	slices.Reverse(all)
	return all
}

func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return os.Geteuid()
}

// othersMayWrite accepts a group of the user's own, which has the user's number on
// systems that create one for each user.
func othersMayWrite(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	ownGroup := ok && int(stat.Gid) == os.Geteuid() && os.Geteuid() != 0
	return info.Mode()&0o002 != 0 || info.Mode()&0o020 != 0 && !ownGroup
}

func foreign(path string, uid int) error {
	return fmt.Errorf("--data: %s belongs to user %s; run dev as that user, or choose another directory", path, userName(uid))
}

func writable(path string) error {
	return fmt.Errorf("--data: other users may write to %s; run 'chmod go-w %s', or choose another directory", path, shellWord(path))
}

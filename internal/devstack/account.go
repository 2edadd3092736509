package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// account is the user that the server and its helpers run as. PostgreSQL
// refuses to run as root, so root lends them another one and stays root.
type account struct {
	name     string
	uid, gid uint32
	switched bool // false: the caller's own account
}

// serverAccount is the caller's own account, or for root `postgres`, else
// `nobody`.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr != nil || gidErr != nil || uid == 0 {
			continue
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid), switched: true}, nil
	}
	return account{}, errors.New("a PostgreSQL server does not run as root and there is neither a user postgres nor nobody: " +
		"add one of them, or run this as a plain user")
}

// sysProcAttr puts a child in a session of its own, so that Ctrl-C in the
// terminal reaches the parent alone, which then shuts the child down in order.
func (a account) sysProcAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a.switched {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// own hands path to the account.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// checkReach reports the first directory above and including dir that the
// account cannot enter; only a switched account can be kept out of a place
// that the caller reaches.
func (a account) checkReach(dir string) error {
	if !a.switched {
		return nil
	}
	var way []string
	for d := dir; ; d = filepath.Dir(d) {
		way = append(way, d)
		if d == filepath.Dir(d) {
			break
		}
	}
	for _, d := range slices.Backward(way) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		if !a.mayEnter(info) {
			return fmt.Errorf("user %s, who runs PostgreSQL for root, cannot enter %s (mode %v)", a.name, d, info.Mode().Perm())
		}
	}
	return nil
}

func (a account) mayEnter(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	perm := info.Mode().Perm()
	switch {
	case stat.Uid == a.uid:
		return perm&0o100 != 0
	case stat.Gid == a.gid:
		return perm&0o010 != 0
	default:
		return perm&0o001 != 0
	}
}

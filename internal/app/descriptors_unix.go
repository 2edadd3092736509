//go:build unix

package app

import "syscall"

// apiConnections is connectionsOf the limit of this process.
func apiConnections() int {
	var descriptors syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &descriptors); err != nil {
		return maxAPIConnections
	}
	return connectionsOf(uint64(descriptors.Cur)) //nolint:unconvert // signed on some systems
}

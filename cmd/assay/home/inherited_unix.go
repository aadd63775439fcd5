//go:build unix

package home

import (
	"golang.org/x/sys/unix"
)

// inherited says whether a descriptor came from who started us, and keeps it from programs that we start.
// What this process opened itself is marked close-on-exec from the start.
func inherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return false
	}
	unix.CloseOnExec(fd)
	return true
}

//go:build unix

package cmd

import "syscall"

// openNonblock lets open(2) of a FIFO return at once, so that it can be refused.
const openNonblock = syscall.O_NONBLOCK

// openNoFollow lets open(2) of a symbolic link fail.
const openNoFollow = syscall.O_NOFOLLOW

// enoughFiles refuses to begin where so few files may be open that the runtime of Go would abort on the
// way, with many pages of its own state.
func enoughFiles() error {
	const enough = 16
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < enough {
		return BadInput("raise it: ulimit -n 256", "only %d files may be open at once, expected at least %d", limit.Cur, enough)
	}
	return nil
}

// storageErrors are what storage that takes no more writes says: no space, no quota, read-only, file too large.
var storageErrors = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EFBIG}

//go:build unix

package cli

import "syscall"

// EnoughFiles refuses to begin where fewer files than that may be open at once.
func EnoughFiles(enough uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < enough {
		return BadInput("raise it: ulimit -n 256", "only %d files may be open at once, expected at least %d", limit.Cur, enough)
	}
	return nil
}

// storageErrors are what storage that takes no more writes says: no space, no quota, read-only, file too large.
var storageErrors = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EFBIG}

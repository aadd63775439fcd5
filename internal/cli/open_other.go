//go:build !unix

package cli

import "syscall"

// EnoughFiles is true of a system without such a limit.
func EnoughFiles(uint64) error { return nil }

// storageErrors are ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL and ERROR_WRITE_PROTECT of Windows.
var storageErrors = []error{syscall.Errno(112), syscall.Errno(39), syscall.Errno(19)}

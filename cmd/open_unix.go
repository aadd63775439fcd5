//go:build unix

package cmd

import "syscall"

// openNonblock lets open(2) of a FIFO return at once, so that it can be refused.
const openNonblock = syscall.O_NONBLOCK

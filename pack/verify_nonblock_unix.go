//go:build unix

package pack

import "syscall"

// nonblock keeps an open of a FIFO from waiting for its writer.
const nonblock = syscall.O_NONBLOCK

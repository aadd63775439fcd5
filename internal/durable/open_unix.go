//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// nonblock lets open(2) of a FIFO return at once, so that it can be refused.
const nonblock = syscall.O_NONBLOCK

func openNoFollow(path string, flag int, perm fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag|nonblock|syscall.O_NOFOLLOW, perm)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &NotRegular{path, fs.ModeSymlink}
	}
	return f, err
}

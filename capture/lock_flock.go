//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package capture

import (
	"io/fs"
	"os"
	"syscall"
)

// lock waits for the flock of a file, which is that of the Python tool.
func lock(file *os.File, shared bool) error {
	if shared {
		return flock(file, syscall.LOCK_SH)
	}
	return flock(file, syscall.LOCK_EX)
}

func unlock(file *os.File) error { return flock(file, syscall.LOCK_UN) }

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "flock", Path: file.Name(), Err: err}
		}
		return nil
	}
}

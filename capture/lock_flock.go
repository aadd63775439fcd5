//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package capture

import (
	"errors"
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

// tryLock takes the exclusive lock of a file, or returns ErrRecording if somebody has it.
func tryLock(file *os.File) error {
	err := flock(file, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrRecording
	}
	return err
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

package site

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncAll makes all that was written under a directory durable: one call for the file system, which for the
// thousands of files of a build is faster than one for each.
func syncAll(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(f.Fd()))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// lockFolder holds the folder for this process until the file is closed, or the process ends.
func lockFolder(root *os.Root) (*os.File, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

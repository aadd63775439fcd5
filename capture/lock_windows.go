package capture

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// beyond is where the locked byte is: a lock keeps others from the bytes it is on, and these are no file's.
// The Python tool takes no locks here.
const beyond = 1 << 30

func lock(file *os.File, shared bool) error {
	flags := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK)
	if shared {
		flags = 0
	}
	return lockAs(file, flags)
}

// tryLock takes the exclusive lock of a file, or returns ErrRecording if somebody has it.
func tryLock(file *os.File) error {
	err := lockAs(file, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrRecording
	}
	return err
}

func lockAs(file *os.File, flags uint32) error {
	if err := windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: beyond}); err != nil {
		return &fs.PathError{Op: "lock", Path: file.Name(), Err: err}
	}
	return nil
}

func unlock(file *os.File) error {
	if err := windows.UnlockFileEx(windows.Handle(file.Fd()), 0, 1, 0, &windows.Overlapped{OffsetHigh: beyond}); err != nil {
		return &fs.PathError{Op: "unlock", Path: file.Name(), Err: err}
	}
	return nil
}

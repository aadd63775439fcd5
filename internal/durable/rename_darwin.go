package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// renameNew renames a directory unless the new name exists: a plain rename would replace an empty
// directory that somebody else has just made.
func renameNew(old, new string) error {
	err := unix.RenamexNp(old, new, unix.RENAME_EXCL)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return renameChecked(old, new) // the file system does not know the flag
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: old, New: new, Err: err}
	}
	return nil
}

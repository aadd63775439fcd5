//go:build unix

package conformance

import (
	"os"
	"path/filepath"
	"syscall"
)

// mkfifo makes a FIFO in the root itself: os.Root has no call for it, and a plain name leads nowhere else.
func mkfifo(root *os.Root, name string) error {
	if filepath.Base(name) != name {
		return errHere
	}
	return syscall.Mkfifo(filepath.Join(root.Name(), name), 0o600)
}

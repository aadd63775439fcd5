//go:build unix

package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// PermissionsChecked says whether modes and owners of files are judged on this system.
const PermissionsChecked = true

// checkInfo refuses another owner and any permission of forbidden.
func checkInfo(info fs.FileInfo, forbidden fs.FileMode) error {
	if perm := info.Mode().Perm(); perm&forbidden != 0 {
		return fmt.Errorf("has mode %04o, expected %04o: %w", perm, perm&^forbidden, ErrExposed)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return errors.New("belongs to another user")
	}
	return nil
}

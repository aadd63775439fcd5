//go:build !unix

package keystore

import (
	"fmt"
	"io/fs"
	"os"
)

// PermissionsChecked says whether modes and owners of files are judged on this system. Here Go shows no
// access control list: who else may read a key is what the directory of the user's profile says.
const PermissionsChecked = false

func checkInfo(fs.FileInfo, fs.FileMode) error { return nil }

// openPlain opens what is there itself: no link is followed.
func openPlain(path string) (*os.File, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("%s: is a symbolic link", path)
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if after, err := f.Stat(); err != nil || !os.SameFile(before, after) { // it was replaced in between
		f.Close()
		return nil, fmt.Errorf("%s: changed while it was opened", path)
	}
	return f, nil
}

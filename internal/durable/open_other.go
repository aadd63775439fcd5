//go:build !unix

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const nonblock = 0

// openNoFollow compares what it opened with what it saw: there is no flag for it here.
func openNoFollow(path string, flag int, perm fs.FileMode) (*os.File, error) {
	before, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return os.OpenFile(path, flag, perm)
	} else if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, &NotRegular{path, before.Mode()}
	}
	f, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	if after, err := f.Stat(); err != nil || !os.SameFile(before, after) {
		f.Close()
		return nil, fmt.Errorf("%s: changed while it was opened", path)
	}
	return f, nil
}

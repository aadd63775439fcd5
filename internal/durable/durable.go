// Package durable writes files that survive kill -9 and power loss.
package durable

import (
	"errors"
	"io/fs"
)

var errStub = errors.New("not built yet")

// WriteFile replaces path: temporary file in the same directory, fsync, rename, fsync of the directory.
func WriteFile(path string, data []byte, perm fs.FileMode) error { return errStub }

// CreateFile is WriteFile that fails with fs.ErrExist if path exists (link, not rename).
func CreateFile(path string, data []byte, perm fs.FileMode) error { return errStub }

// Mkdir makes a directory (and parents) and fsyncs each parent it changed.
func Mkdir(path string, perm fs.FileMode) error { return errStub }

// WriteDir publishes a new directory with the named files, in one rename; fs.ErrExist if dir exists.
// Names may hold one level of subdirectory ("_unsigned/x").
func WriteDir(dir string, names []string, data [][]byte, dirPerm, filePerm fs.FileMode) error {
	return errStub
}

package cli

import (
	"errors"
	"os"
	"path/filepath"
)

// Writable says why no file can be made in dir; it tries, because what the modes say is not all.
func Writable(dir string) error {
	f, err := os.CreateTemp(dir, ".assay_tmp_*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// FolderOf is the directory of a file that need not exist, absolute and without links.
func FolderOf(path string) (string, error) {
	parent, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(parent)
}

// Within reports whether place, an absolute path without links, is dir or below it.
func Within(dir, place string) bool {
	for {
		if SameFile(dir, place) {
			return true
		}
		up := filepath.Dir(place)
		if up == place {
			return false
		}
		place = up
	}
}

// SameFile reports whether two names are of one file, which is there.
func SameFile(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}

//go:build !linux

package site

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// syncAll makes all that was written under a directory durable.
func syncAll(root *os.Root, dir string) error {
	return filepath.WalkDir(filepath.Join(root.Name(), dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return durable.SyncDir(path)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		err = f.Sync()
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		return err
	})
}

// lockFolder holds nothing here: whoever starts two builds of one folder at a time loses one of them.
func lockFolder(root *os.Root) (*os.File, error) { return root.Open(".") }

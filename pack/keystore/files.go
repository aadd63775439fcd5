package keystore

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// checkDir refuses a keys directory that is not this user's alone (lock.md §6, LCK-20).
func checkDir(dir string) error {
	info, err := os.Lstat(filepath.Clean(dir)) // with a slash at the end, Lstat follows a link
	if err != nil {
		return fmt.Errorf("keys directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("keys directory %s: is not a directory", dir)
	}
	if err := checkInfo(info, 0o077); err != nil {
		return fmt.Errorf("keys directory %s: %w", dir, err)
	}
	return nil
}

// readFile reads a regular file of exactly size bytes, of this user, without the forbidden permissions.
func readFile(path string, size int, forbidden fs.FileMode) ([]byte, error) {
	data, err := readUpTo(path, size, forbidden)
	if err == nil && len(data) != size {
		clear(data)
		return nil, fmt.Errorf("%s: has %d bytes, expected %d", path, len(data), size)
	}
	return data, err
}

// readUpTo is readFile for at most size bytes. It follows no symlink and does not wait for a FIFO, and
// what it judges is what it reads: the open file.
func readUpTo(path string, size int, forbidden fs.FileMode) ([]byte, error) {
	f, err := durable.OpenItself(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkInfo(info, forbidden); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	data := make([]byte, size+1)
	n, err := io.ReadFull(f, data)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		clear(data)
		return nil, err
	}
	if n > size {
		clear(data)
		return nil, fmt.Errorf("%s: has more than %d bytes", path, size)
	}
	return data[:n], nil
}

package pack

import (
	"bytes"
	"io/fs"
	"path"
	"time"
)

// memoryFS is a pack in memory: full names and their bytes. Verify wants a file system, and reads of it what it would
// read of a directory.
type memoryFS map[string][]byte

func (m memoryFS) Open(name string) (fs.File, error) {
	data, ok := m[name]
	if !ok && name != "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openedMemoryFile{name: path.Base(name), dir: !ok, size: len(data), Reader: bytes.NewReader(data)}, nil
}

type openedMemoryFile struct {
	name string
	dir  bool
	size int
	*bytes.Reader
}

func (f *openedMemoryFile) Stat() (fs.FileInfo, error) { return memoryFileInfo{f}, nil }
func (f *openedMemoryFile) Close() error               { return nil }

type memoryFileInfo struct{ f *openedMemoryFile }

func (i memoryFileInfo) Name() string       { return i.f.name }
func (i memoryFileInfo) Size() int64        { return int64(i.f.size) }
func (i memoryFileInfo) ModTime() time.Time { return time.Time{} }
func (i memoryFileInfo) IsDir() bool        { return i.f.dir }
func (i memoryFileInfo) Sys() any           { return nil }
func (i memoryFileInfo) Mode() fs.FileMode {
	if i.f.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

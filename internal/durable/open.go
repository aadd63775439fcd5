package durable

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// NotRegular is the error of Open, OpenItself, OpenIn and OpenSame for a directory, a symbolic link, a FIFO or a device
// in the place of a file, and for another file in the place of the one that was looked at.
type NotRegular struct {
	Path string
	Mode fs.FileMode
}

func (e *NotRegular) Error() string {
	switch {
	case e.Mode.IsDir():
		return e.Path + ": is a directory, not a regular file"
	case e.Mode&fs.ModeSymlink != 0:
		return e.Path + ": is a symbolic link, not a regular file"
	case e.Mode.IsRegular():
		return e.Path + ": was replaced while it was opened"
	}
	return e.Path + ": is not a regular file"
}

// Open opens a regular file for reading, and follows symbolic links to it. What is none is refused as it stands
// when it is open: no FIFO is waited for.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	return regular(path, f, err)
}

// OpenItself is os.OpenFile for a regular file that stands at path itself: no link is followed there, and no FIFO
// waited for.
func OpenItself(path string, flag int, perm fs.FileMode) (*os.File, error) {
	f, err := openNoFollow(path, flag, perm)
	return regular(path, f, err)
}

// OpenIn opens a regular file inside root for reading: name itself is no link, and what leads there stays inside. Its
// writer may put a new file in its place at any moment, as WriteFile does: then one of the two is read.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	// os.Root follows a link that stays inside.
	before, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, &NotRegular{filepath.Join(root.Name(), name), before.Mode()}
	}
	return openRegular(root, name)
}

// TooLong is the error of ReadIn for a file that is longer than may be read.
type TooLong struct {
	Name string
	Max  int64
}

func (e *TooLong) Error() string { return fmt.Sprintf("%s has more than %d bytes", e.Name, e.Max) }

// ReadIn reads the file that OpenIn opens, of at most max bytes; name has slashes. What is appended while it reads is
// left out.
func ReadIn(root *os.Root, name string, max int64) ([]byte, error) {
	f, err := OpenIn(root, filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > max {
		return nil, &TooLong{name, max}
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

// OpenSame opens, inside root for reading, the very file that was looked at: one that nobody may replace. It may have
// been swapped since: a FIFO is not waited for, and another file is not read.
func OpenSame(root *os.Root, name string, before fs.FileInfo) (*os.File, error) {
	f, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = &NotRegular{f.Name(), after.Mode()}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func openRegular(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	return regular(filepath.Join(root.Name(), name), f, err)
}

// regular closes what is no regular file.
func regular(path string, f *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &NotRegular{path, info.Mode()}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

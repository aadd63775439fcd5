package pack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

var (
	errLink         = errors.New("is a symbolic link")
	errNotRegular   = errors.New("is not a regular file")
	errTooLarge     = errors.New("is too large")
	errNotDirectory = errors.New("is not a directory")
)

// ErrNoPack is what Verify says of a directory that holds none of the five files: there is nothing to judge.
// Whoever takes some of them away, but not all, leaves a pack that is not intact.
var ErrNoPack = errors.New("holds none of the five files of a pack")

// ReadError is a file of a pack that is there and could not be read here, for lack of a permission, of
// descriptors or of a working disk. That says nothing about the pack.
type ReadError struct {
	Name string // in the pack, with slashes; "." for the directory itself
	Err  error
}

func (e *ReadError) Error() string { return e.Name + ": " + form.OneLine(e.Cause()) }
func (e *ReadError) Unwrap() error { return e.Err }

// Cause is Err without the names that the file system has put before it.
func (e *ReadError) Cause() error {
	err := e.Err
	for path := (*fs.PathError)(nil); errors.As(err, &path); {
		err = path.Err
	}
	return err
}

// localFault reports whether err is one of the operating system about a file that is there. What a pack can
// be made of (links, devices, sockets, too many bytes) is none.
func localFault(err error) bool {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false
	case errors.As(err, &errno):
		switch errno {
		case syscall.ELOOP, syscall.ENXIO, syscall.ENODEV, syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG:
			return false
		}
		return true
	}
	return errors.Is(err, fs.ErrPermission)
}

// holdsAny is nil if at least one of the five files is there, whatever it is.
func holdsAny(fsys fs.FS) error {
	for _, name := range manifest.FileNames() {
		_, err := fs.Lstat(fsys, name)
		if localFault(err) {
			return &ReadError{name, err}
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return ErrNoPack
}

// DirFS opens a pack directory: regular files only, no symlink followed, never blocks on a FIFO.
// The function it returns closes it.
func DirFS(dir string) (fs.FS, func() error, error) {
	// os.OpenRoot opens before it looks: it would wait for ever on a FIFO.
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return nil, nil, &fs.PathError{Op: "open", Path: dir, Err: errNotDirectory}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	return &dirFS{root}, root.Close, nil
}

// dirFS is an os.Root that opens nothing but regular files. A root alone follows
// links that stay inside it, and waits on FIFOs.
type dirFS struct{ root *os.Root }

func (d *dirFS) Open(name string) (fs.File, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f, nil
}

func (d *dirFS) open(name string) (*os.File, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrInvalid
	}
	before, err := d.lstat(name)
	if err != nil {
		return nil, err
	}
	if before.IsDir() {
		return d.root.Open(name)
	}
	if err := regular(before); err != nil {
		return nil, err
	}
	return d.openSame(name, before)
}

// openSame opens the very file that was looked at; what stands there by now is none of the pack's.
func (d *dirFS) openSame(name string, before fs.FileInfo) (*os.File, error) {
	f, err := durable.OpenSame(d.root, name, before)
	if _, other := errors.AsType[*durable.NotRegular](err); other {
		return nil, errNotRegular
	}
	return f, err
}

// lstat looks at name and refuses a path that leads through anything but directories.
func (d *dirFS) lstat(name string) (fs.FileInfo, error) {
	if parent := path.Dir(name); parent != "." {
		info, err := d.lstat(parent)
		if err != nil {
			return nil, err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil, errLink
		}
		if !info.IsDir() {
			return nil, fs.ErrNotExist
		}
	}
	return d.root.Lstat(name)
}

func (d *dirFS) Lstat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrInvalid}
	}
	return d.lstat(name)
}

func (d *dirFS) ReadLink(name string) (string, error) {
	return "", &fs.PathError{Op: "readlink", Path: name, Err: errLink}
}

// ReadDir lists at most maxListing entries.
func (d *dirFS) ReadDir(name string) ([]fs.DirEntry, error) {
	info, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDirectory}
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxListing)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		switch {
		case a.Name() < b.Name():
			return -1
		case a.Name() > b.Name():
			return +1
		}
		return 0
	})
	return entries, err
}

func regular(info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return errLink
	case !info.Mode().IsRegular():
		return errNotRegular
	}
	return nil
}

// openRegular opens one file of the pack. Verify opens each file through it once
// and decides on the bytes it read that time (VFY-7).
func openRegular(fsys fs.FS, name string, max int64) (fs.File, error) {
	info, err := fs.Lstat(fsys, name)
	if err != nil {
		return nil, err
	}
	if err := regular(info); err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	info, err = f.Stat()
	if err == nil {
		err = regular(info)
	}
	if err == nil && info.Size() > max {
		err = fmt.Errorf("%w: %d bytes, at most %d", errTooLarge, info.Size(), max)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readRegular reads one file of the pack whole.
func readRegular(fsys fs.FS, name string, max int64) ([]byte, error) {
	f, err := openRegular(fsys, name, max)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// The size above is only what the file said; the limit holds for what it gives.
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, fmt.Errorf("%w: at most %d bytes", errTooLarge, max)
	}
	return data, nil
}

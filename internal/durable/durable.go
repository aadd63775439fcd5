// Package durable writes files that survive kill -9 and power loss, and opens regular files and nothing in their place.
//
// Every function that writes has the same shape: the new content is written under a name that nobody reads, fsynced
// there, given its real name in one step that the file system makes atomic, and then the directory that
// holds the name is fsynced. Whoever looks, at any moment and after any crash, sees the old state or the
// new one whole. When a function returns nil the new state is on disk; when it returns an error the old
// state stands and nothing else is left, with one exception: an error that says "not known to be on disk"
// means that the new state is visible and only the last fsync failed.
//
// A file that only grows is written on with AppendFile, whose caller knows how much of it counts.
//
// A directory that is too large for memory is written file by file with Stage, and published in the same way.
//
// A crash leaves at most a file .assay_tmp_* or a directory .assay_pack_staging_* that nothing refers to.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	tempPattern    = ".assay_tmp_*"
	stagingPattern = ".assay_pack_staging_*"
)

// WriteFile replaces path: temporary file in the same directory, fsync, rename, fsync of the directory.
// Nothing but a regular file is replaced: a symbolic link is refused, and so is a device, pipe, socket or
// directory.
// The mode is perm whatever the umask.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return publishFile(path, data, perm, replace)
}

// replace renames onto nothing or a file. Rename alone would put a file where a device was, or a link to one:
// root that writes to /dev/null or /dev/stdout would have none afterwards.
func replace(old, new string) error {
	if info, err := os.Lstat(new); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", new)
	}
	return os.Rename(old, new)
}

// CreateFile is WriteFile that fails with fs.ErrExist if path exists (link, not rename): of several that
// race for one path exactly one wins. The file system must know hard links.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	return publishFile(path, data, perm, os.Link)
}

// Link gives the file old, whose content is on disk, the further name new: durable when it returns, and
// fs.ErrExist if new exists.
func Link(old, new string) error {
	if err := os.Link(old, new); err != nil {
		return err
	}
	return syncName(new, filepath.Dir(new))
}

// publishFile writes the file under a temporary name and lets publish give it the real one.
func publishFile(path string, data []byte, perm fs.FileMode, publish func(old, new string) error) error {
	dir := filepath.Dir(path)
	temp, err := writeTemp(dir, data, perm)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	// The content is on disk (writeTemp fsynced it), so the name can never lead to less than all of it.
	err = publish(temp, path)
	// After a link the temporary name is one too many; after a rename it is gone.
	if removeErr := os.Remove(temp); err == nil && removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		err = removeErr
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, unnumbered(err))
	}
	return syncName(path, dir)
}

// unnumbered takes the random number of a temporary file out of an error, as the system returned it: the same
// failure has the same text each time, so that whoever tries again and again can tell it from a new one.
func unnumbered(err error) error {
	prefix := strings.TrimSuffix(tempPattern, "*")
	plain := func(path string) string {
		if dir, name := filepath.Split(path); strings.HasPrefix(name, prefix) {
			return dir + tempPattern
		}
		return path
	}
	switch e := err.(type) {
	case *fs.PathError:
		return &fs.PathError{Op: e.Op, Path: plain(e.Path), Err: e.Err}
	case *os.LinkError:
		return &os.LinkError{Op: e.Op, Old: plain(e.Old), New: plain(e.New), Err: e.Err}
	}
	return err
}

// AppendFile writes data at the offset end of a file that exists, and fsyncs it. What lies beyond end is what an append left
// that failed, and is cut off first; a file that is shorter is not the one that the caller knows, and is refused. After
// an error, and after a crash, the file has all of it before end, and anything behind.
func AppendFile(path string, end int64, data []byte) (err error) {
	f, err := OpenItself(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < end {
		return fmt.Errorf("%s has %d bytes, expected at least %d", path, info.Size(), end)
	}
	if info.Size() > end {
		if err := f.Truncate(end); err != nil {
			return err
		}
	}
	if _, err := f.WriteAt(data, end); err != nil {
		return err
	}
	return f.Sync()
}

// syncName fsyncs the directory after a name in it appeared or changed.
func syncName(path, dir string) error {
	if err := SyncDir(dir); err != nil {
		return fmt.Errorf("%s is written but not known to be on disk: %w", path, err)
	}
	return nil
}

func writeTemp(dir string, data []byte, perm fs.FileMode) (path string, err error) {
	f, err := os.CreateTemp(dir, tempPattern) // O_EXCL and mode 0600: nobody else has it open
	if err != nil {
		return "", unnumbered(err)
	}
	if err := writeAndSync(f, data, perm); err != nil {
		return "", errors.Join(unnumbered(err), unnumbered(os.Remove(f.Name())))
	}
	return f.Name(), nil
}

// writeAndSync writes, sets the mode, fsyncs and closes. Errors of Sync and Close count: after them nobody knows
// what is on disk.
func writeAndSync(f *os.File, data []byte, perm fs.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(perm.Perm())
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// CreateDir is Mkdir that fails with fs.ErrExist if path exists: of several that race for one path exactly
// one wins.
func CreateDir(path string, perm fs.FileMode) error {
	parent := filepath.Dir(filepath.Clean(path))
	if err := Mkdir(parent, perm); err != nil {
		return err
	}
	if err := os.Mkdir(path, perm); err != nil {
		return err
	}
	return syncName(path, parent)
}

// Mkdir makes a directory (and parents) and fsyncs each parent it changed. An existing directory is left
// as it is. perm goes through the umask, as with os.MkdirAll.
func Mkdir(path string, perm fs.FileMode) error {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("making directory %s: a file is in its place: %w", path, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(filepath.Clean(path))
	if parent == filepath.Clean(path) {
		return fmt.Errorf("making directory %s: %w", path, fs.ErrNotExist)
	}
	if err := Mkdir(parent, perm); err != nil {
		return err
	}
	if err := os.Mkdir(path, perm); err != nil {
		// Somebody may have been faster; then fsync all the same, because their fsync may be to come.
		if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() {
			return err
		}
	}
	return syncName(path, parent)
}

// WriteDir publishes a new directory with the named files, in one rename; fs.ErrExist if dir exists, as
// whatever it may be. Names may hold one level of subdirectory ("_unsigned/x"). The modes are dirPerm and
// filePerm whatever the umask. The parent of dir must exist.
func WriteDir(dir string, names []string, data [][]byte, dirPerm, filePerm fs.FileMode) error {
	if len(names) != len(data) {
		return fmt.Errorf("writing directory %s: %d names for %d files", dir, len(names), len(data))
	}
	s, err := Stage(dir, dirPerm, filePerm)
	if err != nil {
		return err
	}
	for i, name := range names {
		f, err := s.Create(name)
		if err == nil {
			err = writeAndSync(f, data[i], filePerm) // fsyncs the file
		}
		if err != nil {
			return errors.Join(s.failed(err), s.Discard())
		}
	}
	if err := s.Publish(); err != nil {
		return errors.Join(err, s.Discard())
	}
	return nil
}

// Staging is a directory in the making, under a name beside its own that nobody reads. It is for one
// goroutine. Publish gives it its name; until then Discard removes it, and a crash leaves it under
// .assay_pack_staging_*, mode 0700: harmless, and free to be deleted once its writer is gone.
type Staging struct {
	path, target      string
	dirPerm, filePerm fs.FileMode
	dirs              []string // parents first
	done              bool     // published, or discarded
}

// Stage begins a new directory; fs.ErrExist if dir exists. The parent of dir must exist.
func Stage(dir string, dirPerm, filePerm fs.FileMode) (*Staging, error) {
	s := &Staging{target: filepath.Clean(dir), dirPerm: dirPerm, filePerm: filePerm}
	if _, err := os.Lstat(s.target); err == nil {
		return nil, s.failed(fs.ErrExist)
	}
	path, err := os.MkdirTemp(filepath.Dir(s.target), stagingPattern) // mode 0700 while it is incomplete
	if err != nil {
		return nil, s.failed(err)
	}
	s.path, s.dirs = path, []string{path}
	return s, nil
}

func (s *Staging) failed(err error) error {
	return fmt.Errorf("writing directory %s: %w", s.target, err)
}

// Path is where the directory is until it is published.
func (s *Staging) Path() string { return s.path }

// Create opens a new file for writing and reading: "name" or "directory/name". Equal names meet at O_EXCL.
// Give it to Seal.
func (s *Staging) Create(name string) (*os.File, error) {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\:\x00") || strings.Count(name, "/") > 1 {
		return nil, fmt.Errorf("file name %q, expected \"name\" or \"directory/name\"", name)
	}
	path := filepath.Join(s.path, filepath.FromSlash(name))
	if strings.Contains(name, "/") {
		switch err := os.Mkdir(filepath.Dir(path), 0o700); {
		case err == nil:
			s.dirs = append(s.dirs, filepath.Dir(path))
		case !errors.Is(err, fs.ErrExist): // if a file has that name, opening says so
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// Seal ends the writing of a file: its mode, fsync, close.
func (s *Staging) Seal(f *os.File) error { return writeAndSync(f, nil, s.filePerm) }

// Replace puts the sealed file by in the place of another.
func (s *Staging) Replace(name, by string) error {
	return os.Rename(filepath.Join(s.path, filepath.FromSlash(by)), filepath.Join(s.path, filepath.FromSlash(name)))
}

// Publish fsyncs the directories, gives the whole its name in one rename, and fsyncs the parent. All
// files must be sealed. It fails with fs.ErrExist if something has that name by now.
func (s *Staging) Publish() error {
	// Children first: once the mode of staging itself is set it may be closed to us.
	for i := len(s.dirs) - 1; i >= 0; i-- {
		if err := SyncDir(s.dirs[i]); err != nil {
			return s.failed(err)
		}
		if err := os.Chmod(s.dirs[i], s.dirPerm.Perm()); err != nil {
			return s.failed(err)
		}
	}
	// All files and directories are fsynced under the staging name; this makes them visible at once.
	if err := renameNew(s.path, s.target); err != nil {
		return s.failed(err)
	}
	s.done = true
	return syncName(s.target, filepath.Dir(s.target))
}

// Discard removes what was staged. After Publish has given it its name, Discard does nothing.
func (s *Staging) Discard() error {
	if s.done {
		return nil
	}
	s.done = true
	return discard(s.path)
}

// discard removes a staging directory, whose parts may already have modes that forbid it.
func discard(staging string) error {
	walkErr := filepath.WalkDir(staging, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(walkErr, os.RemoveAll(staging))
}

// renameChecked looks before it renames. What appears in between is replaced only if it is an empty
// directory; rename refuses everything else.
func renameChecked(old, new string) error {
	if _, err := os.Lstat(new); err == nil {
		return &os.LinkError{Op: "rename", Old: old, New: new, Err: fs.ErrExist}
	}
	return os.Rename(old, new)
}

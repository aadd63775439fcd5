//go:build unix

package durable

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A FIFO has no writer here: a call that waits for one never returns.
func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "content")
	for name, err := range map[string]error{
		"fifo":      syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
		"directory": os.Mkdir(filepath.Join(dir, "directory"), 0o700),
		"link":      os.Symlink("file", filepath.Join(dir, "link")),
		"to fifo":   os.Symlink("fifo", filepath.Join(dir, "to fifo")),
		"outside":   os.Symlink("/dev/null", filepath.Join(dir, "outside")),
		"nowhere":   os.Symlink("gone", filepath.Join(dir, "nowhere")),
	} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	const opens, none, missing = "opens", "not a regular file", "missing"
	for name, want := range map[string][3]string{ // Open, OpenItself, OpenIn
		"file": {opens, opens, opens}, "gone": {missing, missing, missing},
		"fifo": {none, none, none}, "directory": {none, none, none}, "to fifo": {none, none, none},
		"link": {opens, none, none}, "outside": {none, none, none}, "nowhere": {missing, none, none},
	} {
		path := filepath.Join(dir, name)
		for i, open := range []func() (*os.File, error){
			func() (*os.File, error) { return Open(path) },
			func() (*os.File, error) { return OpenItself(path, os.O_RDONLY, 0) },
			func() (*os.File, error) { return OpenIn(root, name) },
		} {
			f, err := open()
			got := opens
			if refused, ok := errors.AsType[*NotRegular](err); ok && refused.Path == path && strings.HasSuffix(err.Error(), none) {
				got = none
			} else if errors.Is(err, fs.ErrNotExist) {
				got = missing
			} else if err != nil {
				got = err.Error()
			} else if text, err := io.ReadAll(f); err != nil || string(text) != "content" {
				t.Errorf("%s: %q, %v", name, text, err)
			}
			if f != nil {
				f.Close()
			}
			if got != want[i] {
				t.Errorf("%s, way %d: %s (%v), want %s", name, i, got, err, want[i])
			}
		}
	}
}

func TestAFileThatWasSwappedSinceItWasLookedAtIsNotOpened(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, name := range []string{"file", "other"} {
		if err := root.WriteFile(name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before, err := root.Lstat("file")
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenSame(root, "file", before)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := root.Rename("other", "file"); err != nil {
		t.Fatal(err)
	}
	f, err = OpenIn(root, "file") // whoever may be replaced is read as what stands there
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	f, err = OpenSame(root, "file", before)
	if _, refused := errors.AsType[*NotRegular](err); !refused || f != nil || !strings.HasSuffix(err.Error(), "was replaced while it was opened") {
		t.Errorf("%v, %v", f, err)
	}
}

func TestAFileIsReadUpToTheLengthThatIsAllowed(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.Mkdir("sub", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"sub/empty": 0, "sub/four": 4, "sub/five": 5} {
		if err := root.WriteFile(name, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		data, err := ReadIn(root, name, 4)
		_, long := errors.AsType[*TooLong](err)
		if long != (size > 4) || !long && (err != nil || len(data) != size) || long && err.Error() != "sub/five has more than 4 bytes" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if _, err := ReadIn(root, "sub", 4); err == nil {
		t.Error("a directory was read")
	}
	if _, err := ReadIn(root, "sub/none", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is missing: %v", err)
	}
}

func TestAFileThatIsReplacedAllTheTimeOpens(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	replace := func() error {
		if err := root.WriteFile("new", []byte("content"), 0o600); err != nil {
			return err
		}
		return root.Rename("new", "file")
	}
	if err := replace(); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan bool), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := replace(); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 3000 {
		f, err := OpenIn(root, "file")
		if err != nil {
			t.Error(err)
			break
		}
		f.Close()
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestOpenItselfMakesAFileButNotThroughALink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("victim", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if f, err := OpenItself(filepath.Join(dir, "link"), os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
		f.Close()
		t.Error("a link was followed")
	}
	f, err := OpenItself(filepath.Join(dir, "new"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	expectListing(t, dir, "link Lrwxrwxrwx\nnew -rw------- \"\"\n")
}

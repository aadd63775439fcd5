package site

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// What a build keeps inside the folder while it runs:
//
//	.assay-build/new/…      the files that are new or changed, under their paths
//	.assay-build/commit     which of them to put in place and what to remove, in that order
//
// Until commit has its name, the folder is the old site and the next build throws new/ away. From then on the folder
// becomes the new site, whoever goes on: every step of the list can be taken again.
const (
	workDir    = ".assay-build"
	newDir     = workDir + "/new"
	commitFile = workDir + "/commit"
	commitHead = "assay-ledger site commit v1\n"
	commitTail = "end\n"
)

// Most bytes of a file that is read whole: one that grows with the log and is attacker's to fill, and a list of all
// files of a large site.
const (
	maxFile   = 64 << 20
	maxCommit = 512 << 20
)

// draft is the next state of a site's folder. Nothing of it is seen before commit.
type draft struct {
	root   *os.Root
	lock   *os.File
	step   func(string) error // nil, or called before each step that changes the folder, and nothing is synced: tests
	fresh  bool               // a full build: what the folder holds is no part of it
	staged map[string]bool    // paths under new/
	same   map[string]bool    // paths that are in the folder already, byte for byte
	dirs   map[string]bool    // made
	remove []string
	bytes  int64
}

// openDraft locks the folder, which exists, and finishes or throws away what an earlier build has left.
func openDraft(dir string, step func(string) error) (*draft, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	d := &draft{root: root, step: step, staged: map[string]bool{}, same: map[string]bool{}, dirs: map[string]bool{}}
	if d.lock, err = lockFolder(root); err != nil {
		return nil, errors.Join(fmt.Errorf("another build is at work in %s: %w", dir, err), root.Close())
	}
	if err := d.recover(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// recover is the first thing that a build does.
func (d *draft) recover() error {
	text, err := durable.ReadIn(d.root, commitFile, maxCommit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.root.RemoveAll(workDir)
	case err != nil:
		return err
	}
	return d.apply(text)
}

func (d *draft) close() error { return errors.Join(d.lock.Close(), d.root.Close()) }

func (d *draft) before(step string) error {
	if d.step == nil {
		return nil
	}
	return d.step(step)
}

func (d *draft) sync(dir string) error {
	if d.step != nil {
		return nil
	}
	return syncAll(d.root, dir)
}

// read is a file as it will be.
func (d *draft) read(name string) ([]byte, error) {
	switch {
	case d.staged[name]:
		return durable.ReadIn(d.root, newDir+"/"+name, maxFile)
	case d.fresh && !d.same[name]:
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return durable.ReadIn(d.root, name, maxFile)
}

// write gives a file its content. One that has it already is left alone.
func (d *draft) write(name string, data []byte) error {
	if !d.staged[name] {
		if info, err := d.root.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == int64(len(data)) {
			if old, err := durable.ReadIn(d.root, name, maxFile); err == nil && bytes.Equal(old, data) {
				d.same[name] = true
				return nil
			}
		}
	}
	return d.put(name, data, os.O_TRUNC)
}

// extend appends to a file, of which before is the content as read gave it.
func (d *draft) extend(name string, before, more []byte) error {
	if d.staged[name] {
		return d.put(name, more, os.O_APPEND)
	}
	if len(before) == 0 {
		return d.write(name, more)
	}
	return d.put(name, slices.Concat(before, more), os.O_TRUNC)
}

func (d *draft) put(name string, data []byte, how int) error {
	target := newDir + "/" + name
	if dir := path.Dir(target); !d.dirs[dir] {
		if err := d.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		d.dirs[dir] = true
	}
	f, err := d.root.OpenFile(target, os.O_WRONLY|os.O_CREATE|how, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	d.staged[name] = true
	d.bytes += int64(len(data))
	return nil
}

// drop removes files at the very end, after the checkpoint that no longer needs them.
func (d *draft) drop(names ...string) { d.remove = append(d.remove, names...) }

// rank is the place of a file in the order of publication: what others lead to comes before them, the checkpoint last.
func rank(name string) int {
	switch first, _, _ := strings.Cut(name, "/"); {
	case name == "checkpoint":
		return 4
	case first == "tile" || name != countFile && first == "checkpoints" && !strings.HasSuffix(name, ".html") && !strings.HasSuffix(name, ".xml"):
		return 0
	case name == countFile || first == "lookup" || first == "heads" || first == "prev":
		return 1
	case first == ".well-known":
		return 3
	}
	return 2
}

// commit makes the draft the site. Where it fails before the list is there, the old site stands; after that the next
// build goes on.
func (d *draft) commit() error {
	if len(d.staged)+len(d.remove) == 0 {
		return d.root.RemoveAll(workDir)
	}
	text := d.list()
	if err := d.before("sync"); err != nil {
		return err
	}
	if err := d.sync(workDir); err != nil {
		return err
	}
	if err := d.before("list"); err != nil {
		return err
	}
	if err := d.root.MkdirAll(workDir, 0o755); err != nil {
		return err
	}
	if err := d.publishList(text); err != nil {
		return err
	}
	return d.apply(text)
}

// publishList gives the list its name: from here on the folder becomes the new site.
func (d *draft) publishList(text []byte) error {
	path := filepath.Join(d.root.Name(), filepath.FromSlash(commitFile))
	if d.step != nil {
		return os.WriteFile(path, text, 0o644)
	}
	return durable.WriteFile(path, text, 0o644)
}

// list is the commit list:
//
//	assay-ledger site commit v1
//	put tile/0/000
//	put checkpoint
//	remove tile/0/000.p/17
//	end
func (d *draft) list() []byte {
	names := make([]string, 0, len(d.staged))
	for name := range d.staged {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	var text bytes.Buffer
	text.WriteString(commitHead)
	for _, name := range names {
		fmt.Fprintf(&text, "put %s\n", name)
	}
	slices.Sort(d.remove)
	for _, name := range d.remove {
		if !d.staged[name] {
			fmt.Fprintf(&text, "remove %s\n", name)
		}
	}
	text.WriteString(commitTail)
	return text.Bytes()
}

// apply takes the steps of a commit list that are left. What was put in place is no longer in new/.
func (d *draft) apply(text []byte) error {
	body, whole := bytes.CutPrefix(text, []byte(commitHead))
	body, ended := bytes.CutSuffix(body, []byte(commitTail))
	if !whole || !ended {
		return fmt.Errorf("%s/%s is no commit list: %w", d.root.Name(), commitFile, ErrSiteDamaged)
	}
	made, removed := map[string]bool{}, false
	for line := range strings.Lines(string(body)) {
		what, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || !fs.ValidPath(name) || name == "." || strings.HasPrefix(name, workDir) {
			return fmt.Errorf("%s/%s has the line %.100q: %w", d.root.Name(), commitFile, line, ErrSiteDamaged)
		}
		if err := d.before(what + " " + name); err != nil {
			return err
		}
		// After a power cut, too, the checkpoint is there only with what it stands for, and what the old one needs goes only
		// when the new one is there.
		if first := what == "remove" && !removed; first || what == "put" && name == "checkpoint" {
			removed = removed || first
			if err := d.sync("."); err != nil {
				return err
			}
		}
		switch what {
		case "put":
			if dir := path.Dir(name); !made[dir] {
				if err := d.root.MkdirAll(dir, 0o755); err != nil {
					return err
				}
				made[dir] = true
			}
			if err := d.root.Rename(newDir+"/"+name, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		case "remove":
			if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			_ = d.root.Remove(path.Dir(name)) // of the partial tiles of one tile, once it is empty
		}
	}
	// The list may go only when what it has done cannot be undone by a crash.
	if err := d.before("done"); err != nil {
		return err
	}
	if err := d.sync("."); err != nil {
		return err
	}
	if err := d.root.Remove(commitFile); err != nil {
		return err
	}
	if err := d.sync("."); err != nil { // the list never comes back beside files of a later build
		return err
	}
	return d.root.RemoveAll(workDir)
}

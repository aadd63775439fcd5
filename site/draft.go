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

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// What a build keeps inside the folder while it runs:
//
//	.assay-build/new/…      the files that are new or changed, under their paths
//	.assay-build/commit     which of them to put in place and what to remove, in that order
//
// Until commit has its name, the folder is the old site and the next build throws new/ away. From then on the folder
// becomes the new site, whoever goes on: every step of the list can be taken again. Before the first of them the whole list
// is verified: one that is damaged changes nothing.
const (
	newDir     = workDir + "/new"
	commitFile = workDir + "/commit"
)

// Most bytes of a file that is read whole: one that grows with the log and is attacker's to fill, and a list of all
// files of a large site.
const (
	maxFile   = 64 << 20
	maxCommit = 512 << 20
)

// draft is the next state of a site's folder. Nothing of it is seen before commit.
type draft struct {
	root *os.Root
	lock *os.File
	manner
	fresh  bool               // a full build: what the folder holds is no part of it
	staged map[string]content // under new/, by path
	same   map[string]bool    // paths that are in the folder already, byte for byte
	dirs   map[string]bool    // made
	remove []string
	bytes  int64
}

// manner is how a folder is written. The zero value is that of every site that is kept.
type manner struct {
	volatile bool               // what is built is thrown away: nothing of it is synced
	step     func(string) error // nil, or called before each step that changes the folder: tests
	longest  int                // of a commit list; 0: maxCommit. Tests have a smaller one
}

// openDraft locks the folder, which exists. It changes nothing: see recover.
func openDraft(dir string, how manner) (*draft, error) {
	how.longest = cmp.Or(how.longest, maxCommit)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	d := &draft{root: root, manner: how, staged: map[string]content{}, same: map[string]bool{}, dirs: map[string]bool{}}
	if d.lock, err = lockFolder(root); err != nil {
		return nil, errors.Join(fmt.Errorf("another build is at work in %s: %w", dir, err), root.Close())
	}
	return d, nil
}

// pending is the commit list that an interrupted build has left, verified: every file that it puts in place is there as
// it was written. Without a list it is nil.
func (d *draft) pending() (commitList, error) {
	text, err := durable.ReadIn(d.root, commitFile, int64(d.longest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case notOurFile(err):
		return nil, siteDamaged(err)
	case err != nil:
		return nil, err
	}
	list, err := parseCommit(text)
	if err == nil {
		err = d.verify(list)
	}
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", d.root.Name(), commitFile, err)
	}
	return list, nil
}

// recover finishes what an earlier build has left, or throws it away where it has left no list.
func (d *draft) recover(list commitList) error {
	if list == nil {
		return d.root.RemoveAll(workDir)
	}
	return d.apply(list)
}

// abandon throws away what this build has staged, if the folder is still the old site: a build that fails again and again
// takes no room. What others have left there is not touched: the folder may be none of ours.
func (d *draft) abandon() error {
	if len(d.dirs) == 0 || d.step != nil { // in tests an error of a step stands for a crash
		return nil
	}
	if _, err := d.root.Lstat(commitFile); !errors.Is(err, fs.ErrNotExist) {
		return nil // the next build goes on
	}
	return d.root.RemoveAll(workDir)
}

func (d *draft) close() error { return errors.Join(d.lock.Close(), d.root.Close()) }

func (d *draft) before(step string) error {
	if d.step == nil {
		return nil
	}
	return d.step(step)
}

func (d *draft) sync(dir string) error {
	if err := d.before("sync " + dir); err != nil || d.volatile {
		return err
	}
	return syncAll(d.root, dir)
}

// read is a file as it will be.
func (d *draft) read(name string) ([]byte, error) {
	_, staged := d.staged[name]
	switch {
	case staged:
		return durable.ReadIn(d.root, newDir+"/"+name, maxFile)
	case d.fresh && !d.same[name]:
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return durable.ReadIn(d.root, name, maxFile)
}

// numbered is the name of a file that begins where those before it are full.
func numbered(name string, number int) string {
	if number == 0 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, number)
}

// series reads files that follow each other, each of which has so many lines but for the last, which has some.
func (d *draft) series(lines int, name func(n int) string, read func(name string, text []byte) error) error {
	for n, full := 0, true; ; n++ {
		name := name(n)
		text, err := d.read(name)
		if isMissing(err) {
			return nil
		} else if err != nil {
			return err
		}
		count := bytes.Count(text, []byte("\n"))
		if !full || count == 0 || count > lines {
			return fmt.Errorf("%s: %w: it has %d lines", name, ErrSiteDamaged, count)
		}
		full = count == lines
		if err := read(name, text); err != nil {
			return fmt.Errorf("%s: %w: %w", name, ErrSiteDamaged, err)
		}
	}
}

// write gives a file its content. One that has it already is left alone.
func (d *draft) write(name string, data []byte) error {
	if _, staged := d.staged[name]; !staged {
		if info, err := d.root.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == int64(len(data)) {
			if old, err := durable.ReadIn(d.root, name, maxFile); err == nil && bytes.Equal(old, data) {
				d.same[name] = true
				return nil
			}
		}
	}
	return d.put(name, data, os.O_TRUNC, contentOf(data))
}

// extend appends to a file, of which before is the content as read gave it.
func (d *draft) extend(name string, before, more []byte) error {
	if _, staged := d.staged[name]; staged {
		return d.put(name, more, os.O_APPEND, contentOf(before, more))
	}
	if len(before) == 0 {
		return d.write(name, more)
	}
	return d.put(name, slices.Concat(before, more), os.O_TRUNC, contentOf(before, more))
}

func (d *draft) put(name string, data []byte, how int, whole content) error {
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
	d.staged[name] = whole
	d.bytes += int64(len(data))
	return nil
}

// drop removes files at the very end, after the checkpoint that no longer needs them.
func (d *draft) drop(names ...string) { d.remove = append(d.remove, names...) }

// commit makes the draft the site. Where it fails before the list is there, the old site stands; after that the next
// build goes on.
func (d *draft) commit() error {
	if len(d.staged)+len(d.remove) == 0 {
		return d.root.RemoveAll(workDir)
	}
	list := d.list()
	text := list.marshal()
	// What recovery would refuse must not get the name of a list.
	if len(text) > d.longest {
		return fmt.Errorf("the list of all %d changes of this build has %d bytes, expected at most %d: a log of this size is too large for a site", len(list), len(text), d.longest)
	}
	if err := d.places(list); err != nil {
		return err
	}
	if err := d.root.MkdirAll(workDir, 0o755); err != nil {
		return err
	}
	if err := d.sync(workDir); err != nil {
		return err
	}
	if err := d.before("list"); err != nil {
		return err
	}
	if err := d.publishList(text); err != nil {
		return err
	}
	return d.apply(list)
}

// publishList gives the list its name: from here on the folder becomes the new site.
func (d *draft) publishList(text []byte) error {
	path := filepath.Join(d.root.Name(), filepath.FromSlash(commitFile))
	if d.volatile {
		return os.WriteFile(path, text, 0o644)
	}
	return durable.WriteFile(path, text, 0o644)
}

// list is what is to be done.
func (d *draft) list() commitList {
	list := make(commitList, 0, len(d.staged)+len(d.remove))
	for name, whole := range d.staged {
		list = append(list, change{name: name, content: whole})
	}
	for _, name := range d.remove {
		if _, staged := d.staged[name]; !staged {
			list = append(list, change{name: name, remove: true})
		}
	}
	slices.SortFunc(list, compareChanges)
	return slices.Compact(list)
}

// verify makes sure that a list can be followed to its end: what it puts in place lies in new/, whole, or is in its place
// already.
func (d *draft) verify(list commitList) error {
	for i, c := range list {
		if c.remove {
			continue
		}
		ok, err := d.holds(newDir+"/"+c.name, c.content)
		if errors.Is(err, fs.ErrNotExist) {
			ok, err = d.holds(c.name, c.content)
			list[i].done = ok
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !ok {
			return fmt.Errorf("what it puts at %s is not there as it was written: %w", c.name, ErrSiteDamaged)
		}
	}
	return d.places(list)
}

// holds tells whether a file has a content.
func (d *draft) holds(name string, want content) (bool, error) {
	data, err := durable.ReadIn(d.root, name, want.size)
	if notOurFile(err) {
		return false, nil
	}
	return err == nil && contentOf(data) == want, err
}

// places makes sure that nothing stands where a list wants to put a file: a directory, or a file in place of one.
func (d *draft) places(list commitList) error {
	looked := map[string]bool{}
	for _, c := range list {
		info, err := d.root.Lstat(c.name)
		if err == nil && info.IsDir() {
			return fmt.Errorf("%s is a directory, and the site has a file of that name: move it away", c.name)
		}
		for dir := path.Dir(c.name); dir != "." && !looked[dir]; dir = path.Dir(dir) {
			looked[dir] = true
			info, err := d.root.Stat(dir)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				// Lstat: of a link to nowhere no directory can be made.
				if _, err := d.root.Lstat(dir); err == nil {
					return fmt.Errorf("%s leads nowhere, and the site has a directory of that name: move it away", dir)
				}
			case err != nil:
				return err
			case !info.IsDir():
				return fmt.Errorf("%s is a file, and the site has a directory of that name: move it away", dir)
			}
		}
	}
	return nil
}

// apply takes the steps of a commit list that are left.
func (d *draft) apply(list commitList) error {
	made, removed := map[string]bool{}, false
	for _, c := range list {
		if c.done {
			continue
		}
		// After a power cut, too, the checkpoint is there only with what it stands for, and what the old one needs goes only
		// when the new one is there.
		if first := c.remove && !removed; first || !c.remove && c.name == "checkpoint" {
			removed = removed || first
			if err := d.sync("."); err != nil {
				return err
			}
		}
		if err := d.before(c.String()); err != nil {
			return err
		}
		if c.remove {
			if err := d.root.Remove(c.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			_ = d.root.Remove(path.Dir(c.name)) // of the partial tiles of one tile, once it is empty
			continue
		}
		if dir := path.Dir(c.name); !made[dir] {
			if err := d.root.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			made[dir] = true
		}
		if err := d.root.Rename(newDir+"/"+c.name, c.name); err != nil {
			return err
		}
	}
	// The list may go only when what it has done cannot be undone by a crash.
	if err := d.sync("."); err != nil {
		return err
	}
	if err := d.before("done"); err != nil {
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

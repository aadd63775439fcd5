package site

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// ErrChanged: the site was published anew while it was checked. Nothing is wrong with that; check it again.
var ErrChanged = errors.New("the site changed while it was checked")

// Site is what Check checks: a Folder, or a site at a URL.
type Site interface {
	Source
	Read(ctx context.Context, path string, limit int64) ([]byte, error)
}

// CheckConfig says how a site is checked.
type CheckConfig struct {
	Site    Site          // required
	Policy  *trust.Policy // whom to believe; nil: whom the site names, which is its own word
	Program string        // this program: pages that another one made cannot be compared
	Temp    string        // where there is room for a copy of the site; empty: the system's directory
}

// Finding is one thing that is wrong with a site.
type Finding struct{ Path, Problem string }

// Unread is a file that is there and that could not be read, or that a host did not send: nothing is known of it.
type Unread struct {
	Path string
	Err  error
}

// Checked is what Check has found. Damaged is what makes the site wrong. Of Unread and NotCompared nobody knows whether
// they are right: a site that has any of them has not passed. Foreign are files that no build writes.
type Checked struct {
	Size        int64
	Root        tlog.Hash
	Checkpoints int64
	Program     string // that made the pages, as the site says itself
	Files       int    // compared byte for byte
	Links       int    // followed
	Unfollowed  int    // links of pages of another program, which has too many
	Damaged     []Finding
	Unread      []Unread
	NotCompared []string // pages of another program, and what they are made with
	Foreign     []string
	Unlisted    bool // of a URL nobody can say what else is there
}

// Check verifies everything that a site holds. It builds the site again from its own entry bundles, checkpoint and
// history, each of them proved, and compares: tiles, files of lookup, heads and prev, feeds and pages have to be what
// the log makes of them. Then it follows every link.
//
// What is wrong with the site is in the answer; an error says that it could not be looked at, or that what it is built
// of does not hold. Where too much of it could not be read the answer comes with an error: it is not whole.
//
// What the log makes is compared whoever made the site. Pages are free: those of another program are in NotCompared,
// and only their links are judged.
func Check(ctx context.Context, c CheckConfig) (*Checked, error) {
	temp, err := os.MkdirTemp(c.Temp, "assay-site-check-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	before, err := readPublication(ctx, c.Site)
	if err != nil {
		return nil, err
	}
	text, there := before[descriptionFile]
	if !there {
		return nil, fmt.Errorf("%w: it has no %s", ErrNotOurs, descriptionFile)
	}
	desc, err := ParseDescription([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	again := Config{Log: c.Site, Out: temp, Policy: c.Policy, BasePath: desc.BasePath, Contact: desc.Contact, Program: desc.Program,
		manner: manner{volatile: true}}
	built, err := Build(ctx, again)
	if err != nil {
		if changed := before.unchanged(ctx, c.Site); errors.Is(changed, ErrChanged) { // files of two states need not fit
			return nil, changed
		}
		return nil, err
	}
	want, err := OpenFolder(temp)
	if err != nil {
		return nil, err
	}
	defer want.Close()
	k := &checker{CheckConfig: c, want: want, names: map[string]bool{}, there: map[string]bool{}, alike: desc.Program == c.Program,
		Checked: Checked{Size: built.Size, Root: built.Root, Checkpoints: built.Checkpoints, Program: desc.Program}}
	if err := k.all(ctx); errors.Is(err, errUnread) {
		return k.sorted(), err
	} else if err != nil {
		return nil, err
	}
	return k.sorted(), before.unchanged(ctx, c.Site)
}

// Most files that are not read before a check ends: a host that is gone is not asked for the rest.
const mostUnread = 8

var errUnread = errors.New("too much could not be read: the rest was not looked at")

// Most files beyond those that this program makes that are asked for because a page of another program links to them: it may link without end.
const mostAsked = 1000

type checker struct {
	CheckConfig
	want  *Folder
	names map[string]bool // of the files that this program makes of the log
	alike bool            // its pages are of this program

	mu    sync.Mutex
	there map[string]bool // which files the site has, as far as it was asked
	asked int
	Checked
}

func (k *checker) all(ctx context.Context) error {
	if err := k.want.names(func(name string, err error) error { k.names[name] = true; return err }); err != nil {
		return err
	}
	if err := k.each(ctx, k.compare); err != nil {
		return err
	}
	if err := k.list(ctx); err != nil {
		return err
	}
	if !k.alike {
		if err := k.verifierHash(ctx); err != nil {
			return err
		}
	}
	return k.links(ctx)
}

func (k *checker) sorted() *Checked {
	byPath := func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Problem, b.Problem))
	}
	slices.SortFunc(k.Damaged, byPath)
	k.Damaged = slices.Compact(k.Damaged)
	slices.SortFunc(k.Unread, func(a, b Unread) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(k.NotCompared)
	k.NotCompared = slices.Compact(k.NotCompared)
	slices.Sort(k.Foreign)
	return &k.Checked
}

// each calls do for every file, several at a time: most of the time of a check is spent waiting for a host.
func (k *checker) each(ctx context.Context, do func(ctx context.Context, name string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	names := make(chan string)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for name := range names {
				if err := do(ctx, name); err != nil {
					cancel(err)
				}
			}
		})
	}
	for name := range k.names {
		select {
		case names <- name:
		case <-ctx.Done():
		}
	}
	close(names)
	workers.Wait()
	return context.Cause(ctx)
}

func (k *checker) found(path, problem string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Damaged = append(k.Damaged, Finding{path, problem})
}

// unread notes a file of which nothing is known; the error ends the check.
func (k *checker) unread(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.ContainsFunc(k.Unread, func(u Unread) bool { return u.Path == path }) {
		k.Unread = append(k.Unread, Unread{path, err})
	}
	if len(k.Unread) >= mostUnread {
		return errUnread
	}
	return nil
}

// read reads a file of the site. Where it is not read the answer is nil, and why is noted, unless it is missing.
func (k *checker) read(ctx context.Context, name string) (data []byte, missing bool, err error) {
	data, err = k.Site.Read(ctx, name, maxFile)
	long, isLong := errors.AsType[*durable.TooLong](err)
	switch {
	case err == nil && data == nil:
		return []byte{}, false, nil
	case err == nil:
		return data, false, nil
	case isMissing(err):
		return nil, true, nil
	case isLong:
		k.found(name, fmt.Sprintf("has more than %d bytes, and was not read", long.Max))
		return nil, false, nil
	}
	return nil, false, k.unread(ctx, name, err)
}

// compare compares one file.
func (k *checker) compare(ctx context.Context, name string) error {
	want, err := k.want.Read(ctx, name, maxFile)
	if err != nil {
		return err
	}
	theirs := !k.alike && isFree(name)
	got, missing, err := k.read(ctx, name)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.there[name] = !missing
	switch {
	case theirs && !missing:
		k.NotCompared = append(k.NotCompared, name)
	case got != nil:
		k.Files++
	}
	k.mu.Unlock()
	switch {
	case theirs:
	case missing:
		k.found(name, "is missing")
	case got != nil && !bytes.Equal(got, want):
		k.found(name, "is not what the log makes of it: "+difference(got, want))
	}
	return nil
}

// isFree tells which files another program makes in its own way, or does not make: pages, and what they are made with.
func isFree(name string) bool {
	if strings.HasPrefix(name, twinsFile) { // which may go on in others
		return false
	}
	switch name {
	case "checkpoint", countFile, "policy", "tsa-roots.pem", growFile, ".nojekyll",
		"entries/newest.csv", "entries/feed.xml", "checkpoints/feed.xml", "equivocation/feed.xml":
		return false
	}
	switch first, _, _ := strings.Cut(name, "/"); first {
	case "tile", "lookup", "heads", "prev", ".well-known":
		return false
	case "checkpoints":
		_, _, ofHistory := tiles.ParseCheckpointPath(name)
		return !ofHistory
	}
	return true
}

// difference says where two files part.
func difference(got, want []byte) string {
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	return fmt.Sprintf("it has %d bytes, expected %d, and differs from byte %d on", len(got), len(want), n)
}

// list finds what no build writes.
func (k *checker) list(ctx context.Context) error {
	folder, ok := k.Site.(*Folder)
	if !ok {
		k.Unlisted = true
		return nil
	}
	if _, err := folder.Read(ctx, commitFile, 0); !isMissing(err) {
		k.found(workDir, "a build was interrupted here: build the site again")
	}
	return folder.names(func(name string, err error) error {
		switch {
		case err != nil:
			return k.unread(ctx, name, err)
		case k.names[name]:
		case !k.alike && isFree(name):
			k.NotCompared = append(k.NotCompared, name)
		default:
			k.Foreign = append(k.Foreign, name)
		}
		return nil
	})
}

// verifierHash compares the page that is one file, if another program has made one, with the digest beside it.
func (k *checker) verifierHash(ctx context.Context) error {
	const beside = "verify.html.sha256"
	if !k.there["verify.html"] {
		return nil
	}
	page, _, err := k.read(ctx, "verify.html")
	if page == nil || err != nil {
		return err
	}
	line, missing, err := k.read(ctx, beside)
	switch {
	case err != nil:
		return err
	case missing:
		k.found(beside, "is missing")
	case line != nil && !bytes.Equal(line, sha256Line("verify.html", page)):
		k.found(beside, "is not the digest of verify.html")
	}
	return nil
}

// links follows the links of every page and feed inside the site.
func (k *checker) links(ctx context.Context) error {
	var todo []string
	seen := map[string]bool{"verify.html": true} // whose script is one text, and links nowhere
	add := func(name string) {
		if page := strings.HasSuffix(name, ".html") || strings.HasSuffix(name, ".xml"); page && !seen[name] {
			seen[name] = true
			todo = append(todo, name)
		}
	}
	for name := range k.names {
		if k.there[name] {
			add(name)
		}
	}
	for _, name := range k.NotCompared {
		add(name)
	}
	documents := map[string]document{} // of this program, whose pages link to places in each other
	open := func(name string) (document, error) {
		d, known := documents[name]
		if known {
			return d, nil
		}
		text, _, err := k.read(ctx, name)
		if text != nil {
			var problem error
			if d, problem = readDocument(text); problem != nil {
				k.found(name, "cannot be read as a page: "+problem.Error())
			}
		}
		if k.alike {
			documents[name] = d
		}
		return d, err
	}
	for ; len(todo) > 0; todo = todo[1:] {
		name := todo[0]
		d, err := open(name)
		if err != nil {
			return err
		}
		if d.base {
			k.found(name, "has an element base, which leads its links elsewhere")
			continue
		}
		for _, link := range d.links {
			target, fragment, inside := resolve(name, link)
			if !inside {
				continue
			}
			there, known, err := k.has(ctx, target)
			switch {
			case err != nil:
				return err
			case !known:
				k.Unfollowed++
				continue
			}
			if k.Links++; !there {
				k.found(name, fmt.Sprintf("links to %.200q, which is not there", link))
				continue
			}
			add(target)
			if fragment == "" || !k.alike || !strings.HasSuffix(target, ".html") {
				continue
			}
			if to, err := open(target); err != nil {
				return err
			} else if to.ids != nil && !to.ids[fragment] {
				k.found(name, fmt.Sprintf("links to %.200q, which has no such place", link))
			}
		}
	}
	return nil
}

// has tells whether the site has a file. What this program does not know it is asked for, if its pages are of another one;
// known is false if that was too often.
func (k *checker) has(ctx context.Context, name string) (there, known bool, err error) {
	if k.alike || !fs.ValidPath(name) || !isFree(name) {
		return k.names[name], true, nil
	}
	if there, known := k.there[name]; known {
		return there, true, nil
	}
	if k.asked++; k.asked > mostAsked {
		return false, false, nil
	}
	_, missing, err := k.read(ctx, name)
	if err != nil {
		return false, false, err
	}
	if k.there[name] = !missing; !missing {
		k.NotCompared = append(k.NotCompared, name)
	}
	return !missing, true, nil
}

// publication is what tells one state of a site from the next: a build changes at least one of these files where it
// changes anything that was compared.
type publication map[string]string

func readPublication(ctx context.Context, s Site) (publication, error) {
	p := publication{}
	for _, name := range []string{descriptionFile, "checkpoint", countFile, "policy", "tsa-roots.pem"} {
		text, err := s.Read(ctx, name, maxRoots)
		if isMissing(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		p[name] = string(text)
	}
	return p, nil
}

// unchanged makes sure that all was of one publication.
func (p publication) unchanged(ctx context.Context, s Site) error {
	after, err := readPublication(ctx, s)
	if err != nil {
		return err
	}
	for name := range after {
		if text, there := p[name]; !there || text != after[name] {
			return fmt.Errorf("%w: it has another %s", ErrChanged, name)
		}
	}
	for name := range p {
		if _, there := after[name]; !there {
			return fmt.Errorf("%w: it has no %s any more", ErrChanged, name)
		}
	}
	return nil
}

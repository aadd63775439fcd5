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

	"github.com/Haserjian/assay-ledger/trust"
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
	Program string        // this program: pages that another one made are not compared byte for byte
	Temp    string        // where there is room for a copy of the site; empty: the system's directory
}

// Finding is one thing that is wrong with a site.
type Finding struct{ Path, Problem string }

// Checked is what Check has found. Damaged is what makes the site wrong; Foreign are files that no build writes, and
// nothing is known of them.
type Checked struct {
	Size        int64
	Root        tlog.Hash
	Checkpoints int64
	Files       int // compared byte for byte
	Pages       int // made by another program: looked at for their links alone
	Links       int
	Damaged     []Finding
	Foreign     []string
	Unlisted    bool // of a URL nobody can say what else is there
}

// Check verifies everything that a site holds. It builds the site again from its own entry bundles, checkpoint and
// history, each of them proved, and compares: tiles, files of lookup, heads and prev, feeds and pages have to be what
// the log makes of them. Then it follows every link.
//
// What is wrong with the site is in the answer; an error says that it could not be looked at, or that what it is built
// of does not hold.
func Check(ctx context.Context, c CheckConfig) (*Checked, error) {
	temp, err := os.MkdirTemp(c.Temp, "assay-site-check-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	text, err := c.Site.Read(ctx, descriptionFile, 64<<10)
	if isMissing(err) {
		return nil, fmt.Errorf("%w: it has no %s", ErrNotOurs, descriptionFile)
	} else if err != nil {
		return nil, err
	}
	desc, err := ParseDescription(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	again := Config{Log: c.Site, Out: temp, Policy: c.Policy, BasePath: desc.BasePath, Contact: desc.Contact, Program: desc.Program,
		manner: manner{volatile: true}}
	built, err := Build(ctx, again)
	if err != nil {
		return nil, err
	}
	want, err := OpenFolder(temp)
	if err != nil {
		return nil, err
	}
	defer want.Close()
	k := &checker{CheckConfig: c, want: want, names: map[string]bool{}, alike: desc.Program == c.Program,
		Checked: Checked{Size: built.Size, Root: built.Root, Checkpoints: built.Checkpoints}}
	if err := k.all(ctx); err != nil {
		return nil, err
	}
	return &k.Checked, k.unchanged(ctx)
}

type checker struct {
	CheckConfig
	want  *Folder
	names map[string]bool // of the files that the site must have
	alike bool            // its pages are of this program

	mu sync.Mutex
	Checked
}

func (k *checker) all(ctx context.Context) error {
	if err := k.want.names(func(name string) error { k.names[name] = true; return nil }); err != nil {
		return err
	}
	if err := k.each(ctx, k.compare); err != nil {
		return err
	}
	if err := k.foreign(ctx); err != nil {
		return err
	}
	if err := k.verifierHash(ctx); err != nil {
		return err
	}
	if err := k.links(ctx); err != nil {
		return err
	}
	slices.SortFunc(k.Damaged, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Problem, b.Problem))
	})
	return nil
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

// compare compares one file.
func (k *checker) compare(ctx context.Context, name string) error {
	want, err := k.want.Read(ctx, name, maxFile)
	if err != nil {
		return err
	}
	got, err := k.Site.Read(ctx, name, maxFile)
	switch {
	case isMissing(err):
		k.found(name, "is missing")
		return nil
	case err != nil:
		return err
	}
	k.mu.Lock()
	if !k.alike && madeByProgram(name) {
		k.Pages++
		k.mu.Unlock()
		return nil
	}
	k.Files++
	k.mu.Unlock()
	if !bytes.Equal(got, want) {
		k.found(name, "is not what the log makes of it: "+difference(got, want))
	}
	return nil
}

// madeByProgram tells which files another release may write in another way.
func madeByProgram(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return first == "assets" || first == "verifier" || strings.HasSuffix(name, ".html") || strings.HasSuffix(name, ".xml") ||
		name == "verify.html.sha256" || name == "entries/newest.csv"
}

// difference says where two files part.
func difference(got, want []byte) string {
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	return fmt.Sprintf("it has %d bytes, expected %d, and differs from byte %d on", len(got), len(want), n)
}

// foreign lists what no build writes.
func (k *checker) foreign(ctx context.Context) error {
	folder, ok := k.Site.(*Folder)
	if !ok {
		k.Unlisted = true
		return nil
	}
	if _, err := folder.Read(ctx, commitFile, maxCommit); err == nil {
		k.found(workDir, "a build was interrupted here: build the site again")
	}
	return folder.names(func(name string) error {
		// Of pages that another release writes nobody knows the names here.
		if !k.names[name] && (k.alike || !madeByProgram(name)) {
			k.Foreign = append(k.Foreign, name)
		}
		return nil
	})
}

// verifierHash compares the page that is one file with the digest beside it.
func (k *checker) verifierHash(ctx context.Context) error {
	page, err := k.Site.Read(ctx, "verify.html", maxFile)
	if err == nil {
		var line []byte
		line, err = k.Site.Read(ctx, "verify.html.sha256", 1024)
		if err == nil && !bytes.Equal(line, sha256Line("verify.html", page)) {
			k.found("verify.html.sha256", "is not the digest of verify.html")
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // said already
	}
	return err
}

// links follows the links of every page inside the site.
func (k *checker) links(ctx context.Context) error {
	documents := map[string]document{}
	open := func(name string) (document, error) {
		d, known := documents[name]
		if known {
			return d, nil
		}
		text, err := k.Site.Read(ctx, name, maxFile)
		if isMissing(err) {
			return d, nil // said already
		}
		if err == nil {
			d, err = readDocument(text)
		}
		documents[name] = d
		return d, err
	}
	for name := range k.names {
		if !strings.HasSuffix(name, ".html") || name == "verify.html" { // whose script is one text, and links nowhere
			continue
		}
		d, err := open(name)
		if err != nil {
			return err
		}
		for _, link := range d.links {
			target, fragment, inside := resolve(name, link)
			if !inside {
				continue
			}
			k.Links++
			if strings.HasPrefix(target, "..") || !k.names[target] {
				k.found(name, fmt.Sprintf("links to %.200q, which is not there", link))
			} else if fragment != "" && strings.HasSuffix(target, ".html") {
				if to, err := open(target); err != nil {
					return err
				} else if !to.ids[fragment] {
					k.found(name, fmt.Sprintf("links to %.200q, which has no such place", link))
				}
			}
		}
	}
	return nil
}

// unchanged makes sure that all was of one publication.
func (k *checker) unchanged(ctx context.Context) error {
	if k.Size == 0 {
		return nil
	}
	want, err := k.want.Checkpoint(ctx)
	if err != nil {
		return err
	}
	got, err := k.Site.Checkpoint(ctx)
	if err != nil {
		return err
	}
	before, _, err := trust.CutCheckpoint(want)
	if err != nil {
		return err
	}
	if after, _, err := trust.CutCheckpoint(got); err == nil && after.Size > before.Size {
		return fmt.Errorf("%w: from size %d to %d", ErrChanged, before.Size, after.Size)
	}
	return nil
}

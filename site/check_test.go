package site_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

func check(t testing.TB, dir string) (*site.Checked, error) {
	t.Helper()
	folder, err := site.OpenFolder(dir)
	must(t, err)
	defer folder.Close()
	return site.Check(t.Context(), site.CheckConfig{Site: folder, Program: "test"})
}

func small(t testing.TB) (dir string, files map[string]string) {
	t.Helper()
	l := newLog(t)
	for i := range int64(70) {
		must(t, l.Add(leafOf(i)))
	}
	publish(t, l)
	must(t, l.Grow(90))
	publish(t, l)
	dir = filepath.Join(t.TempDir(), "site")
	build(t, site.Config{Log: l, Out: dir, Program: "test", Contact: []string{"https://ledger.example/contact"}})
	return dir, tree(t, dir)
}

// SIT-3, SIT-23.
func TestASiteAsItWasBuiltIsWhole(t *testing.T) {
	dir, files := small(t)
	c, err := check(t, dir)
	must(t, err)
	for _, f := range c.Damaged {
		t.Errorf("%s %s", f.Path, f.Problem)
	}
	if c.Size != 90 || c.Checkpoints != 2 || len(c.Foreign) > 0 || c.Links < 200 || len(c.NotCompared)+len(c.Unread) > 0 || c.Unlisted {
		t.Errorf("%+v", c)
	}
	folders := 0
	for name := range files {
		if strings.HasSuffix(name, "/") {
			folders++
		}
	}
	if c.Files != len(files)-folders {
		t.Errorf("%d files were compared, of %d", c.Files, len(files)-folders)
	}
}

// SIT-23: every file of a site is looked at: one bit of any of them is found.
func TestABitThatIsFlippedAnywhereIsFound(t *testing.T) {
	dir, files := small(t)
	names := slices.Sorted(maps.Keys(files))
	kinds := map[string]int{}
	for _, name := range names {
		text := files[name]
		kind, _, _ := strings.Cut(name, "/")
		if kinds[kind]++; text == "" || kinds[kind] > 8 { // of each folder a few
			continue
		}
		changed := []byte(text)
		changed[len(changed)/2] ^= 1
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, changed, 0o644))
		c, err := check(t, dir)
		if err == nil && !slices.ContainsFunc(c.Damaged, func(f site.Finding) bool { return f.Path == name }) {
			t.Errorf("%s: not found: %+v", name, c.Damaged)
		}
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
	if len(kinds) < 15 {
		t.Errorf("%d kinds of files", len(kinds))
	}
}

func TestWhatIsMissingOrForeignIsSaid(t *testing.T) {
	dir, files := small(t)
	must(t, os.WriteFile(filepath.Join(dir, "CNAME"), []byte("ledger.example\n"), 0o644))
	i := slices.IndexFunc(slices.Sorted(maps.Keys(files)), func(name string) bool { return strings.HasPrefix(name, "lookup/") && len(name) > 8 })
	lookup := slices.Sorted(maps.Keys(files))[i]
	must(t, os.Remove(filepath.Join(dir, lookup)))
	must(t, os.Remove(filepath.Join(dir, "limits", "index.html")))
	rewrite(t, dir, ".assay-build/commit", "a list")
	c, err := check(t, dir)
	must(t, err)
	if !slices.ContainsFunc(c.Damaged, func(f site.Finding) bool { return f.Path == ".assay-build" }) {
		t.Errorf("nobody says that a build was interrupted: %v", c.Damaged)
	}
	if !slices.Equal(c.Foreign, []string{"CNAME"}) {
		t.Errorf("foreign: %q", c.Foreign)
	}
	for _, name := range []string{lookup, "limits/index.html"} {
		if !slices.Contains(c.Damaged, site.Finding{Path: name, Problem: "is missing"}) {
			t.Errorf("%s is not said to be missing: %v", name, c.Damaged)
		}
	}

	history := filepath.Join(dir, "checkpoints", "000.p", "2")
	must(t, os.Rename(history, history+".away"))
	if _, err := check(t, dir); !errors.Is(err, site.ErrMissing) {
		t.Errorf("a history that is missing: %v", err)
	}
	must(t, os.Rename(history+".away", history))

	must(t, os.Remove(filepath.Join(dir, ".well-known", "assay-ledger.json")))
	if _, err := check(t, dir); !errors.Is(err, site.ErrNotOurs) {
		t.Error(err)
	}
}

// another checks a site as a program does that did not make it.
func another(t testing.TB, dir string) *site.Checked {
	t.Helper()
	folder, err := site.OpenFolder(dir)
	must(t, err)
	defer folder.Close()
	c, err := site.Check(t.Context(), site.CheckConfig{Site: folder, Program: "another program"})
	must(t, err)
	return c
}

func rewrite(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

// isPage tells what of a site is free, by the table of its specification.
func isPage(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return strings.HasSuffix(name, ".html") || first == "assets" || first == "verifier" || name == "verify.html.sha256"
}

// SIT-23: who made a site is its own word, so it takes nothing that the log makes out of the comparison.
func TestWhatTheLogMakesIsComparedWhoeverMadeThePages(t *testing.T) {
	dir, files := small(t)
	pages := 0
	kinds := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		if isPage(name) {
			if !strings.HasSuffix(name, "/") {
				pages++
			}
			continue
		}
		kind, _, _ := strings.Cut(name, "/")
		if kind == "tile" || name == "checkpoint" || name == "policy" || strings.HasPrefix(name, "checkpoints/0") || name == "checkpoints/count" ||
			strings.HasPrefix(name, ".well-known/assay") {
			continue // without these nothing is made again: an error of its own
		}
		if kinds[kind]++; text == "" || kinds[kind] > 2 && kind != "entries" {
			continue
		}
		changed := []byte(text)
		changed[len(changed)/2] ^= 1
		rewrite(t, dir, name, string(changed))
		if c := another(t, dir); !slices.ContainsFunc(c.Damaged, func(f site.Finding) bool { return f.Path == name }) {
			t.Errorf("%s is not compared: %+v", name, c.Damaged)
		}
		rewrite(t, dir, name, text)
	}
	for _, kind := range []string{"lookup", "heads", "prev", "entries", "checkpoints", "equivocation", "growth.csv", ".well-known"} {
		if kinds[kind] == 0 {
			t.Errorf("nothing of %s was changed", kind)
		}
	}
	c := another(t, dir)
	if len(c.Damaged) > 0 || len(c.NotCompared) != pages || c.Program != "test" {
		t.Errorf("%d damaged, %d not compared of %d pages: %+v", len(c.Damaged), len(c.NotCompared), pages, c.Damaged)
	}
}

// SIT-3, SIT-23: pages of another program are free, but for their links.
func TestPagesOfAnotherProgramAreFreeAndTheirLinksAreFollowed(t *testing.T) {
	dir, files := small(t)
	// It has no page of limits, its style elsewhere, and a page of its own.
	for name := range files {
		if strings.HasPrefix(name, "assets/") && !strings.HasSuffix(name, "/") || strings.HasSuffix(name, "limits/index.html") {
			must(t, os.Remove(filepath.Join(dir, name)))
		} else if strings.HasSuffix(name, ".html") {
			rewrite(t, dir, name, `<link rel="stylesheet" href="`+strings.Repeat("../", strings.Count(name, "/"))+`look.css"><a href="#top">x</a>`)
		}
	}
	rewrite(t, dir, "look.css", "p{}")
	rewrite(t, dir, "about/us.html", `<a href="../entries/index.html#nobody-knows">x</a><a href="../entry/?i=3">y</a>`)
	rewrite(t, dir, "verify.html.sha256", fmt.Sprintf("%x  verify.html\n", sha256.Sum256([]byte(tree(t, dir)["verify.html"]))))
	c := another(t, dir)
	if len(c.Damaged)+len(c.Foreign)+len(c.Unread) > 0 {
		t.Errorf("free pages are %+v", c)
	}
	for _, name := range []string{"about/us.html", "look.css", "index.html", "verify.html"} {
		if !slices.Contains(c.NotCompared, name) {
			t.Errorf("%s is not said to be not compared", name)
		}
	}

	rewrite(t, dir, "index.html", `<a href="nowhere.html">a</a><a href="/index.html">b</a><a href="../../x">c</a><a href="lookup/zzz">d</a><a href="https://elsewhere.example/">e</a>`)
	rewrite(t, dir, "about/us.html", `<base href="https://elsewhere.example/"><a href="nothing">x</a>`)
	must(t, os.Remove(filepath.Join(dir, "entry", "index.html"))) // feeds lead to it
	must(t, os.Remove(filepath.Join(dir, "verify.html.sha256")))
	rewrite(t, dir, "tile/x", "")
	said := map[string]int{}
	c = another(t, dir)
	for _, f := range c.Damaged {
		said[f.Path]++
	}
	if want := map[string]int{"index.html": 4, "about/us.html": 1, "entries/feed.xml": 50, "verify.html.sha256": 1}; !maps.Equal(said, want) {
		t.Errorf("found %v, expected %v: %+v", said, want, c.Damaged)
	}
	if !slices.Equal(c.Foreign, []string{"tile/x"}) {
		t.Errorf("foreign: %q", c.Foreign)
	}
}

// Whoever makes pages that link without end keeps nobody busy without end.
func TestAPageThatLinksWithoutEndIsNotFollowedWithoutEnd(t *testing.T) {
	dir, _ := small(t)
	var page strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&page, `<a href="%d.html">x</a>`, i)
	}
	rewrite(t, dir, "index.html", page.String())
	if c := another(t, dir); c.Unfollowed < 1900 || len(c.Damaged) > 1100 {
		t.Errorf("%d links are not followed, %d lead nowhere", c.Unfollowed, len(c.Damaged))
	}
}

// SIT-23: one file that cannot be read, or that has no end, is named, and the rest is looked at.
func TestAFileThatCannotBeReadIsNamedAndTheCheckGoesOn(t *testing.T) {
	dir, files := small(t)
	huge := filepath.Join(dir, "limits", "index.html")
	must(t, os.Truncate(huge, 65<<20))
	rewrite(t, dir, "growth.csv", files["growth.csv"]+"x")
	secret := "verify/index.html"
	locked := &unreadable{Site: open(t, dir), names: map[string]bool{secret: true}}
	c, err := site.Check(t.Context(), site.CheckConfig{Site: locked, Program: "test"})
	must(t, err)
	if len(c.Damaged) != 2 || c.Damaged[0].Path != "growth.csv" || c.Damaged[1].Path != "limits/index.html" || !strings.Contains(c.Damaged[1].Problem, "more than") {
		t.Errorf("damaged: %+v", c.Damaged)
	}
	if len(c.Unread) != 1 || c.Unread[0].Path != secret || !errors.Is(c.Unread[0].Err, fs.ErrPermission) {
		t.Errorf("unread: %+v", c.Unread)
	}

	for name := range files {
		if strings.HasSuffix(name, ".mjs") {
			locked.names[name] = true
		}
	}
	c, err = site.Check(t.Context(), site.CheckConfig{Site: locked, Program: "test"})
	if err == nil || c == nil || len(c.Unread) < 8 || len(c.Unread) > 16 {
		t.Errorf("a host that gives almost nothing is asked on: %v, %+v", err, c)
	}
}

// SIT-5: whom the reader believes decides whether he believes the site, and not what is in it.
func TestASiteIsWholeForWhoeverBelievesOtherWitnesses(t *testing.T) {
	l := newLog(t)
	must(t, l.Grow(5))
	publish(t, l)
	text, err := l.Policy(t.Context())
	must(t, err)
	told, err := trust.ParsePolicy(text)
	must(t, err)
	one, err := trust.ParsePolicy(trust.FormatPolicy(told.Logs(), told.Witnesses()[:1], 1))
	must(t, err)
	own, ofOne := filepath.Join(t.TempDir(), "own"), filepath.Join(t.TempDir(), "one")
	build(t, site.Config{Log: l, Out: own, Program: "test"})
	build(t, site.Config{Log: l, Out: ofOne, Program: "test", Policy: one})
	sameTree(t, tree(t, ofOne), tree(t, own))
	c, err := site.Check(t.Context(), site.CheckConfig{Site: open(t, own), Program: "test", Policy: one})
	must(t, err)
	if len(c.Damaged) > 0 {
		t.Errorf("%+v", c.Damaged)
	}
}

// unreadable is a site some of whose files are there and cannot be read.
type unreadable struct {
	site.Site
	names map[string]bool
}

func (u *unreadable) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	if u.names[name] {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return u.Site.Read(ctx, name, limit)
}

func open(t testing.TB, dir string) *site.Folder {
	t.Helper()
	folder, err := site.OpenFolder(dir)
	must(t, err)
	t.Cleanup(func() { folder.Close() })
	return folder
}

// SIT-9: a history has a tree once, and so no mirror can make it longer.
func TestAHistoryThatRepeatsATreeIsDamaged(t *testing.T) {
	l := newLog(t)
	must(t, l.Grow(3))
	publish(t, l)
	first := l.Note
	must(t, l.Grow(5))
	publish(t, l)
	later, err := l.Sign(3, sitetest.Began.AddDate(0, 1, 0)) // the same tree, cosigned at another time
	must(t, err)
	for what, notes := range map[string][][]byte{
		"a note twice":             {first, first, l.Note},
		"a tree under other notes": {first, later, l.Note},
		"the newest twice":         {first, l.Note, l.Note},
		"a smaller tree after":     {first, l.Note, first},
	} {
		repeats := *l
		repeats.Notes = notes
		if _, err := site.Build(t.Context(), site.Config{Log: &repeats, Out: filepath.Join(t.TempDir(), "x")}); !errors.Is(err, site.ErrDamaged) {
			t.Errorf("%s: built: %v", what, err)
		}

		// In a site that somebody made so.
		dir := filepath.Join(t.TempDir(), "site")
		build(t, site.Config{Log: l, Out: dir, Program: "test"})
		var bundle []byte
		for _, note := range notes {
			bundle = tiles.AppendEntry(bundle, note)
		}
		must(t, os.RemoveAll(filepath.Join(dir, "checkpoints", "000.p")))
		rewrite(t, dir, "checkpoints/000.p/3", string(bundle))
		rewrite(t, dir, "checkpoints/count", "3\n")
		if _, err := check(t, dir); !errors.Is(err, site.ErrDamaged) {
			t.Errorf("%s: the check says %v", what, err)
		}
	}

	// Grown by one note, which repeats the last one that the site has.
	dir := filepath.Join(t.TempDir(), "site")
	build(t, site.Config{Log: l, Out: dir})
	repeats := *l
	repeats.Notes = [][]byte{first, l.Note, l.Note}
	before := tree(t, dir)
	if _, err := site.Build(t.Context(), site.Config{Log: &repeats, Out: dir}); !errors.Is(err, site.ErrDamaged) {
		t.Error(err)
	}
	after := tree(t, dir)
	maps.DeleteFunc(after, func(name, _ string) bool { return strings.HasPrefix(name, ".assay-build/") })
	sameTree(t, after, before)
}

func TestALinkOutOfTheFolderIsNotFollowed(t *testing.T) {
	dir, _ := small(t)
	outside := filepath.Join(t.TempDir(), "policy")
	must(t, os.Rename(filepath.Join(dir, "policy"), outside))
	must(t, os.Symlink(outside, filepath.Join(dir, "policy")))
	if _, err := check(t, dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// republished is a site that another one takes the place of while it is read.
type republished struct {
	*site.Folder
	next *site.Folder
	once sync.Once
}

func (r *republished) Read(ctx context.Context, path string, limit int64) ([]byte, error) {
	if path == "limits/index.html" {
		r.once.Do(func() { *r.Folder = *r.next })
	}
	return r.Folder.Read(ctx, path, limit)
}

// SIT-23: whatever is published anew while a site is checked, that is said, and nobody is accused of it.
func TestASiteThatIsPublishedAnewWhileItIsCheckedIsNotJudged(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, l *sitetest.Log, c *site.Config){
		"entries":   func(t *testing.T, l *sitetest.Log, _ *site.Config) { must(t, l.Grow(20)); publish(t, l) },
		"witnesses": func(t *testing.T, l *sitetest.Log, _ *site.Config) { must(t, l.Rotate("others")); publish(t, l) },
		"a cosignature": func(t *testing.T, l *sitetest.Log, _ *site.Config) {
			must(t, l.Publish(sitetest.Began.AddDate(1, 0, 0)))
		},
		"a contact": func(_ *testing.T, _ *sitetest.Log, c *site.Config) { c.Contact = []string{"mailto:a@b.example"} },
		"a program": func(_ *testing.T, _ *sitetest.Log, c *site.Config) { c.Program = "a later release" },
		"a base":    func(_ *testing.T, _ *sitetest.Log, c *site.Config) { c.BasePath = "/a/" },
		"nothing":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t)
			must(t, l.Grow(10))
			publish(t, l)
			c := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site"), Program: "test"}
			build(t, c)
			was, err := site.OpenFolder(c.Out)
			must(t, err)
			want := error(nil)
			if change != nil {
				change(t, l, &c)
				want = site.ErrChanged
			}
			c.Out = filepath.Join(t.TempDir(), "next")
			build(t, c)
			next, err := site.OpenFolder(c.Out)
			must(t, err)
			if _, err := site.Check(t.Context(), site.CheckConfig{Site: &republished{Folder: was, next: next}, Program: "test"}); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

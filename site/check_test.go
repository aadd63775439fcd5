package site_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/site"
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
	if c.Size != 90 || c.Checkpoints != 2 || len(c.Foreign) > 0 || c.Links < 200 || c.Pages > 0 || c.Unlisted {
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
	c, err := check(t, dir)
	must(t, err)
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

// Pages of another release are not compared, but what follows from the log is.
func TestPagesOfAnotherReleaseAreLookedAtForTheirLinks(t *testing.T) {
	dir, files := small(t)
	home := filepath.Join(dir, "index.html")
	must(t, os.WriteFile(home, []byte(`<a href="nowhere.html">x</a><a href="/index.html">y</a><a href="verify/index.html#nothing">z</a>`), 0o644))
	folder, err := site.OpenFolder(dir)
	must(t, err)
	defer folder.Close()
	c, err := site.Check(t.Context(), site.CheckConfig{Site: folder, Program: "a later release"})
	must(t, err)
	if c.Pages < 10 || len(c.Damaged) != 3 {
		t.Errorf("%+v", c)
	}
	for _, f := range c.Damaged {
		if f.Path != "index.html" || !strings.HasPrefix(f.Problem, "links to ") {
			t.Errorf("%+v", f)
		}
	}
	heads := ""
	for name := range files {
		if strings.HasPrefix(name, "heads/") && len(name) > 6 {
			heads = name
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, heads), []byte(files[heads]+"s"), 0o644))
	again, err := site.Check(t.Context(), site.CheckConfig{Site: folder, Program: "a later release"})
	must(t, err)
	if len(again.Damaged) != len(c.Damaged)+1 {
		t.Errorf("%s is not found: %+v", heads, again.Damaged)
	}
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

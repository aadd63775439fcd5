package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

func (w *world) fsck() (found []Damage) {
	w.t.Helper()
	x, err := index.Open(filepath.Join(w.dir, "index"), testOrigin)
	must(w.t, err)
	defer x.Close()
	_, _, err = Fsck(w.t.Context(), w.cfg.Dir, w.cfg.GuardDir, x, func(d Damage) { found = append(found, d) })
	if err != nil {
		found = append(found, Damage{Err: err})
	}
	return found
}

// Every file that makes up the log, with one bit flipped at its beginning, in its
// middle and at its end, cut short, and gone.
// STO-37
func TestFsckFindsEveryDamageAndEndsAfterIt(t *testing.T) {
	racetest.OneGoroutine(t)
	w, old, _ := threeHundred(t)
	if found := w.fsck(); len(found) != 0 {
		t.Fatalf("a sound log: %v", found)
	}
	must(t, os.RemoveAll(w.path("tile/0/000.p"))) // as Tessera collects them
	must(t, os.RemoveAll(w.path("tile/entries/000.p")))
	current := []string{treeStatePath, "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"}
	for _, path := range current {
		whole := w.file(path)
		check := func(how string) {
			t.Helper()
			found := w.fsck()
			if len(found) == 0 {
				t.Errorf("%s, %s: nothing found", path, how)
			}
			for _, d := range found {
				if d.Err == nil || d.End < d.Start {
					t.Errorf("%s, %s: %v", path, how, d)
				}
			}
			w.write(path, whole)
		}
		for _, at := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
			w.flip(path, at)
			check("a bit flipped")
		}
		w.write(path, whole[:len(whole)-1])
		check("cut short")
		w.write(path, nil)
		check("emptied")
		w.remove(path)
		check("gone")
	}
	if found := w.fsck(); len(found) != 0 {
		t.Fatalf("mended: %v", found)
	}
	// The index of an earlier time only has to follow; one of another log is damage.
	newer := w.copyTo(t)
	w.replaceDir("index", old)
	if found := w.fsck(); len(found) != 0 {
		t.Errorf("an older index: %v", found)
	}
	w.replaceDir("index", newer)
	w.replaceDir("log", old)
	found := w.fsck()
	text := ""
	for _, d := range found {
		text += d.String() + "\n"
	}
	if !strings.Contains(text, "rolled back") || !strings.Contains(text, "index: entries 200 to 299") {
		t.Errorf("an older log: %s", text)
	}
}

// STO-37
func TestFsckNamesTheDamagedEntry(t *testing.T) {
	racetest.OneGoroutine(t)
	w, _, _ := threeHundred(t)
	bundle := w.file("tile/entries/000")
	entries, err := tiles.ParseBundle(bundle, 256)
	must(t, err)
	at := 0
	for _, e := range entries[:77] {
		at += 2 + len(e)
	}
	w.flip("tile/entries/000", at+10)
	found := w.fsck()
	if len(found) != 1 || found[0].Start != 77 || found[0].End != 78 || found[0].Path != "tile/entries/000" {
		t.Errorf("%v", found)
	}
	w.write("tile/entries/000", bundle)
	// The index, in a column and in its header.
	runs, err := filepath.Glob(filepath.Join(w.dir, "index", "run-*"))
	must(t, err)
	for _, at := range []int{5 * 1024, 40} {
		whole, err := os.ReadFile(runs[0])
		must(t, err)
		damaged := slices.Clone(whole)
		damaged[at] ^= 1
		must(t, os.WriteFile(runs[0], damaged, 0o600))
		if found := w.fsck(); len(found) != 1 || found[0].Path != "index" || !strings.Contains(found[0].Err.Error(), filepath.Base(runs[0])) {
			t.Errorf("byte %d of the index: %v", at, found)
		}
		must(t, os.WriteFile(runs[0], whole, 0o600))
	}
	// A damaged tile disagrees below and above: it is named, and neither of them.
	w.flip("tile/0/000", 77*32)
	if found := w.fsck(); len(found) != 1 || found[0].Start != 77 || found[0].Path != "tile/0/000" {
		t.Errorf("%v", found)
	}
}

// STO-37
func TestFsckRunsBesideAnOpenLog(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.addAll(0, 300)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		_, _, err := Fsck(t.Context(), w.cfg.Dir, w.cfg.GuardDir, w.index, func(d Damage) { t.Error(d) })
		must(t, err)
	}
	must(t, l.Health(t.Context()))
	if _, _, err := Fsck(t.Context(), w.dir, w.cfg.GuardDir, nil, func(Damage) {}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory without a log: %v", err)
	}
}

// toldIndex has so many entries and answers what a test says.
type toldIndex struct {
	Index
	size int64
	find func(digest trust.Digest) (int64, bool, error)
}

func (x toldIndex) Size(context.Context) (int64, error)                      { return x.size, nil }
func (x toldIndex) Lost() error                                              { return nil }
func (x toldIndex) Check(context.Context, func(context.Context) error) error { return nil }
func (x toldIndex) Find(_ context.Context, digest trust.Digest) (int64, bool, error) {
	return x.find(digest)
}

func TestFsckComparesEveryEntryWithWhatTheIndexSaysOfIt(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 3)
	w.close()
	places := map[trust.Digest]int64{}
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	defer s.close()
	entries, err := readEntries(s, 3, 0, 3)
	must(t, err)
	for _, e := range entries {
		places[e.Entry.ManifestSHA256] = e.Index
	}
	trouble := errors.New("input/output error")
	for _, test := range []struct {
		name  string
		size  int64
		says  func(at int64) (int64, bool, error)
		found string // Damage.Start-Damage.End: words
	}{
		{"knows all", 3, func(at int64) (int64, bool, error) { return at, true, nil }, ""},
		{"does not know one", 3, func(at int64) (int64, bool, error) { return at, at != 1, nil }, "1-2: is not in the index"},
		{"has yet to follow", 1, func(at int64) (int64, bool, error) { return at, at < 1, nil }, ""},
		{"has the last elsewhere", 3, func(at int64) (int64, bool, error) { return min(at, 1), true, nil }, "2-3: at 1"},
		{"cannot be read", 3, func(at int64) (int64, bool, error) { return at, at == 0, map[bool]error{true: trouble}[at > 0] }, "1-2: input/output error"},
		{"is ahead", 5, func(at int64) (int64, bool, error) { return at, true, nil }, "3-5: has no such entries"},
	} {
		var found []Damage
		x := toldIndex{size: test.size, find: func(digest trust.Digest) (int64, bool, error) { return test.says(places[digest]) }}
		_, _, err := Fsck(t.Context(), w.cfg.Dir, w.cfg.GuardDir, x, func(d Damage) { found = append(found, d) })
		must(t, err)
		if test.found == "" {
			if len(found) > 0 {
				t.Errorf("an index that %s: %v", test.name, found)
			}
			continue
		}
		at, words, _ := strings.Cut(test.found, ": ")
		if len(found) != 1 || found[0].Path != "index" || fmt.Sprintf("%d-%d", found[0].Start, found[0].End) != at || !strings.Contains(found[0].Err.Error(), words) {
			t.Errorf("an index that %s: %v, want %s", test.name, found, test.found)
		}
	}
}

func TestFsckNamesALeafThatIsNoEntryAndEndsWhenItIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var found []Damage
	c := &fsckRun{index: toldIndex{find: func(trust.Digest) (int64, bool, error) { cancel(); return 0, false, ctx.Err() }}, report: func(d Damage) { found = append(found, d) }}
	if err := c.entry(ctx, "tile/entries/000", 7, []byte("no entry")); err != nil || len(found) != 1 ||
		found[0].Path != "tile/entries/000" || found[0].Start != 7 || found[0].End != 8 || found[0].Err == nil {
		t.Errorf("%v, %v", found, err)
	}
	w := newWorld(t, 0, 0)
	w.open()
	leaf := w.add(0).Entry.Leaf
	if err := c.entry(ctx, "tile/entries/000", 0, leaf); !errors.Is(err, context.Canceled) || len(found) != 1 {
		t.Errorf("given up: %v, %v", found, err)
	}
}

func BenchmarkFsck(b *testing.B) {
	w := newWorld(b, 0, 0)
	w.open()
	w.addAll(0, 300)
	w.close()
	for b.Loop() {
		if _, _, err := Fsck(b.Context(), w.cfg.Dir, w.cfg.GuardDir, nil, func(d Damage) { b.Fatal(d) }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(300*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func TestFsckNamesTheTileThatIsDamagedAndNotItsEntries(t *testing.T) {
	racetest.OneGoroutine(t)
	w, _, _ := threeHundred(t)
	for path, first := range map[string]int64{"tile/0/000": 0, "tile/0/001.p/44": 256} {
		whole := w.file(path)
		w.flip(path, 5*32)
		found := w.fsck()
		if len(found) != 1 || found[0].Path != path || found[0].Start != first+5 || found[0].End != first+6 {
			t.Errorf("%s: %v", path, found)
		}
		w.write(path, whole)
	}
	// A hash of level 1 is over all 256 of the tile below.
	path := "tile/1/000.p/1"
	w.flip(path, 5)
	found := w.fsck()
	if !slices.ContainsFunc(found, func(d Damage) bool {
		return d.Path == path && d.Start == 0 && d.End == 256 && strings.Contains(d.Err.Error(), "tile/0/000")
	}) {
		t.Errorf("%s: %v", path, found)
	}
}

// The signed tree is compared by itself: a log whose tiles agree with each other may be another one.
func TestFsckTellsWhenTheTreeDoesNotContinueTheSignedOne(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 3)
	w.close()
	path := filepath.Join(w.cfg.GuardDir, signedFile)
	signed, err := os.ReadFile(path)
	must(t, err)
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	defer s.close()
	for size, want := range map[int64]string{
		2: "entries 0 to 1: the tree does not continue the signed one: ",
		3: "entries 0 to 2: the tree does not continue the signed one: ",
		4: "entries 3 to 3: they have been signed for and are gone: the log was rolled back",
	} {
		root, err := s.rootOf(min(size, 3), 3)
		must(t, err)
		sound := trust.Checkpoint{Origin: testOrigin, Size: size, Root: root}
		if size <= 3 {
			must(t, os.WriteFile(path, sound.Text(), 0o600))
			if found := w.fsck(); len(found) != 0 {
				t.Errorf("size %d: %v", size, found)
			}
		}
		other := trust.Checkpoint{Origin: testOrigin, Size: size, Root: tlog.RecordHash([]byte("another log"))}
		must(t, os.WriteFile(path, other.Text(), 0o600))
		if found := w.fsck(); len(found) != 1 || !strings.HasPrefix(found[0].String(), treeStatePath+": "+want) {
			t.Errorf("size %d: %v, want %q", size, found, want)
		}
	}
	// Where the tiles are gone that would prove it, that is said of the signed tree, too.
	two, err := s.rootOf(2, 3)
	must(t, err)
	must(t, os.WriteFile(path, (&trust.Checkpoint{Origin: testOrigin, Size: 2, Root: two}).Text(), 0o600))
	must(t, os.Rename(w.path("tile/0"), w.path("tile/away")))
	found := w.fsck()
	for _, end := range []int64{2, 3} {
		if !slices.ContainsFunc(found, func(d Damage) bool { return d.Path == treeStatePath && d.Start == 0 && d.End == end }) {
			t.Errorf("without tiles nothing is said of the first %d entries: %v", end, found)
		}
	}
	must(t, os.Rename(w.path("tile/away"), w.path("tile/0")))
	// And where only the state of the tree is another one, signed or not, that is said of it.
	state := w.file(treeStatePath)
	other := tlog.RecordHash([]byte("another log"))
	w.write(treeStatePath, []byte(`{"size":3,"root":"`+other.String()+`"}`))
	must(t, os.WriteFile(path, (&trust.Checkpoint{Origin: testOrigin, Size: 3, Root: other}).Text(), 0o600))
	if found := w.fsck(); len(found) != 1 || !strings.HasPrefix(found[0].String(), treeStatePath+": entries 0 to 2: it says "+other.String()) {
		t.Errorf("another root: %v", found)
	}
	w.write(treeStatePath, state)
	must(t, os.WriteFile(path, signed, 0o600))
	if found := w.fsck(); len(found) != 0 {
		t.Errorf("whole again: %v", found)
	}
}

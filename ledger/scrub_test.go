package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// lines is a log that a test reads.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), words)
}

func scrubbed(every time.Duration, to *lines) func(*Config) {
	return func(c *Config) {
		c.Scrub = every
		c.Log = slog.New(slog.NewTextHandler(to, nil))
	}
}

// reasonsOf are the public sentences of why the log is not ready.
func (w *world) reasonsOf(about string) (public string) {
	w.t.Helper()
	var why *NotReady
	if errors.As(w.log.Health(context.Background()), &why) {
		for _, r := range why.Reasons {
			if r.About == about {
				public += r.Public
			}
		}
	}
	return public
}

// Nobody asks for the file; the scrub finds it within its period, tells it once, and notices
// when it is whole again.
// STO-31
func TestTheScrubFindsDamageBeforeAReaderDoes(t *testing.T) {
	log := &lines{}
	w := openThreeHundred(t, scrubbed(300*time.Millisecond, log))
	if p := w.log.ScrubPeriod(); p != 300*time.Millisecond {
		t.Errorf("it prints %v", p)
	}
	for _, path := range current {
		whole := w.file(path)
		w.flip(path, len(whole)/2)
		eventually(t, path+" is named", func() bool { return strings.Contains(w.reasonsOf("damage"), path) })
		for range 3 { // nor does a reader make a second line of it
			if data, err := w.log.Tile(t.Context(), path); err == nil {
				t.Errorf("%s is served: %d bytes", path, len(data))
			}
		}
		w.write(path, whole)
		eventually(t, path+" is mended", func() bool { return w.log.Health(t.Context()) == nil })
		if n := log.count("file=" + path + " start="); n != 1 {
			t.Errorf("%s was logged %d times", path, n)
		}
	}
}

// A byte flipped in any file of the index, stopped or running: no manifest is logged twice, and
// the index is whole again by itself.
func TestADamagedIndexIsDerivedAgainAndNothingIsLoggedTwice(t *testing.T) {
	log := &lines{}
	w := newWorld(t, 0, 0, scrubbed(300*time.Millisecond, log))
	w.open()
	w.addAll(0, 40)
	w.close() // which writes the index
	for round, running := range []bool{false, true, false, true} {
		if running {
			w.open()
		}
		files, err := filepath.Glob(filepath.Join(w.dir, "index", "run-*"))
		must(t, err)
		if len(files) == 0 {
			t.Fatal("the index has no file")
		}
		for i, f := range files {
			data, err := os.ReadFile(f)
			must(t, err)
			for at := 1024 + 100*round; at < len(data); at += 1024 { // one byte of every block but the header
				data[at] ^= 1
			}
			if i+round > 1 {
				data[40] ^= 1
			}
			// In place: the open log has the file, not its name.
			opened, err := os.OpenFile(f, os.O_WRONLY, 0)
			must(t, err)
			_, err = opened.WriteAt(data, 0)
			must(t, errors.Join(err, opened.Close()))
		}
		if !running {
			w.open()
		}
		for i := range 40 {
			var a *entry.Anchored
			eventually(t, "the answer", func() bool {
				a, err = w.log.Add(t.Context(), manifestOf(t, i), entry.Source{})
				if err != nil && !errors.Is(err, ErrIndexing) && !errors.Is(err, ErrBusy) {
					t.Fatal(err)
				}
				return err == nil
			})
			if a.New {
				t.Fatalf("round %d: manifest %d is logged twice", round, i)
			}
		}
		eventually(t, "the log is ready", func() bool { return w.log.Health(t.Context()) == nil })
		if log.count("a part of the index is lost") <= round {
			t.Errorf("round %d: nobody was told", round)
		}
		w.close()
	}
	w.open()
	for digest, at := range w.indexesOf() {
		if len(at) != 1 {
			t.Errorf("manifest %s is at %v", digest, at)
		}
	}
}

// Nobody looks into the damaged part of the index; the scrub does.
// STO-31
func TestTheScrubFindsDamageOfTheIndexBeforeALookupDoes(t *testing.T) {
	log := &lines{}
	w := newWorld(t, 0, 0, scrubbed(200*time.Millisecond, log))
	w.open()
	w.addAll(0, 10)
	w.close()
	w.open()
	files, err := filepath.Glob(filepath.Join(w.dir, "index", "run-*"))
	must(t, err)
	data, err := os.ReadFile(files[0])
	must(t, err)
	f, err := os.OpenFile(files[0], os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte{data[len(data)-100] ^ 1}, int64(len(data)-100)) // in the last column
	must(t, errors.Join(err, f.Close()))
	eventually(t, "the scrub has found it", func() bool { return log.count("a part of the index is lost") == 1 })
	eventually(t, "the index is whole again", func() bool { return w.cfg.Index.Complete() == nil && w.log.Health(t.Context()) == nil })
	if a := w.add(3); a.New {
		t.Error("manifest 3 is new")
	}
}

// An index that is whole and wrong: its last entry is that of the log, two before it are exchanged.
func TestAnIndexThatPointsAtAnotherEntryIsDerivedAgain(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	for i := range 5 {
		w.add(i)
	}
	w.close()
	must(t, os.RemoveAll(filepath.Join(w.dir, "index")))
	x, err := index.Open(filepath.Join(w.dir, "index"), testOrigin)
	must(t, err)
	var list []entry.Logged
	for i, manifest := range []int{1, 0, 2, 3, 4} {
		list = append(list, entry.Logged{Index: int64(i), Entry: entry.Entry{ManifestSHA256: digestOf(t, manifest), SubmittedAt: testTime}})
	}
	must(t, errors.Join(x.Append(t.Context(), 0, list), x.Close()))
	l := w.open()
	if a, err := l.Add(t.Context(), manifestOf(t, 0), entry.Source{}); !errors.Is(err, ErrIndexing) {
		t.Fatalf("%v, %v", a, err)
	}
	eventually(t, "the index is whole again", func() bool { return w.cfg.Index.Complete() == nil })
	for i := range 5 {
		if a := w.add(i); a.New || a.Entry.Index != int64(i) {
			t.Errorf("manifest %d: new %v at %d", i, a.New, a.Entry.Index)
		}
	}
}

func TestTheFirstDamagesAreNamedInTheirOrderAndTheOthersCounted(t *testing.T) {
	var none *damages
	if r := none.reason(); r != nil {
		t.Errorf("nobody looked: %v", r)
	}
	d := newDamages(slog.New(slog.DiscardHandler))
	if r := d.reason(); r != nil {
		t.Errorf("nothing found: %v", r)
	}
	for n := int64(6); n >= 0; n-- {
		d.list[tlog.Tile{H: 8, L: -1, N: n, W: 256}] = Damage{Path: fmt.Sprintf("f%d", n), Start: 256 * n, End: 256*n + 256, Err: errDamaged}
	}
	const head = "The log is damaged, and what is damaged is not served: entries 0 to 255 (f0); entries 256 to 511 (f1); " +
		"entries 512 to 767 (f2); entries 768 to 1023 (f3); entries 1024 to 1279 (f4)"
	for _, tail := range []string{" and 2 more.", " and 1 more.", "."} {
		r := d.reason()
		if r == nil || r.About != "damage" || r.Public != head+tail || !errors.Is(r.Err, ErrUnreadable) || !errors.Is(r.Err, errDamaged) {
			t.Errorf("%d damages: %+v", len(d.list), r)
		}
		delete(d.list, tlog.Tile{H: 8, L: -1, N: int64(len(d.list)) - 1, W: 256})
	}
}

// gatedIndex lets Append through only while its gate is open.
type gatedIndex struct {
	Index
	gate sync.RWMutex
}

func (g *gatedIndex) Append(ctx context.Context, start int64, entries []entry.Logged) error {
	g.gate.RLock()
	defer g.gate.RUnlock()
	return g.Index.Append(ctx, start, entries)
}

// gateIndex puts a closed gate before the index of an open log.
func (w *world) gateIndex() *gatedIndex {
	g := &gatedIndex{Index: w.cfg.Index}
	g.gate.Lock()
	w.log.follower.mu.Lock()
	defer w.log.follower.mu.Unlock()
	w.log.follower.index = g
	return g
}

// shrinkingIndex loses its last entries when told to.
type shrinkingIndex struct {
	Index
	lost int64
}

func (x *shrinkingIndex) Size(ctx context.Context) (int64, error) {
	size, err := x.Index.Size(ctx)
	return size - x.lost, err
}

// What the index lost is said with its numbers, also when it is lost as soon as it was written.
func TestAnIndexThatLosesWhatItJustTookIsNoticed(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	for i := range 3 {
		w.add(i)
	}
	x, err := index.Open(filepath.Join(t.TempDir(), "index"), testOrigin)
	must(t, err)
	defer x.Close()
	shrinking, said := &shrinkingIndex{Index: x}, &lines{}
	f, err := newFollower(t.Context(), l.store, shrinking, tree{Size: 3}, slog.New(slog.NewTextHandler(said, nil)))
	must(t, err)
	f.indexed = func([]entry.Logged) { shrinking.lost = 2 }
	if more, err := f.step(t.Context(), 3); err != nil || !more {
		t.Fatalf("a step: %t, %v", more, err)
	}
	if size, err := f.indexSize(t.Context()); size != 1 || err != nil || said.count("from=1 to=3") != 1 {
		t.Errorf("size %d, %v; said %s", size, err, said.text.String())
	}
}

// STO-30
func TestWhileTheIndexIsDerivedAgainReadersAreServedAndNothingIsLogged(t *testing.T) {
	w := openThreeHundred(t)
	g := w.gateIndex()
	w.cfg.Index.Reset(300, errors.New("a test"))
	for _, i := range []int{3, 300} {
		if a, err := w.log.Add(t.Context(), manifestOf(t, i), entry.Source{}); !errors.Is(err, ErrIndexing) {
			t.Errorf("manifest %d: %v, %v", i, a, err)
		}
	}
	if said := w.reasonsOf("index"); !strings.Contains(said, "derived from the log") {
		t.Errorf("readyz says %q", said)
	}
	if _, err := w.log.Prove(t.Context(), 17); err != nil {
		t.Error(err)
	}
	if _, err := w.log.Tile(t.Context(), "tile/0/000"); err != nil {
		t.Error(err)
	}
	g.gate.Unlock()
	eventually(t, "the log is ready", func() bool { return w.log.Health(t.Context()) == nil })
	if a := w.add(3); a.New {
		t.Error("manifest 3 is new")
	}
	if a := w.add(300); !a.New || a.Entry.Index != 300 {
		t.Errorf("manifest 300: new %v at %d", a.New, a.Entry.Index)
	}
}

// A start is as long as what is new: a log whose index is far behind is open at once.
func TestAnIndexThatIsFarBehindIsFilledAfterTheStart(t *testing.T) {
	w := openThreeHundred(t)
	x, err := index.Open(filepath.Join(t.TempDir(), "index"), testOrigin)
	must(t, err)
	defer x.Close()
	f, err := newFollower(t.Context(), w.log.store, x, tree{Size: 300}, w.cfg.Log)
	must(t, err)
	must(t, f.begin(t.Context(), startBatch+1))
	if size, err := x.Size(t.Context()); size != 0 || err != nil || len(f.grown) != 1 {
		t.Errorf("%d entries were indexed, %v", size, err)
	}
	if _, _, err := x.Find(t.Context(), digestOf(t, 7)); err == nil || x.Complete() == nil {
		t.Errorf("a miss before the index is filled: %v, complete: %v", err, x.Complete())
	}
	must(t, f.begin(t.Context(), startBatch))
	if size, err := x.Size(t.Context()); size != 300 || err != nil {
		t.Errorf("%d entries were indexed, %v", size, err)
	}
}

// Close leaves nothing to index, however slow the index is.
func TestAClosedLogLeavesItsIndexWhole(t *testing.T) {
	for range 5 {
		w := newWorld(t, 0, 0)
		w.open()
		g := w.gateIndex()
		w.addAll(0, 3)
		closed := make(chan error)
		l := w.log
		go func() { closed <- l.Close(context.Background()) }()
		<-l.publisher.done
		g.gate.Unlock()
		must(t, <-closed)
		if size, err := w.index.Size(t.Context()); size != 3 || err != nil {
			t.Errorf("%d entries are indexed, %v", size, err)
		}
		if found := func() []Damage { w.close(); return w.fsck() }(); len(found) != 0 {
			t.Error(found)
		}
	}
}

// STO-31
func TestAPassOfTheScrubReadsEveryTileOnce(t *testing.T) {
	for _, size := range []int64{1, 255, 256, 257, 512, 65535, 65536, 65537, 131072, 140000} {
		seen := map[tlog.Tile]int{}
		for n := int64(0); n*tiles.Width < size; n++ {
			for _, tile := range tilesEndingWith(n, size) {
				seen[tile]++
			}
		}
		want := 0
		for level := -1; tiles.Count(level, size) > 0; level++ {
			hashes := tiles.Count(level, size)
			for n := int64(0); n*tiles.Width < hashes; n++ {
				want++
				if tile := tiles.Widest(level, n, size); seen[tile] != 1 {
					t.Errorf("size %d: %s was read %d times", size, tiles.Path(tile), seen[tile])
				}
			}
		}
		if len(seen) != want {
			t.Errorf("size %d: %d files were read, there are %d", size, len(seen), want)
		}
	}
}

// STO-31
func TestALargeLogIsScrubbedAtABoundedRate(t *testing.T) {
	s := &scrubber{every: 10 * time.Minute}
	if got := s.planned(100); got != 10*time.Minute {
		t.Errorf("a small log: %v", got)
	}
	if got := s.planned(64 * 7200); got != 2*time.Hour {
		t.Errorf("a large log: %v", got)
	}
}

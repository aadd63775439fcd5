package ledger

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// openThreeHundred is an open log of 300 published entries that nobody scrubs.
func openThreeHundred(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := newWorld(t, 0, 0, change...)
	w.open()
	w.addAll(0, 300)
	return w
}

// current is the path of every file that makes up a tree of 300.
var current = []string{"tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"}

// harms is what can happen to a file.
var harms = map[string]func(w *world, path string, whole []byte){
	"its first bit flipped": func(w *world, path string, whole []byte) { w.flip(path, 0) },
	"a bit flipped":         func(w *world, path string, whole []byte) { w.flip(path, len(whole)/2) },
	"its last bit flipped":  func(w *world, path string, whole []byte) { w.flip(path, len(whole)-1) },
	"cut short":             func(w *world, path string, whole []byte) { w.write(path, whole[:len(whole)-1]) },
	"one byte longer":       func(w *world, path string, whole []byte) { w.write(path, append(whole[:len(whole):len(whole)], 0)) },
	"emptied":               func(w *world, path string, whole []byte) { w.write(path, nil) },
	"gone":                  func(w *world, path string, whole []byte) { w.remove(path) },
	"another file": func(w *world, path string, whole []byte) {
		w.write(path, bytes.Repeat([]byte{0, 30, 2}, len(whole)/3+1)[:len(whole)])
	},
	"a directory": func(w *world, path string, whole []byte) { w.remove(path); must(w.t, os.Mkdir(w.path(path), 0o755)) },
}

// API-24
func TestWhatIsDamagedIsNotServedAndEverythingElseIs(t *testing.T) {
	racetest.OneGoroutine(t)
	w := openThreeHundred(t)
	must(t, os.RemoveAll(w.path("tile/0/000.p"))) // as Tessera collects them
	must(t, os.RemoveAll(w.path("tile/entries/000.p")))
	whole := map[string][]byte{}
	for _, path := range current {
		whole[path] = w.file(path)
	}
	expectWhole := func(path string) {
		t.Helper()
		if data, err := w.log.Tile(t.Context(), path); err != nil || !bytes.Equal(data, whole[path]) {
			t.Errorf("%s: %d bytes, %v", path, len(data), err)
		}
	}
	for _, path := range current {
		for name, harm := range harms {
			harm(w, path, whole[path])
			data, err := w.log.Tile(t.Context(), path)
			var d Damage
			if data != nil || !errors.Is(err, ErrUnreadable) || !errors.As(err, &d) || d.Path != path || d.Start >= d.End {
				t.Errorf("%s, %s: %d bytes, %v", path, name, len(data), err)
			}
			for _, other := range current {
				if other != path {
					expectWhole(other) // what the damaged one vouches for is verified already
				}
			}
			var why *NotReady
			if err := w.log.Health(t.Context()); !errors.As(err, &why) || why.Reasons[0].About != "damage" || !strings.Contains(why.Reasons[0].Public, path) {
				t.Errorf("%s, %s: %v", path, name, err)
			}
			must(t, os.RemoveAll(w.path(path)))
			w.write(path, whole[path])
			expectWhole(path)
			w.log.store.damages.recheck(newReader(w.log.store, w.log.publisher.current.Load()))
			must(t, w.log.Health(t.Context()))
		}
	}
}

// Files that agree with each other, all the way up, and are not the log: nothing of them is served.
// API-24
func TestAForgedSubtreeIsNotServed(t *testing.T) {
	racetest.OneGoroutine(t)
	w := openThreeHundred(t)
	cp, err := w.log.Checkpoint(t.Context())
	must(t, err)
	bundle := w.file("tile/entries/000")
	entries, err := tiles.ParseBundle(bundle, tiles.Width)
	must(t, err)
	entries[7] = append([]byte(nil), entries[8]...)
	tile := newHashTile(w.file("tile/0/000"))
	tile[0][7] = tlog.RecordHash(entries[7])
	forged := newHashTile(tile.data())
	w.write("tile/entries/000", marshalBundle(entries))
	w.write("tile/0/000", forged.data())
	top := forged.top()
	w.write("tile/1/000.p/1", top[:])
	// As a process that starts now would read it.
	r := &reader{store: &store{root: w.log.store.root}, tree: tree{cp.Size, cp.Root}, edge: &tileCache{}}
	for _, path := range append(current, "tile/0/001.p/3", "tile/entries/001.p/3") {
		var d Damage
		if data, err := r.serve(path); data != nil || !errors.As(err, &d) {
			t.Errorf("%s: %d bytes, %v", path, len(data), err)
		}
	}
	if got, err := r.entries(7, 8); err == nil {
		t.Errorf("entry 7: %v", got)
	}
	// As this one does, which knows the edge.
	for _, path := range []string{"tile/0/000", "tile/entries/000", "tile/1/000.p/1"} {
		if data, err := w.log.Tile(t.Context(), path); err == nil && path != "tile/entries/000" || data != nil && bytes.Equal(data, w.file(path)) {
			t.Errorf("%s: %d bytes, %v", path, len(data), err)
		}
	}
}

// What is in memory is held to the tree like what is on disk.
func TestATileInMemoryThatIsNotOfThisTreeIsNotUsed(t *testing.T) {
	racetest.OneGoroutine(t)
	w := openThreeHundred(t)
	full := tlog.Tile{H: 8, L: 0, N: 0, W: 256}
	other := newHashTile(bytes.Repeat([]byte{7}, 256*32))
	w.log.store.tiles.put(full, other)
	r := newReader(w.log.store, w.log.publisher.current.Load())
	got, err := r.tile(full)
	must(t, err)
	if !bytes.Equal(got.data(), w.file("tile/0/000")) {
		t.Error("another tile was taken for this one")
	}
	for n := range int64(2 * maxCachedTiles) {
		w.log.store.tiles.put(tlog.Tile{H: 8, L: 0, N: n, W: 256}, other)
	}
	if n := len(w.log.store.tiles.tiles); n > maxCachedTiles {
		t.Errorf("%d tiles are kept", n)
	}
}

// A partial tile of an earlier size is served as long as it lies there, from the one that is whole.
// API-23
func TestPartialTilesOfEarlierSizesAreServedWhole(t *testing.T) {
	racetest.OneGoroutine(t)
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 20)
	first := map[string][]byte{}
	for _, path := range []string{"tile/0/000.p/20", "tile/entries/000.p/20"} {
		data, err := w.log.Tile(t.Context(), path)
		must(t, err)
		first[path] = data
	}
	w.addAll(20, 300)
	for path, want := range first {
		w.write(path, []byte("damaged"))
		if data, err := w.log.Tile(t.Context(), path); err != nil || !bytes.Equal(data, want) {
			t.Errorf("%s: %d bytes, %v", path, len(data), err)
		}
		w.remove(path)
		if data, err := w.log.Tile(t.Context(), path); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s, collected: %d bytes, %v", path, len(data), err)
		}
	}
	for _, path := range []string{"tile/0/001.p/43", "tile/entries/001.p/1"} { // never written
		if data, err := w.log.Tile(t.Context(), path); err != nil || len(data) == 0 {
			t.Errorf("%s: %d bytes, %v", path, len(data), err)
		}
	}
}

// Every size from 1 to 512: every tile and bundle that the tree has belongs to it, and with any
// one hash of the tree changed no tile on its way to the root does.
// API-24
func TestEveryTileOfSmallTreesIsVerified(t *testing.T) {
	racetest.OneGoroutine(t)
	w := openThreeHundred(t)
	w.addAll(300, 512)
	at := func(size int64) *reader {
		root, err := w.log.store.rootOf(size, 512)
		must(t, err)
		return &reader{store: w.log.store, tree: tree{size, root}, edge: &tileCache{}, quiet: true}
	}
	for size := int64(1); size <= 512; size++ {
		if testing.Short() && size%17 > 2 {
			continue
		}
		good, bad := at(size), at(size)
		bad.tree.Root[size%32] ^= 1
		for n := int64(0); n*tiles.Width < size; n++ {
			for _, tile := range tilesEndingWith(n, size) {
				path := tiles.Path(tile)
				data, err := good.serve(path)
				if errors.Is(err, ErrNotFound) && tile.W < tiles.Width {
					continue // collected
				}
				if err != nil || len(data) == 0 {
					t.Fatalf("size %d: %s: %v", size, path, err)
				}
				if data, err := bad.serve(path); err == nil {
					t.Fatalf("size %d, another root: %s: %d bytes", size, path, len(data))
				}
			}
		}
		if _, err := good.entries(size-1, size); err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
	}
}

func TestATileThatStorageCannotReadIsNoDamage(t *testing.T) {
	racetest.OneGoroutine(t)
	w := openThreeHundred(t)
	must(t, os.Remove(w.path("tile/0/000")))
	must(t, os.Symlink("/dev/null", w.path("tile/0/000")))
	var d Damage
	if _, err := w.log.Tile(t.Context(), "tile/0/000"); !errors.As(err, &d) {
		t.Errorf("a link in place of a tile: %v", err)
	}
	r := newReader(w.log.store, w.log.publisher.current.Load())
	if err := r.damaged(tlog.Tile{H: 8, L: 0, N: 0, W: 256}, os.ErrPermission); errors.As(err, &d) || !errors.Is(err, os.ErrPermission) {
		t.Errorf("a file that may not be read: %v", err)
	}
}

// STO-24
func TestAddNeverAnswersWithoutAProof(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 10) // so that manifest 3 is in the first tile
	w.addAll(10, 300)
	for _, path := range []string{"tile/0/000", "tile/entries/000"} {
		whole := w.file(path)
		w.write(path, whole[:len(whole)-1])
		w.log.store.tiles.tiles = nil // it may have been read already
		a, err := w.log.Add(t.Context(), manifestOf(t, 3), entry.Source{})
		if a != nil || !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s cut short: %v, %v", path, a, err)
		}
		w.write(path, whole)
		if a := w.add(3); a.New {
			t.Errorf("%s mended: manifest 3 is new", path)
		}
	}
}

// Entries of any checkpoint of this log are proved in it, and those of another log's are not given out.
func TestEntriesOfACheckpointThatIsNotOursAreNotGivenOut(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 270)
	earlier, err := w.log.Checkpoint(t.Context())
	must(t, err)
	w.addAll(270, 300)
	cp, err := w.log.Checkpoint(t.Context())
	must(t, err)
	other := *cp
	other.Root[0] ^= 1
	for e, err := range w.log.Entries(t.Context(), &other, 0) {
		if err == nil {
			t.Fatalf("entry %d of another log", e.Index)
		}
	}
	must(t, w.log.Health(t.Context())) // the log itself is whole
	n := int64(0)
	for e, err := range w.log.Entries(t.Context(), earlier, 0) {
		must(t, err)
		if e.Index != n {
			t.Fatal(e.Index)
		}
		n++
	}
	if n != 270 {
		t.Errorf("%d entries of 270", n)
	}
}

func marshalBundle(entries [][]byte) (data []byte) {
	for _, e := range entries {
		data = append(append(data, byte(len(e)>>8), byte(len(e))), e...)
	}
	return data
}

package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func TestTilePathsRoundTripAndNothingElseParses(t *testing.T) {
	for _, level := range []int{-1, 0, 1, 7, 8, 63} {
		for _, n := range []int64{0, 1, 255, 999, 1000, 999999, 1000000, 1234067, 1 << 40} {
			for _, width := range []int{1, 2, 44, 255, 256} {
				want := tlog.Tile{H: 8, L: level, N: n, W: width}
				if got, ok := parseTilePath(tilePath(want)); !ok || got != want {
					t.Errorf("%s: %v, %v", tilePath(want), got, ok)
				}
			}
		}
	}
	for path, want := range map[string]string{
		"tile/0/x001/x234/067":      "{8 0 1234067 256}",
		"tile/0/x001/x234/067.p/8":  "{8 0 1234067 8}",
		"tile/entries/x001/234.p/3": "{8 -1 1234 3}",
	} {
		if got, ok := parseTilePath(path); !ok || fmt.Sprint(struct {
			H, L int
			N    int64
			W    int
		}(got)) != want {
			t.Errorf("%s: %v, %v", path, got, ok)
		}
	}
	for _, path := range badTilePaths {
		if got, ok := parseTilePath(path); ok {
			t.Errorf("%q parses as %v", path, got)
		}
	}
}

var badTilePaths = []string{
	"", "tile", "tile/", "tile/0", "tile/0/", "tile//000", "/tile/0/000", "tile/0/000/", "tile/0//000", "tile/0/000.p", "tile/0/000.p/",
	"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/257", "tile/0/000.p/01", "tile/0/000.p/+1", "tile/0/000.p/-1", "tile/0/000.p/1 ",
	"tile/0/000.p/1/", "tile/0/000.p/99999999999999999999", "tile/00/000", "tile/+0/000", "tile/-1/000", "tile/64/000", "tile/256/000",
	"tile/x/000", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/1000", "tile/0/x000/000", "tile/0/001/000", "tile/0/x001", "tile/0/x1/000",
	"tile/0/x001/x000", "tile/0/X001/000", "tile/0/-01", "tile/0/+01", "tile/0/٠٠٠", "tile/0/000\x00", "tile/0/000\n", "tile/0/000.P/1",
	"tile/data/000", "tile/8/data/000", "tile/entries", "tile/entries/", "tile/entries/entries/000", "tile/entries/0/000", "tile/0/entries/000",
	"tile/0/../0/000", "tile/../.state/treeState", "tile/0/./000", "../tile/0/000", "tile/0/000/..", `tile\0\000`, "tile/0/%30%30%30",
	".state/treeState", ".state", "checkpoint", "checkpoint123456789", ".probe", "tile/0/0001234567", "tile/0/000.p/512345", "identity", "C:tile/0/000",
	"tile/0/x001/x002/x003/x004/x005/x006/x007/x008/x009/x010/x011/x012/x013/014",
	"tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/" + strings.Repeat("x999/", 1000) + "999",
}

func TestTileServesPublishedTilesAndNothingElseInTheDirectory(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.addAll(0, 3)
	w.add(3)
	tile, err := l.Tile(t.Context(), "tile/0/000.p/4")
	must(t, err)
	bundle, err := l.Tile(t.Context(), "tile/entries/000.p/4")
	must(t, err)
	entries, err := parseBundle(bundle, 4)
	must(t, err)
	for i, e := range entries {
		if tlog.RecordHash(e) != tlog.Hash(tile[i*32:][:32]) {
			t.Errorf("entry %d does not hash to its leaf", i)
		}
	}
	must(t, os.Symlink("../../.state/treeState", w.path("tile/0/001")))
	must(t, os.Symlink("/etc/hostname", w.path("tile/0/002")))
	must(t, os.WriteFile(w.path("tile/0/000.p/3"), []byte("half a temporary file"), 0o600))
	for _, path := range append(badTilePaths, "tile/0/001", "tile/0/002", "tile/0/000", "tile/entries/000", "tile/1/000.p/1", "tile/63/000") {
		if data, err := l.Tile(t.Context(), path); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %d bytes, %v", path, len(data), err)
		}
	}
	if data, err := l.Tile(t.Context(), "tile/0/000.p/3"); err != nil || !bytes.Equal(data, tile[:3*32]) {
		t.Errorf("a damaged partial tile, of which a wider one is whole: %q, %v", data, err)
	}
}

// within is compared with its definition on small trees, and must not overflow on large ones.
func TestATileIsPublicWhenAllItsEntriesAre(t *testing.T) {
	for _, size := range []int64{0, 1, 255, 256, 257, 511, 512, 65535, 65536, 65537, 1 << 17} {
		for level := -1; level <= 3; level++ {
			span := int64(1)
			for range max(level, 0) {
				span *= 256
			}
			for n := range int64(5) {
				for width := 1; width <= 256; width++ {
					want := (n*256+int64(width))*span <= size
					if got := within(tlog.Tile{H: 8, L: level, N: n, W: width}, size); got != want {
						t.Fatalf("level %d, tile %d, width %d of size %d: %v", level, n, width, size, got)
					}
				}
			}
		}
	}
	for _, n := range []int64{1 << 47, 1 << 55, 1<<63 - 1} {
		for _, level := range []int{-1, 0, 1, 8, 63} {
			if within(tlog.Tile{H: 8, L: level, N: n, W: 256}, 1<<50) {
				t.Errorf("tile %d of level %d is in a tree of 2^50", n, level)
			}
		}
	}
}

func marshalBundle(entries [][]byte) (data []byte) {
	for _, e := range entries {
		data = append(append(data, byte(len(e)>>8), byte(len(e))), e...)
	}
	return data
}

func FuzzBundle(f *testing.F) {
	f.Add(marshalBundle([][]byte{[]byte("a"), nil, bytes.Repeat([]byte("b"), 300)}), 3)
	f.Add([]byte{0, 1}, 1)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, data []byte, count int) {
		if count < 0 || count > tileWidth {
			return
		}
		entries, err := parseBundle(data, count)
		if err == nil && (len(entries) != count || !bytes.Equal(marshalBundle(entries), data)) {
			t.Errorf("%d entries of %d, %x", len(entries), count, data)
		}
	})
}

func FuzzTilePath(f *testing.F) {
	for _, path := range badTilePaths {
		f.Add(path)
	}
	f.Add("tile/0/x001/x234/067.p/8")
	f.Add("tile/entries/000")
	f.Fuzz(func(t *testing.T, path string) {
		tile, ok := parseTilePath(path)
		if !ok {
			return
		}
		if tilePath(tile) != path || tile.W < 1 || tile.W > 256 || tile.L < -1 || tile.L > 63 || tile.N < 0 || strings.Contains(path, "..") {
			t.Errorf("%q parses as %v", path, tile)
		}
	})
}

func FuzzConflict(f *testing.F) {
	f.Add("text/x.tlog.size", []byte("12\n"))
	f.Add("text/x.tlog.size", []byte("012\n"))
	f.Fuzz(func(t *testing.T, contentType string, text []byte) {
		if size, err := parseConflict(contentType, text); err == nil && (contentType != "text/x.tlog.size" || string(text) != fmt.Sprintf("%d\n", size)) {
			t.Errorf("%q %q is %d", contentType, text, size)
		}
	})
}

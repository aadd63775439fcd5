package tiles

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

func TestTilePathsRoundTripAndNothingElseParses(t *testing.T) {
	for _, level := range []int{-1, 0, 1, 7, 8, 63} {
		for _, n := range []int64{0, 1, 255, 999, 1000, 999999, 1000000, 1234067, 1 << 40} {
			for _, width := range []int{1, 2, 44, 255, 256} {
				want := tlog.Tile{H: 8, L: level, N: n, W: width}
				if got, ok := ParsePath(Path(want)); !ok || got != want {
					t.Errorf("%s: %v, %v", Path(want), got, ok)
				}
			}
		}
	}
	for path, want := range map[string]string{
		"tile/0/x001/x234/067":      "{8 0 1234067 256}",
		"tile/0/x001/x234/067.p/8":  "{8 0 1234067 8}",
		"tile/entries/x001/234.p/3": "{8 -1 1234 3}",
	} {
		if got, ok := ParsePath(path); !ok || fmt.Sprint(struct {
			H, L int
			N    int64
			W    int
		}(got)) != want {
			t.Errorf("%s: %v, %v", path, got, ok)
		}
	}
	for _, path := range trusttest.BadTilePaths {
		if got, ok := ParsePath(path); ok {
			t.Errorf("%q parses as %v", path, got)
		}
	}
}

func TestTileNumbersRoundTrip(t *testing.T) {
	for _, n := range []int64{0, 1, 999, 1000, 1234067, 999999, 1000000, 1<<63 - 1} {
		for _, level := range []int{-1, 0, 63} {
			path := Path(tlog.Tile{H: Height, L: level, N: n, W: 255})
			if got, ok := ParsePath(path); !ok || got.N != n || got.L != level {
				t.Errorf("%d: %s is %v, %v", n, path, got, ok)
			}
		}
	}
	if got := Path(Widest(-1, 1234067, 1<<60)); got != "tile/entries/x001/x234/067" {
		t.Errorf("bundle 1234067 is %s", got)
	}
}

// Within is compared with its definition on small trees, and must not overflow on large ones.
// API-23
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
					if got := Within(tlog.Tile{H: 8, L: level, N: n, W: width}, size); got != want {
						t.Fatalf("level %d, tile %d, width %d of size %d: %v", level, n, width, size, got)
					}
				}
			}
		}
	}
	for _, n := range []int64{1 << 47, 1 << 55, 1<<63 - 1} {
		for _, level := range []int{-1, 0, 1, 8, 63} {
			if Within(tlog.Tile{H: 8, L: level, N: n, W: 256}, 1<<50) {
				t.Errorf("tile %d of level %d is in a tree of 2^50", n, level)
			}
		}
	}
}

func marshalBundle(entries [][]byte) (data []byte) {
	for _, e := range entries {
		data = AppendEntry(data, e)
	}
	return data
}

func TestPathsOfCheckpointsRoundTripAndNothingElseParses(t *testing.T) {
	for path, want := range map[string][2]int64{
		"checkpoints/000":               {0, 256},
		"checkpoints/000.p/1":           {0, 1},
		"checkpoints/x001/234.p/8":      {1234, 8},
		"checkpoints/x001/x234/067":     {1234067, 256},
		"checkpoints/x001/000.p/255":    {1000, 255},
		"checkpoints/x999/x999/999":     {999999999, 256},
		"checkpoints/x001/x000/000":     {1000000, 256},
		"checkpoints/x001/x000/999.p/2": {1000999, 2},
	} {
		n, width, ok := ParseCheckpointPath(path)
		if !ok || n != want[0] || int64(width) != want[1] || CheckpointPath(n, width) != path {
			t.Errorf("%s: %d, %d, %v; written again %s", path, n, width, ok, CheckpointPath(n, width))
		}
	}
	for _, bad := range trusttest.BadTilePaths {
		if rest, ok := strings.CutPrefix(bad, "tile/0/"); ok {
			if n, width, ok := ParseCheckpointPath("checkpoints/" + rest); ok {
				t.Errorf("checkpoints/%s parses as %d, %d", rest, n, width)
			}
		}
	}
	for _, bad := range []string{"", "checkpoints", "checkpoints/", "checkpoints/0", "checkpoints/000.p/0", "checkpoints/000.p/256", "checkpoints/000/",
		"checkpoints/../000", "checkpoints/size", "tile/entries/000", "/checkpoints/000", "checkpoints/x000/001", "checkpoints/entries/000"} {
		if n, width, ok := ParseCheckpointPath(bad); ok {
			t.Errorf("%q parses as %d, %d", bad, n, width)
		}
	}
}

func FuzzBundle(f *testing.F) {
	f.Add(marshalBundle([][]byte{[]byte("a"), nil, bytes.Repeat([]byte("b"), 300)}), 3)
	f.Add([]byte{0, 1}, 1)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, data []byte, count int) {
		if count < 0 || count > Width {
			return
		}
		entries, err := ParseBundle(data, count)
		if err == nil && (len(entries) != count || !bytes.Equal(marshalBundle(entries), data)) {
			t.Errorf("%d entries of %d, %x", len(entries), count, data)
		}
	})
}

func FuzzTilePath(f *testing.F) {
	for _, path := range trusttest.BadTilePaths {
		f.Add(path)
	}
	f.Add("tile/0/x001/x234/067.p/8")
	f.Add("tile/entries/000")
	f.Add("tile/63/x009/x223/x372/x036/x854/x775/807.p/255")
	f.Fuzz(func(t *testing.T, path string) {
		tile, ok := ParsePath(path)
		if !ok {
			return
		}
		if odd := strings.Trim(path, "tileenrspx./0123456789"); odd != "" || strings.Contains(path, "//") || strings.Contains(path, "/.") || strings.HasSuffix(path, "/") {
			t.Errorf("%q is accepted", path)
		}
		if Path(tile) != path || tile.W < 1 || tile.W > 256 || tile.L < -1 || tile.L > 63 || tile.N < 0 || strings.Contains(path, "..") {
			t.Errorf("%q parses as %v", path, tile)
		}
	})
}

func TestABundleThatEndsInsideALengthOrAnEntryIsNone(t *testing.T) {
	for _, data := range [][]byte{{0}, {0, 1, 7}, {0, 1, 7, 0, 2}, {0, 2, 1}, {0, 1, 7, 0}, {0, 1, 7, 0, 0}, {0, 0, 0}} {
		for count := range 3 {
			entries, err := ParseBundle(data, count)
			if whole := bytes.Equal(marshalBundle(entries), data) && len(entries) == count; err == nil && !whole || err != nil && entries != nil {
				t.Errorf("%x as %d entries: %v, %v", data, count, entries, err)
			}
		}
	}
	for _, data := range [][]byte{{0}, {0, 1, 7}, {0, 1, 7, 0, 2}} {
		count := len(data) / 2 // 0, 1, 2
		if len(data) == 3 {
			count = 2
		}
		if entries, err := ParseBundle(data, count); err == nil {
			t.Errorf("%x as %d entries: %v", data, count, entries)
		}
	}
}

func FuzzSplitBundle(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0}, 2)
	f.Add([]byte{0xff, 0xff}, 1)
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		if width < 0 || width > Width {
			return
		}
		entries, rest, err := SplitBundle(data, width)
		if err == nil && (len(entries) != width || !bytes.Equal(append(marshalBundle(entries), rest...), data)) {
			t.Errorf("%d entries of %d and %d bytes from %x", len(entries), width, len(rest), data)
		}
	})
}

func TestAPrefixIsOfTheWholeTileOnly(t *testing.T) {
	hashes := bytes.Repeat([]byte{7}, 3*tlog.HashSize)
	bundle := marshalBundle([][]byte{[]byte("a"), nil, []byte("bc")})
	for _, c := range []struct {
		t     tlog.Tile
		data  []byte
		width int
		want  int // bytes; -1: refused
	}{
		{tlog.Tile{H: 8, W: 3}, hashes, 2, 64}, {tlog.Tile{H: 8, W: 3}, hashes, 3, 96}, {tlog.Tile{H: 8, W: 2}, hashes, 2, -1},
		{tlog.Tile{H: 8, W: 4}, hashes, 2, -1}, {tlog.Tile{H: 8, W: 3}, hashes[:95], 1, -1},
		{tlog.Tile{H: 8, L: -1, W: 3}, bundle, 1, 3}, {tlog.Tile{H: 8, L: -1, W: 3}, bundle, 2, 5}, {tlog.Tile{H: 8, L: -1, W: 3}, bundle, 3, 9},
		{tlog.Tile{H: 8, L: -1, W: 2}, bundle, 1, -1}, {tlog.Tile{H: 8, L: -1, W: 4}, bundle, 1, -1}, {tlog.Tile{H: 8, L: -1, W: 3}, bundle[:8], 1, -1},
	} {
		got, err := Prefix(c.data, c.t, c.width)
		if ok := c.want >= 0; ok != (err == nil) || ok && !bytes.Equal(got, c.data[:c.want]) {
			t.Errorf("%d of %v: %d bytes, %v", c.width, c.t, len(got), err)
		}
	}
}

func TestAHistoryIsReadFromAnyNumberOn(t *testing.T) {
	failed := errors.New("no bundle")
	for _, count := range []int64{0, 1, 255, 256, 257, 2*Width + 5} {
		bundle := func(n int64, width int) (notes [][]byte, err error) {
			if want := min(count-n*Width, Width); int64(width) != want {
				t.Fatalf("of %d: bundle %d is asked for as wide as %d, want %d", count, n, width, want)
			}
			for i := range width {
				notes = append(notes, fmt.Append(nil, n*Width+int64(i)))
			}
			return notes, nil
		}
		for start := int64(-1); start <= count+1; start++ {
			next := max(start, 0)
			for note, err := range Checkpoints(start, count, bundle) {
				if start > count {
					if !errors.Is(err, fs.ErrNotExist) || note != nil {
						t.Fatalf("%d of %d: %q, %v", start, count, note, err)
					}
					continue
				}
				if err != nil || string(note) != fmt.Sprint(next) {
					t.Fatalf("from %d of %d on: %q, %v, want %d", start, count, note, err, next)
				}
				next++
			}
			if start <= count && next != count {
				t.Errorf("from %d of %d on: ended before %d", start, count, next)
			}
		}
	}
	got := 0
	for note, err := range Checkpoints(0, Width+1, func(n int64, width int) ([][]byte, error) {
		if n == 0 {
			return make([][]byte, width), nil
		}
		return nil, failed
	}) {
		if got++; (got > Width) != errors.Is(err, failed) || err != nil && note != nil {
			t.Fatalf("note %d: %q, %v", got, note, err)
		}
	}
	if got != Width+1 {
		t.Errorf("%d notes, the failure included", got)
	}
	for range Checkpoints(0, 2, func(int64, int) ([][]byte, error) { return make([][]byte, 2), nil }) {
		break // and nothing is given after that
	}
}

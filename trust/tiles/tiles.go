// Package tiles is the grammar of C2SP tlog-tiles: paths of tiles and entry bundles, what is in a
// bundle, and which of them a tree of a given size has. Whoever writes a log, serves it or reads it
// finds it here once.
//
//	tile/<L>/<N>[.p/<W>]        256 hashes of level L, or the first W of them
//	tile/entries/<N>[.p/<W>]    256 entries, or the first W of them
//	checkpoints/<N>[.p/<W>]     256 published checkpoints, or the first W of them; ours, after the pattern of the others
//	checkpoints/count           how many there are
//
// A tlog.Tile has H 8 here, and L -1 for an entry bundle. Nothing is authenticated here: that is
// for whoever knows a root.
package tiles

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	Height = 8
	Width  = 1 << Height // hashes in a full tile, entries in a full bundle

	MaxHashes = Width * tlog.HashSize // bytes of a tile
	MaxEntry  = 1<<16 - 1             // bytes of an entry: a bundle gives their number in 16 bits
	MaxBundle = Width * (2 + MaxEntry)
)

// Limit is the most bytes that t may have.
func Limit(t tlog.Tile) int64 {
	if t.L < 0 {
		return MaxBundle
	}
	return MaxHashes
}

// Path is the path of a tile or bundle, without a slash before it: "tile/0/x001/x234/067.p/8".
func Path(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), "tile/8/")
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// ParsePath accepts exactly what Path writes.
//
// SPEC tlog-tiles: "/tile/<L>/<N>[.p/<W>]": L from 0 to 63, W from 1 to 255, no
// leading zeros, N in groups of three digits, all but the last prefixed with x.
func ParsePath(path string) (tlog.Tile, bool) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > 64 || strings.HasPrefix(rest, "data/") {
		return tlog.Tile{}, false
	}
	if n, ok := strings.CutPrefix(rest, "entries/"); ok {
		rest = "data/" + n
	}
	t, err := tlog.ParseTilePath("tile/8/" + rest)
	if err != nil || t.L > 63 || Path(t) != path {
		return tlog.Tile{}, false
	}
	return t, true
}

const (
	bundlePrefix     = "tile/entries/"
	checkpointPrefix = "checkpoints/"

	// CheckpointCount is the path of a text that says how many published checkpoints there are, in decimal, and a newline.
	// A tree has its size in its checkpoint; of the checkpoints nobody else says it.
	CheckpointCount = "checkpoints/count"
)

// CheckpointPath is the path of a bundle of a log's published checkpoints, in the order of their publication, each a
// signed note: "checkpoints/x001/234.p/8" are those of number 1234*256 to 1234*256+7. Such a bundle is encoded as one of
// entries, and ParseBundle reads it.
func CheckpointPath(n int64, width int) string {
	return checkpointPrefix + strings.TrimPrefix(Path(tlog.Tile{H: Height, L: -1, N: n, W: width}), bundlePrefix)
}

// ParseCheckpointPath accepts exactly what CheckpointPath writes.
func ParseCheckpointPath(path string) (n int64, width int, ok bool) {
	rest, ok := strings.CutPrefix(path, checkpointPrefix)
	if !ok {
		return 0, 0, false
	}
	t, ok := ParsePath(bundlePrefix + rest)
	return t.N, t.W, ok
}

// Checkpoints yields the published checkpoints of a history of count, from number start on; bundle gives the first width
// of bundle n. After an error it ends; a history that has no number start, and is not just as long, is an fs.ErrNotExist.
func Checkpoints(start, count int64, bundle func(n int64, width int) ([][]byte, error)) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		start := max(start, 0)
		if start > count {
			yield(nil, fmt.Errorf("the history has %d checkpoints, and those from %d on are wanted: %w", count, start, fs.ErrNotExist))
			return
		}
		for n := start / Width; n*Width < count; n++ {
			notes, err := bundle(n, int(min(count-n*Width, Width)))
			if err != nil {
				yield(nil, err)
				return
			}
			for _, note := range notes[max(start-n*Width, 0):] {
				if !yield(note, nil) {
					return
				}
			}
		}
	}
}

// Count is how many whole hashes of a level the tree of the size has, and for level -1 how many
// entries. A hash of level L stands for 256^L entries.
func Count(level int, size int64) int64 {
	return size >> (Height * uint(max(level, 0))) // a shift by 64 or more gives 0
}

// Within tells whether every hash or entry of t belongs to the tree of the size.
func Within(t tlog.Tile, size int64) bool {
	count := Count(t.L, size)
	// The division keeps t.N*256 from overflowing.
	return t.N <= count/Width && t.N*Width+int64(t.W) <= count
}

// Widest is tile n of a level, or bundle n for level -1, as wide as it is in the tree of the size; W is
// 0 or less if there is none.
func Widest(level int, n, size int64) tlog.Tile {
	return tlog.Tile{H: Height, L: level, N: n, W: int(min(Count(level, size)-n*Width, Width))}
}

// Span is the range of entries that t stands for.
func Span(t tlog.Tile) (start, end int64) {
	under := int64(1) << (Height * uint(max(t.L, 0))) // entries under one hash
	start = t.N * Width * under
	return start, start + int64(t.W)*under
}

// AppendEntry appends an entry, of at most 65,535 bytes, to a bundle.
func AppendEntry(bundle, entry []byte) []byte {
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(entry))), entry...)
}

// ParseBundle splits a bundle that holds exactly count entries, which are parts of data.
func ParseBundle(data []byte, count int) ([][]byte, error) {
	entries, rest, err := SplitBundle(data, count)
	if err == nil && len(rest) > 0 {
		return nil, fmt.Errorf("has %d bytes after its %d entries", len(rest), count)
	}
	return entries, err
}

// SplitBundle splits the first count entries from a bundle that may hold more.
//
// SPEC tlog-tiles: "a sequence of big-endian uint16 length-prefixed log entries".
func SplitBundle(data []byte, count int) (entries [][]byte, rest []byte, err error) {
	entries = make([][]byte, 0, count)
	for len(entries) < count {
		if len(data) < 2 {
			return nil, nil, fmt.Errorf("has %d of %d entries", len(entries), count)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		if len(data) < end {
			return nil, nil, fmt.Errorf("is cut short in its entry %d", len(entries))
		}
		entries, data = append(entries, data[2:end:end]), data[end:]
	}
	return entries, data, nil
}

// Prefix checks that data is the whole of t and returns the bytes of its first width hashes or entries.
func Prefix(data []byte, t tlog.Tile, width int) ([]byte, error) {
	if t.L >= 0 {
		if len(data) != t.W*tlog.HashSize {
			return nil, fmt.Errorf("has %d bytes, not %d hashes", len(data), t.W)
		}
		return data[:width*tlog.HashSize], nil
	}
	if _, err := ParseBundle(data, t.W); err != nil {
		return nil, err
	}
	return FirstEntries(data, width)
}

// FirstEntries returns the bytes of the first width entries of a bundle that may hold more.
func FirstEntries(data []byte, width int) ([]byte, error) {
	_, rest, err := SplitBundle(data, width)
	if err != nil {
		return nil, err
	}
	return data[:len(data)-len(rest)], nil
}

package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// reader reads the log as one published tree, and gives out nothing that does not belong
// to it. Every hash of a full tile is in its parent's tile, up to the tiles of the right
// edge, which hash to the root; an entry has its hash in a tile of level 0. Whoever only
// compares files with their neighbours serves a damaged tile to the world, which keeps it
// for a year.
//
// What is read and does not belong is a Damage; it is kept in the store's damages. Other
// errors say that storage could not be read now.
type reader struct {
	store *store
	tree  tree
	edge  *tileCache
	quiet bool // keep no Damage: the tree may be none of this log's
}

// newReader reads as of the published tree that seen shows.
func newReader(s *store, seen *snapshot) *reader {
	if seen.cp == nil {
		return &reader{store: s, edge: &tileCache{}}
	}
	return &reader{store: s, tree: tree{seen.cp.Size, seen.cp.Root}, edge: seen.tiles}
}

// tileCache holds the tiles of the right edge of one tree, by level, once they are verified.
// All of their hashes go into the root.
type tileCache struct {
	mu    sync.Mutex
	tiles []hashTile // nil where the level ends with a full tile
}

// fullTiles holds full tiles. They are compared with their parents whenever they are used,
// so it does not matter through which tree they came here.
type fullTiles struct {
	mu    sync.Mutex
	tiles map[tlog.Tile]hashTile
}

const maxCachedTiles = 256 // 4 MiB

func (c *fullTiles) get(t tlog.Tile) (hashTile, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tile, ok := c.tiles[t]
	return tile, ok
}

func (c *fullTiles) put(t tlog.Tile, tile hashTile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tiles == nil {
		c.tiles = map[tlog.Tile]hashTile{}
	}
	for old := range c.tiles { // any: the next reader of that one reads it again
		if len(c.tiles) < maxCachedTiles {
			break
		}
		delete(c.tiles, old)
	}
	c.tiles[t] = tile
}

// damaged makes a Damage of what is wrong with the file of t, and reports it. A file that
// the tree needs and that is missing is damage too.
func (r *reader) damaged(t tlog.Tile, err error) error {
	if !errors.Is(err, errDamaged) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", tiles.Path(t), err)
	}
	start, end := tiles.Span(t)
	d := Damage{tiles.Path(t), start, end, missing(err)}
	if !r.quiet {
		r.store.damages.found(t, d)
	}
	return d
}

// edgeTiles returns the verified tiles of the right edge.
func (r *reader) edgeTiles() ([]hashTile, error) {
	r.edge.mu.Lock()
	defer r.edge.mu.Unlock()
	if r.edge.tiles != nil {
		return r.edge.tiles, nil
	}
	var levels []hashTile
	var bottom tlog.Tile // the lowest of them; it stands for the rest in reports
	for level := 0; tiles.Count(level, r.tree.Size) > 0; level++ {
		hashes := tiles.Count(level, r.tree.Size)
		t := tlog.Tile{H: tiles.Height, L: level, N: hashes / tiles.Width, W: int(hashes % tiles.Width)}
		if t.W == 0 {
			levels = append(levels, nil)
			continue
		}
		data, err := r.store.data(t)
		if err != nil {
			return nil, r.damaged(t, err)
		}
		if bottom.W == 0 {
			bottom = t
		}
		levels = append(levels, newHashTile(data))
	}
	root, err := tlog.TreeHash(r.tree.Size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			t, err := tileOfHash(index, r.tree.Size)
			if err != nil {
				return nil, err
			}
			hashes[i] = levels[t.L].hash(t, index) // the subtrees that make up the root are all on the edge
		}
		return hashes, nil
	}))
	if err != nil {
		return nil, err
	}
	if root != r.tree.Root {
		return nil, r.damaged(bottom, fmt.Errorf("%w: it or a tile above it on the right edge does not hash to the root of size %d", errDamaged, r.tree.Size))
	}
	r.edge.tiles = levels
	return levels, nil
}

// tile returns a verified tile, which is given as wide as it is in the tree.
func (r *reader) tile(t tlog.Tile) (hashTile, error) {
	if t.W < tiles.Width {
		edge, err := r.edgeTiles()
		if err != nil {
			return nil, err
		}
		return edge[t.L], nil
	}
	want, err := r.parentHash(t)
	if err != nil {
		return nil, err
	}
	if tile, ok := r.store.tiles.get(t); ok && tile.top() == want {
		return tile, nil
	}
	tile, err := r.readTile(t)
	if err == nil {
		r.store.tiles.put(t, tile)
	}
	return tile, err
}

// parentHash is the hash that the verified parent has of a full tile.
func (r *reader) parentHash(t tlog.Tile) (tlog.Hash, error) {
	parent, err := r.tile(tiles.Widest(t.L+1, t.N/tiles.Width, r.tree.Size))
	if err != nil {
		return tlog.Hash{}, err
	}
	return parent[0][t.N%tiles.Width], nil
}

// readTile reads the file of a tile and verifies it, whatever is in memory.
func (r *reader) readTile(t tlog.Tile) (hashTile, error) {
	if t.W < tiles.Width {
		edge, err := r.edgeTiles()
		if err != nil {
			return nil, err
		}
		data, err := r.store.data(t)
		if err == nil && !bytes.Equal(data, edge[t.L].data()) {
			err = fmt.Errorf("%w: the tile is not the one that was published", errDamaged)
		}
		if err != nil {
			return nil, r.damaged(t, err)
		}
		return edge[t.L], nil
	}
	want, err := r.parentHash(t)
	if err != nil {
		return nil, err
	}
	data, err := r.store.data(t)
	if err != nil {
		return nil, r.damaged(t, err)
	}
	tile := newHashTile(data)
	if tile.top() != want {
		return nil, r.damaged(t, fmt.Errorf("%w: the tile does not have the hash that the tree has of it", errDamaged))
	}
	return tile, nil
}

// readBundle reads the bundle over [t.N*256, …), as wide as it is in the tree, and verifies its
// entries [from, to), counted in the bundle.
func (r *reader) readBundle(t tlog.Tile, from, to int) (data []byte, entries [][]byte, err error) {
	above := t
	above.L = 0
	hashes, err := r.tile(above)
	if err != nil {
		return nil, nil, err
	}
	data, err = r.store.data(t)
	if err == nil {
		entries, err = tiles.ParseBundle(data, t.W)
	}
	if err != nil {
		return nil, nil, r.damaged(t, err)
	}
	for i := from; i < to; i++ {
		if tlog.RecordHash(entries[i]) != hashes[0][i] {
			return nil, nil, r.damaged(t, fmt.Errorf("%w: entry %d does not hash to its leaf", errDamaged, t.N*tiles.Width+int64(i)))
		}
	}
	return data, entries[from:to], nil
}

// entries returns the entries [start, end) of one bundle.
func (r *reader) entries(start, end int64) ([]entry.Logged, error) {
	t := tiles.Widest(-1, start/tiles.Width, r.tree.Size)
	first := t.N * tiles.Width
	if start < 0 || start >= end || end > first+int64(t.W) {
		return nil, fmt.Errorf("entries %d to %d are not in one bundle of the tree of size %d", start, end, r.tree.Size)
	}
	_, leaves, err := r.readBundle(t, int(start-first), int(end-first))
	if err != nil {
		return nil, err
	}
	return parseEntries(start, leaves)
}

// ReadHashes makes proofs of verified tiles.
func (r *reader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		t, err := tileOfHash(index, r.tree.Size)
		if err != nil {
			return nil, err
		}
		tile, err := r.tile(t)
		if err != nil {
			return nil, err
		}
		hashes[i] = tile.hash(t, index)
	}
	return hashes, nil
}

// serve returns the bytes at a tlog-tiles path. A partial tile is the beginning of the one
// that the tree has by now, whatever lies at its own path.
//
// SPEC tlog-tiles: partial tiles of every published size are served until the full
// one is available. Tessera collects a partial tile when the tree, published or
// not, has filled it: until the full one is published, its beginning stands in.
func (r *reader) serve(path string) ([]byte, error) {
	t, ok := tiles.ParsePath(path)
	if !ok || !tiles.Within(t, r.tree.Size) {
		return nil, ErrNotFound
	}
	wide := tiles.Widest(t.L, t.N, r.tree.Size)
	if t.W < wide.W && wide.W == tiles.Width {
		// Only what still lies there; the client asks for the full one.
		if _, err := r.store.root.Lstat(tiles.Path(t)); errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotFound
		}
	}
	if t.L >= 0 {
		tile, err := r.readTile(wide)
		if err != nil {
			return nil, err
		}
		return tile.data()[:t.W*tlog.HashSize], nil
	}
	data, _, err := r.readBundle(wide, 0, wide.W)
	if err != nil {
		return nil, err
	}
	return tiles.Prefix(data, wide, t.W)
}

// Checkpoint returns the published checkpoint, which the caller does not change. Its
// Signed grows by late cosignatures while its size stays. Before the first
// publication the error is ErrUnpublished.
func (l *Log) Checkpoint(ctx context.Context) (*trust.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cp := l.publisher.current.Load().cp
	if cp == nil {
		return nil, fmt.Errorf("%w: there is no checkpoint yet", ErrUnpublished)
	}
	return cp, nil
}

// Entries yields the entries [start, cp.Size), each proved to be in the tree of cp,
// which may be any checkpoint of this log. After an error it ends.
func (l *Log) Entries(ctx context.Context, cp *trust.Checkpoint, start int64) iter.Seq2[entry.Logged, error] {
	return func(yield func(entry.Logged, error) bool) {
		if start < 0 || cp.Size > l.publisher.current.Load().size() {
			yield(entry.Logged{}, fmt.Errorf("entries from %d to %d: %w", start, cp.Size, ErrNotFound))
			return
		}
		r := &reader{store: l.store, tree: tree{cp.Size, cp.Root}, edge: &tileCache{}, quiet: true}
		for start < cp.Size {
			end := min(cp.Size, (start/tiles.Width+1)*tiles.Width)
			err := ctx.Err()
			var entries []entry.Logged
			if err == nil {
				if entries, err = r.entries(start, end); err != nil {
					err = fmt.Errorf("%w: %w", ErrUnreadable, err)
				}
			}
			if err != nil {
				yield(entry.Logged{}, err)
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
			start = end
		}
	}
}

// proveRecord builds the path of a leaf. The caller verifies it.
func proveRecord(s *store, seen *snapshot, index int64) ([]tlog.Hash, error) {
	return tlog.ProveRecord(seen.cp.Size, index, newReader(s, seen))
}

// Prove returns a fresh proof for index against the published checkpoint. An index
// beyond it is ErrNotFound.
func (l *Log) Prove(ctx context.Context, index int64) (*entry.Anchored, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	seen := l.publisher.current.Load()
	if index < 0 || index >= seen.size() {
		return nil, ErrNotFound
	}
	entries, err := newReader(l.store, seen).entries(index, index+1)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	proof, err := l.proof(seen, index, entries[0].Leaf)
	if err != nil {
		return nil, err
	}
	return &entry.Anchored{Proof: proof, Entry: entries[0]}, nil
}

// Tile returns the bytes at a tlog-tiles path ("tile/0/000", "tile/entries/000.p/3")
// that the published checkpoint covers; ErrNotFound for anything else. Tiles and
// entries beyond it lie in the same directory: they are nobody's business yet. The
// bytes belong to the published tree; if those on disk do not, the error has a Damage.
func (l *Log) Tile(ctx context.Context, path string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := newReader(l.store, l.publisher.current.Load()).serve(path)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return data, err
}

// History returns the bytes at the path of a bundle of published checkpoints ("checkpoints/000.p/3"), each a note of this log
// with the cosignatures that it was published with; ErrNotFound for anything else. What is damaged is not returned.
func (l *Log) History(ctx context.Context, path string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, width, ok := tiles.ParseCheckpointPath(path)
	if !ok || !l.archive.has(n, width) {
		return nil, ErrNotFound
	}
	data, err := l.archive.bundle(n, width)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return data, nil
}

// HistorySize is how many checkpoints History has.
func (l *Log) HistorySize() int64 { return l.archive.size() }

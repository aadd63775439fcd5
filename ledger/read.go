package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/trust"
)

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
func (l *Log) Entries(ctx context.Context, cp *trust.Checkpoint, start int64) iter.Seq2[pack.Logged, error] {
	return func(yield func(pack.Logged, error) bool) {
		if start < 0 || cp.Size > l.publisher.current.Load().size() {
			yield(pack.Logged{}, fmt.Errorf("entries from %d to %d: %w", start, cp.Size, ErrNotFound))
			return
		}
		for start < cp.Size {
			end := min(cp.Size, (start/tileWidth+1)*tileWidth)
			entries, err := l.provedEntries(ctx, tree{cp.Size, cp.Root}, start, end)
			if err != nil {
				yield(pack.Logged{}, err)
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

// provedEntries reads entries of one bundle and authenticates their leaf hashes up to the root.
func (l *Log) provedEntries(ctx context.Context, t tree, start, end int64) ([]pack.Logged, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := readEntries(l.store, t.Size, start, end)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	indexes := make([]int64, len(entries))
	for i := range entries {
		indexes[i] = tlog.StoredHashIndex(0, start+int64(i))
	}
	proved, err := tlog.TileHashReader(tlog.Tree{N: t.Size, Hash: t.Root}, tileReader{l.store}).ReadHashes(indexes)
	if err != nil {
		return nil, fmt.Errorf("%w: proving entries %d to %d: %w", ErrStorage, start, end, err)
	}
	for i, e := range entries {
		if trust.LeafHash(e.Leaf) != proved[i] {
			return nil, fmt.Errorf("%w: entry %d is not the one in the tree", ErrStorage, e.Index)
		}
	}
	return entries, nil
}

// tileReader lets tlog.TileHashReader authenticate our tiles.
type tileReader struct{ *store }

func (tileReader) Height() int { return tileHeight }
func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	list := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if list[i], err = r.data(t); err != nil {
			return nil, err
		}
	}
	return list, nil
}
func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// proveRecord builds the path of a leaf. The caller verifies it.
func proveRecord(s *store, seen *snapshot, index int64) ([]tlog.Hash, error) {
	return tlog.ProveRecord(seen.cp.Size, index, s.hashes(seen.cp.Size, seen.tiles))
}

// Prove returns a fresh proof for index against the published checkpoint. An index
// beyond it is ErrNotFound.
func (l *Log) Prove(ctx context.Context, index int64) (*pack.Anchored, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	seen := l.publisher.current.Load()
	if index < 0 || index >= seen.size() {
		return nil, ErrNotFound
	}
	entry, err := readEntry(l.store, seen.cp.Size, index)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	proof, err := l.proof(seen, index, entry.Leaf)
	if err != nil {
		return nil, err
	}
	return &pack.Anchored{Proof: proof, Entry: entry}, nil
}

// Tile returns the bytes at a tlog-tiles path ("tile/0/000", "tile/entries/000.p/3")
// that the published checkpoint covers; ErrNotFound for anything else. Tiles and
// entries beyond it lie in the same directory: they are nobody's business yet.
func (l *Log) Tile(ctx context.Context, path string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := l.store.serve(path, l.publisher.current.Load().size())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	return data, err
}

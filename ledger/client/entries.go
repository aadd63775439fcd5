package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// Entries yields the entries [start, cp.Size), each proved to be in the tree of cp.
// An error ends it.
func (c *Client) Entries(ctx context.Context, cp *trust.Checkpoint, start int64) iter.Seq2[entry.Logged, error] {
	return func(yield func(entry.Logged, error) bool) {
		if err := c.believes(cp); err != nil {
			yield(entry.Logged{}, err)
			return
		}
		if start < 0 || start > cp.Size {
			yield(entry.Logged{}, fmt.Errorf("entries from %d: the tree has %d", start, cp.Size))
			return
		}
		verified := &tileReader{client: c, ctx: ctx, verified: map[tlog.Tile][]byte{}}
		hashes := tlog.TileHashReader(tlog.Tree{N: cp.Size, Hash: cp.Root}, verified)
		for n := start / tiles.Width; n*tiles.Width < cp.Size; n++ {
			leaves, err := c.bundle(ctx, hashes, tiles.Widest(-1, n, cp.Size))
			if err != nil {
				yield(entry.Logged{}, fmt.Errorf("reading entries from %d: %w", n*tiles.Width, err))
				return
			}
			for i, leaf := range leaves {
				at := n*tiles.Width + int64(i)
				if at < start {
					continue
				}
				// The leaf is in the tree; whether it is an entry is another question.
				e, err := entry.Parse(leaf)
				if err != nil {
					yield(entry.Logged{}, badProof(fmt.Sprintf("entry %d", at), err))
					return
				}
				// A copy, so that whoever keeps an entry does not keep its whole bundle.
				if !yield(entry.Logged{Index: at, Leaf: bytes.Clone(leaf), Entry: e}, nil) {
					return
				}
			}
		}
	}
}

// believes opens cp again: a Checkpoint is a struct that anyone can fill.
func (c *Client) believes(cp *trust.Checkpoint) error {
	if c.Policy == nil || cp == nil {
		return errors.New("ledger client wants a policy and a checkpoint")
	}
	opened, err := c.Policy.OpenCheckpoint(cp.Signed)
	if err != nil {
		return badProof("checkpoint", err)
	}
	if opened.Size != cp.Size || opened.Root != cp.Root {
		return badProof("checkpoint", errors.New("its size and root are not those that were signed"))
	}
	return nil
}

// bundle fetches an entry bundle, as wide as it is in the tree, and proves each entry.
func (c *Client) bundle(ctx context.Context, hashes tlog.HashReader, t tlog.Tile) ([][]byte, error) {
	data, err := c.tile(ctx, t)
	if err != nil {
		return nil, err
	}
	leaves, _, err := tiles.SplitBundle(data, t.W) // the full bundle may have come in its place
	if err != nil {
		return nil, badProof("entry bundle", err)
	}
	first, _ := tiles.Span(t)
	indexes := make([]int64, t.W)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
	}
	want, err := hashes.ReadHashes(indexes)
	if errors.Is(err, ErrUnavailable) || isProblem(err) || ctx.Err() != nil && err != nil {
		return nil, err
	}
	if err != nil {
		return nil, badProof("tiles", err)
	}
	for i, leaf := range leaves {
		if tlog.RecordHash(leaf) != want[i] {
			return nil, badProof("entry bundle", fmt.Errorf("entry %d is not the one in the tree", first+int64(i)))
		}
	}
	return leaves, nil
}

func isProblem(err error) bool {
	var p *Problem
	return errors.As(err, &p)
}

// tile fetches a tile or bundle, as wide as it is in the tree.
// SPEC tlog-tiles: a partial one may go away when the full one is there, of which it is the beginning.
func (c *Client) tile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: tiles.Path(t), limit: tiles.Limit(t)})
	var p *Problem
	if t.W < tiles.Width && errors.As(err, &p) && p.Status == http.StatusNotFound {
		full := t
		full.W = tiles.Width
		a, err = c.do(ctx, request{method: http.MethodGet, path: tiles.Path(full), limit: tiles.Limit(full)})
	}
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", tiles.Path(t), err)
	}
	return a.body, nil
}

// tileReader is a tlog.TileReader for one walk. tlog tells it what it verified.
type tileReader struct {
	client   *Client
	ctx      context.Context // of the walk; the interface has none
	verified map[tlog.Tile][]byte
}

// maxVerified bounds the cache: 8 MiB of full tiles, enough for a walk of 2^26 entries.
const maxVerified = 1024

func (t *tileReader) Height() int { return tiles.Height }

func (t *tileReader) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for i, tile := range wanted {
		if data[i] = t.verified[tile]; data[i] != nil {
			continue
		}
		got, err := t.client.tile(t.ctx, tile)
		if err != nil {
			return nil, err
		}
		if len(got) < tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes, wants %d", tiles.Path(tile), len(got), tile.W*tlog.HashSize)
		}
		data[i] = got[:tile.W*tlog.HashSize]
	}
	return data, nil
}

// SaveTiles keeps what every bundle needs again: the tiles above level 0, and the right edge.
func (t *tileReader) SaveTiles(read []tlog.Tile, data [][]byte) {
	for i, tile := range read {
		if tile.L == 0 && tile.W == tiles.Width {
			continue // read once in a walk
		}
		if len(t.verified) >= maxVerified {
			clear(t.verified)
		}
		t.verified[tile] = data[i]
	}
}

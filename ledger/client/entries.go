package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/trust"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight // hashes in a full tile, entries in a full bundle
)

// Entries yields the entries [start, cp.Size), each proved to be in the tree of cp.
// An error ends it.
func (c *Client) Entries(ctx context.Context, cp *trust.Checkpoint, start int64) iter.Seq2[pack.Logged, error] {
	return func(yield func(pack.Logged, error) bool) {
		if err := c.believes(cp); err != nil {
			yield(pack.Logged{}, err)
			return
		}
		if start < 0 || start > cp.Size {
			yield(pack.Logged{}, fmt.Errorf("entries from %d: the tree has %d", start, cp.Size))
			return
		}
		tiles := &tileReader{client: c, ctx: ctx, verified: map[tlog.Tile][]byte{}}
		hashes := tlog.TileHashReader(tlog.Tree{N: cp.Size, Hash: cp.Root}, tiles)
		for n := start / tileWidth; n*tileWidth < cp.Size; n++ {
			leaves, err := c.bundle(ctx, hashes, n, int(min(tileWidth, cp.Size-n*tileWidth)))
			if err != nil {
				yield(pack.Logged{}, fmt.Errorf("reading entries from %d: %w", n*tileWidth, err))
				return
			}
			for i, leaf := range leaves {
				at := n*tileWidth + int64(i)
				if at < start {
					continue
				}
				// The leaf is in the tree; whether it is an entry is another question.
				entry, err := pack.ParseEntry(leaf)
				if err != nil {
					yield(pack.Logged{}, badProof(fmt.Sprintf("entry %d", at), err))
					return
				}
				if !yield(pack.Logged{Index: at, Leaf: leaf, Entry: entry}, nil) {
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

// bundle fetches entry bundle n, of which width entries are in the tree, and proves each.
func (c *Client) bundle(ctx context.Context, hashes tlog.HashReader, n int64, width int) ([][]byte, error) {
	data, err := c.tile(ctx, "tile/entries/"+tileNumber(n), width, maxBundle)
	if err != nil {
		return nil, err
	}
	leaves, err := splitBundle(data, width)
	if err != nil {
		return nil, badProof("entry bundle", err)
	}
	indexes := make([]int64, width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, n*tileWidth+int64(i))
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
			return nil, badProof("entry bundle", fmt.Errorf("entry %d is not the one in the tree", n*tileWidth+int64(i)))
		}
	}
	return leaves, nil
}

// splitBundle returns the first width entries.
// SPEC tlog-tiles: entries are concatenated, each after its length as big-endian uint16.
func splitBundle(data []byte, width int) ([][]byte, error) {
	leaves := make([][]byte, 0, width)
	for len(leaves) < width {
		if len(data) < 2 {
			return nil, fmt.Errorf("it has %d of %d entries", len(leaves), width)
		}
		size := int(binary.BigEndian.Uint16(data))
		data = data[2:]
		if len(data) < size {
			return nil, fmt.Errorf("entry %d of it is cut short", len(leaves))
		}
		leaves = append(leaves, bytes.Clone(data[:size]))
		data = data[size:]
	}
	return leaves, nil
}

func isProblem(err error) bool {
	var p *Problem
	return errors.As(err, &p)
}

// tile fetches a tile or bundle of which width elements are in the tree.
// SPEC tlog-tiles: a partial one may go away when the full one is there, of which it is the beginning.
func (c *Client) tile(ctx context.Context, path string, width int, limit int64) ([]byte, error) {
	partial := path
	if width < tileWidth {
		partial += ".p/" + strconv.Itoa(width)
	}
	a, err := c.do(ctx, request{method: http.MethodGet, path: partial, limit: limit})
	var p *Problem
	if width < tileWidth && errors.As(err, &p) && p.Status == http.StatusNotFound {
		a, err = c.do(ctx, request{method: http.MethodGet, path: path, limit: limit})
	}
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", partial, err)
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

func (t *tileReader) Height() int { return tileHeight }

func (t *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		if data[i] = t.verified[tile]; data[i] != nil {
			continue
		}
		path := "tile/" + strconv.Itoa(tile.L) + "/" + tileNumber(tile.N)
		got, err := t.client.tile(t.ctx, path, tile.W, tileWidth*tlog.HashSize)
		if err != nil {
			return nil, err
		}
		if len(got) < tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes, wants %d", path, len(got), tile.W*tlog.HashSize)
		}
		data[i] = got[:tile.W*tlog.HashSize]
	}
	return data, nil
}

// SaveTiles keeps what every bundle needs again: the tiles above level 0, and the right edge.
func (t *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, tile := range tiles {
		if tile.L == 0 && tile.W == tileWidth {
			continue // read once in a walk
		}
		if len(t.verified) >= maxVerified {
			clear(t.verified)
		}
		t.verified[tile] = data[i]
	}
}

// tileNumber writes a tile number as tlog-tiles does: 1234067 is x001/x234/067.
func tileNumber(n int64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

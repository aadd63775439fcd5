package site

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// growing is a tree to which leaves are added. It makes the tiles of the log out of its entries, so a tile is right
// because the root is, and no tile of a source needs to be read.
type growing struct {
	size  int64
	peaks []tlog.Hash // of the perfect subtrees that the size is made of, the largest first
	edge  [][]byte    // of each level: the hashes of its last tile, while that is not full
	full  func(t tlog.Tile, data []byte) error
}

// add adds the hash of a leaf and gives each tile that it fills to g.full, which keeps no part of it.
func (g *growing) add(hash tlog.Hash) error {
	g.size++
	for height := 0; ; height++ {
		if height%tiles.Height == 0 {
			if err := g.addToTile(height/tiles.Height, hash); err != nil {
				return err
			}
		}
		if g.size>>height&1 == 1 {
			g.peaks = append(g.peaks, hash)
			return nil
		}
		last := len(g.peaks) - 1
		hash = tlog.NodeHash(g.peaks[last], hash)
		g.peaks = g.peaks[:last]
	}
}

func (g *growing) addToTile(level int, hash tlog.Hash) error {
	if level == len(g.edge) {
		g.edge = append(g.edge, make([]byte, 0, tiles.MaxHashes))
	}
	data := append(g.edge[level], hash[:]...)
	if len(data) < tiles.MaxHashes {
		g.edge[level] = data
		return nil
	}
	g.edge[level] = data[:0]
	return g.full(tlog.Tile{H: tiles.Height, L: level, N: tiles.Count(level, g.size)/tiles.Width - 1, W: tiles.Width}, data)
}

// root is the root hash of the tree as it is now.
func (g *growing) root() tlog.Hash {
	if len(g.peaks) == 0 {
		return trust.EmptyRoot
	}
	hash := g.peaks[len(g.peaks)-1]
	for i := len(g.peaks) - 2; i >= 0; i-- {
		hash = tlog.NodeHash(g.peaks[i], hash)
	}
	return hash
}

// resume makes the tree that a right edge of tiles is of.
func resume(size int64, read func(tlog.Tile) ([]byte, error), full func(tlog.Tile, []byte) error) (*growing, error) {
	g := &growing{size: size, full: full}
	for level := 0; tiles.Count(level, size) > 0; level++ {
		g.edge = append(g.edge, make([]byte, 0, tiles.MaxHashes))
		t := tiles.Widest(level, tiles.Count(level, size)/tiles.Width, size)
		if t.W == 0 {
			continue
		}
		data, err := read(t)
		if err != nil {
			return nil, err
		}
		if len(data) != t.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes, expected %d", tiles.Path(t), len(data), t.W*tlog.HashSize)
		}
		g.edge[level] = append(g.edge[level], data...)
	}
	for level := len(g.edge) - 1; level >= 0; level-- {
		at := 0
		for bit := tiles.Height - 1; bit >= 0; bit-- {
			if size>>(level*tiles.Height+bit)&1 == 1 {
				g.peaks = append(g.peaks, top(g.edge[level][at*tlog.HashSize:(at+1<<bit)*tlog.HashSize]))
				at += 1 << bit
			}
		}
	}
	return g, nil
}

// top is the hash above a number of hashes that is a power of two.
func top(hashes []byte) tlog.Hash {
	if len(hashes) == tlog.HashSize {
		return tlog.Hash(hashes)
	}
	middle := len(hashes) / 2
	return tlog.NodeHash(top(hashes[:middle]), top(hashes[middle:]))
}

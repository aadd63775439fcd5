package site

import (
	"bytes"
	"fmt"
	"io/fs"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// The tree that grows here is the one of RFC 6962, its tiles are those of tlog, and it goes on from any size.
func TestTheGrowingTreeIsThatOfTheLogAtEverySize(t *testing.T) {
	const sizes = 1100
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (list []tlog.Hash, err error) {
		for _, i := range indexes {
			list = append(list, stored[i])
		}
		return list, nil
	})
	made := map[tlog.Tile][]byte{}
	keep := func(tile tlog.Tile, data []byte) error { made[tile] = bytes.Clone(data); return nil }
	g := &growing{full: keep}
	for size := int64(0); size < sizes; size++ {
		want, err := tlog.TreeHash(size, reader)
		if size > 0 && (err != nil || g.root() != want) {
			t.Fatalf("size %d: root %v, expected %v, %v", size, g.root(), want, err)
		}
		again, err := resume(size, func(tile tlog.Tile) ([]byte, error) {
			data, err := tlog.ReadTileData(tile, reader)
			if err == nil && !bytes.Equal(data, g.edge[tile.L]) {
				t.Fatalf("size %d: %s differs", size, tiles.Path(tile))
			}
			return data, err
		}, keep)
		if err != nil || again.root() != g.root() {
			t.Fatalf("size %d: resumed with root %v, %v", size, again.root(), err)
		}
		g = again
		leaf := fmt.Appendf(nil, "leaf %d", size)
		hashes, err := tlog.StoredHashes(size, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		if err := g.add(tlog.RecordHash(leaf)); err != nil {
			t.Fatal(err)
		}
	}
	for tile, data := range made {
		want, err := tlog.ReadTileData(tile, reader)
		if err != nil || !bytes.Equal(data, want) {
			t.Errorf("%s differs, %v", tiles.Path(tile), err)
		}
	}
	if len(made) != sizes/tiles.Width {
		t.Errorf("%d full tiles", len(made))
	}
	if _, err := resume(7, func(tlog.Tile) ([]byte, error) { return nil, fs.ErrNotExist }, keep); err == nil {
		t.Error("a tree without its tiles was resumed")
	}
}

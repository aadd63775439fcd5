package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust/tiles"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// API-22, STO-6
func TestTileServesPublishedTilesAndNothingElseInTheDirectory(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.addAll(0, 3)
	w.add(3)
	tile, err := l.Tile(t.Context(), "tile/0/000.p/4")
	must(t, err)
	bundle, err := l.Tile(t.Context(), "tile/entries/000.p/4")
	must(t, err)
	entries, err := tiles.ParseBundle(bundle, 4)
	must(t, err)
	for i, e := range entries {
		if tlog.RecordHash(e) != tlog.Hash(tile[i*32:][:32]) {
			t.Errorf("entry %d does not hash to its leaf", i)
		}
	}
	must(t, os.Symlink("../../.state/treeState", w.path("tile/0/001")))
	must(t, os.Symlink("/etc/hostname", w.path("tile/0/002")))
	must(t, os.WriteFile(w.path("tile/0/000.p/3"), []byte("half a temporary file"), 0o600))
	for _, path := range append(slices.Clone(trusttest.BadTilePaths), "tile/0/001", "tile/0/002", "tile/0/000", "tile/entries/000", "tile/1/000.p/1", "tile/63/000") {
		if data, err := l.Tile(t.Context(), path); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %d bytes, %v", path, len(data), err)
		}
	}
	if data, err := l.Tile(t.Context(), "tile/0/000.p/3"); err != nil || !bytes.Equal(data, tile[:3*32]) {
		t.Errorf("a damaged partial tile, of which a wider one is whole: %q, %v", data, err)
	}
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

package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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

// STO-5
func TestTheStateOfTheTreeHasOneSpelling(t *testing.T) {
	w := newWorld(t, 0, 0)
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	defer s.close()
	const root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	good := `{"size":0,"root":"` + root + `"}`
	w.write(treeStatePath, []byte(good))
	if _, err := s.treeState(); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "{}", good + "\n", " " + good, strings.Replace(good, ":0", ": 0", 1), strings.Replace(good, ":0", ":-0", 1),
		`{"root":"` + root + `","size":0}`, strings.Replace(good, "}", `,"x":1}`, 1), strings.Replace(good, "size", "Size", 1),
		strings.Replace(good, `"size":0`, `"size":9,"size":0`, 1), strings.Replace(good, ":0", ":9223372036854775808", 1),
		strings.Replace(good, root, base64.StdEncoding.EncodeToString(make([]byte, 31)), 1), strings.Replace(good, root, base64.StdEncoding.EncodeToString(make([]byte, 33)), 1),
		strings.Replace(good, "SuFU=", "SuFV=", 1)} {
		w.write(treeStatePath, []byte(text))
		if state, err := s.treeState(); !errors.Is(err, errDamaged) {
			t.Errorf("%q is read as %v, %v", text, state, err)
		}
	}
}

// STO-6
func TestNoLinkAndNoPipeInTheLogIsRead(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	const name = "tile/0/000.p/1"
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	defer s.close()
	whole, err := s.readFile(name, 1<<10)
	must(t, err)
	outside := filepath.Join(t.TempDir(), "tile")
	must(t, os.WriteFile(outside, whole, 0o600))
	w.write("tile/0/copy", whole)
	for what, put := range map[string]func(path string) error{
		"link out of the log": func(path string) error { return os.Symlink(outside, path) },
		"link in the log":     func(path string) error { return os.Symlink("../copy", path) },
		"FIFO":                func(path string) error { return syscall.Mkfifo(path, 0o600) }, // opened, it would block for ever
		"directory":           func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		must(t, os.Remove(w.path(name)))
		must(t, put(w.path(name)))
		if data, err := s.readFile(name, 1<<10); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a %s is read: %d bytes, %v", what, len(data), err)
		}
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

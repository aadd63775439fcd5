package ledger

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/durable/durabletest"
)

// However much of a log a disk has room for: what is there afterwards is a whole log, or none and no guard.
func TestALogThatAFullDiskHasNoRoomForIsNotCreated(t *testing.T) {
	if !durabletest.Alone(t) {
		return
	}
	w := newWorld(t, 0, 0)
	for room, says := range map[int]string{0: "storage refuses writes", 5: "storage refuses writes", 10: "creating the log: ", 1 << 20: ""} {
		cfg, dir := w.cfg, tempDir(t)
		cfg.Dir, cfg.GuardDir = filepath.Join(dir, "log"), filepath.Join(dir, "guard")
		var err error
		durabletest.WithFilesUpTo(t, int64(room), func() { err = Create(t.Context(), cfg) })
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
		if err != nil && errors.Is(err, ErrStorage) != (room < 6) { // the probe writes six
			t.Errorf("room for %d bytes: %v", room, err)
		}
		if _, statErr := os.Lstat(cfg.GuardDir); errors.Is(statErr, fs.ErrNotExist) != (err != nil) {
			t.Errorf("room for %d bytes: %v; the guard: %v", room, err, statErr)
		}
	}
}

// A guard that cannot be made whole is none: what was made of it is taken away, and nothing else.
func TestAGuardThatAFullDiskHasNoRoomForLeavesNothing(t *testing.T) {
	if !durabletest.Alone(t) {
		return
	}
	w := newWorld(t, 0, 0)
	signed, id := len(w.guardFiles()[signedFile]), len(w.guardFiles()[identityFile])
	if signed >= id {
		t.Fatalf("%d bytes, then %d: the second file has room where the first has", signed, id)
	}
	for _, room := range []int{0, signed - 1, signed, id - 1, id} {
		for _, there := range []bool{false, true} { // the directory, before
			dir := filepath.Join(t.TempDir(), "guard")
			if there {
				must(t, os.Mkdir(dir, 0o700))
			}
			var err error
			durabletest.WithFilesUpTo(t, int64(room), func() { err = createGuard(dir, w.cfg.Signer) })
			if (err == nil) != (room == id) || err != nil && !strings.Contains(err.Error(), "creating the guard: ") {
				t.Errorf("room for %d bytes: %v", room, err)
			}
			left, statErr := os.ReadDir(dir)
			if err != nil && (len(left) > 0 || errors.Is(statErr, fs.ErrNotExist) == there) {
				t.Errorf("room for %d bytes: the guard is %v, %v", room, left, statErr)
			}
			if err == nil && len(left) != 2 {
				t.Errorf("the guard is %v", left)
			}
		}
	}
}

// A guard that has no room on its disk signs nothing new, and goes on when it has.
// STO-8
func TestAGuardOnAFullDiskSignsNothingUntilItHasRoom(t *testing.T) {
	if !durabletest.Alone(t) {
		return
	}
	honest := hashesOf(t, 8, -1)
	g, _ := newGuard(t)
	at := tree{4, honest.root(t, 4)}
	_, err := g.sign(at, honest.consistency)
	must(t, err)
	before, err := readSmall(g.dir, signedFile)
	must(t, err)
	next := tree{6, honest.root(t, 6)}
	durabletest.WithFilesUpTo(t, int64(len(before)-1), func() {
		if note, err := g.sign(next, honest.consistency); err == nil || errors.Is(err, ErrGuard) || note != nil {
			t.Errorf("signed %q, %v", note, err)
		}
		if err := g.adopt(next, honest.consistency); err == nil || errors.Is(err, ErrGuard) {
			t.Errorf("adopted: %v", err)
		}
		if note, err := g.sign(at, honest.consistency); err != nil || note == nil { // which says what was said
			t.Errorf("what was signed before: %v", err)
		}
	})
	if now, err := readSmall(g.dir, signedFile); err != nil || !bytes.Equal(now, before) || g.highWater() != at {
		t.Errorf("the guard holds %q, %v, and remembers %v", now, err, g.highWater())
	}
	if note, err := g.sign(next, honest.consistency); err != nil || note == nil || g.highWater() != next {
		t.Errorf("with room: %v", err)
	}
}

// A spool whose files are there and cannot be looked at has accepted manifests that nobody would log.
func TestASpoolWhoseFilesCannotBeLookedAtIsAnError(t *testing.T) {
	const longest = 4095 // bytes of a path
	name := digestOf(t, 0).String()
	path := t.TempDir()
	root, err := os.OpenRoot(path)
	must(t, err)
	for want := longest - len(name); len(path) < want; { // the directory can be opened by its path, and no file in it
		part := strings.Repeat("d", min(200, want-len(path)-1))
		if rest := want - len(path) - 1 - len(part); rest == 1 { // no room for a name after it
			part = part[1:]
		}
		must(t, root.Mkdir(part, 0o700))
		below, err := root.OpenRoot(part)
		must(t, err)
		must(t, root.Close())
		root, path = below, filepath.Join(path, part)
	}
	defer root.Close()
	s := newSpool(path, slog.New(slog.DiscardHandler))
	must(t, s.load()) // empty
	must(t, root.WriteFile(name, nil, 0o600))
	if err := s.load(); err == nil || !strings.Contains(err.Error(), "reading the spool: ") || len(s.digests()) != 0 {
		t.Errorf("%v, %d files", err, len(s.digests()))
	}
}

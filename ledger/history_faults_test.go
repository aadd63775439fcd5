package ledger

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// threeCheckpoints is a closed log of three entries, each published by itself, and what reads it from its directories.
func threeCheckpoints(t *testing.T) (*world, *Files) {
	t.Helper()
	w := newWorld(t, 0, 0)
	w.open()
	for i := range 3 {
		w.add(i)
	}
	w.close()
	cfg, err := w.cfg.withDefaults()
	must(t, err)
	return w, &Files{Dir: cfg.Dir, GuardDir: cfg.GuardDir, CheckpointsDir: cfg.CheckpointsDir, LedgerPolicy: cfg.Policy}
}

// What cannot be looked at is an error and accuses nobody; what is not there is no damage where it need not be.
func TestAHistoryThatCannotBeReadIsAnErrorAndNoDamage(t *testing.T) {
	w, f := threeCheckpoints(t)
	check := func(ctx context.Context) (int64, int, error) {
		found := 0
		count, err := FsckHistory(ctx, f.Dir, f.GuardDir, f.CheckpointsDir, func(Damage) { found++ })
		return count, found, err
	}
	whole, found, err := check(t.Context())
	if whole < 3 || found != 0 || err != nil {
		t.Fatalf("a sound history: %d checkpoints, %d damages, %v", whole, found, err)
	}
	away := func(path string) (restore func()) {
		must(t, os.Rename(path, path+".away"))
		return func() { must(t, os.Rename(path+".away", path)) }
	}
	instead := func(path, text string) func() {
		restore := away(path)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return func() { must(t, os.Remove(path)); restore() }
	}
	id, note := filepath.Join(f.GuardDir, identityFile), filepath.Join(f.GuardDir, checkpointFile)
	for name, c := range map[string]struct {
		harm  func() func()
		says  string // "": no error
		count int64
	}{
		"no history": {func() func() { return away(f.CheckpointsDir) }, "", 0},
		"an empty history": {func() func() {
			restore := away(f.CheckpointsDir)
			must(t, os.Mkdir(f.CheckpointsDir, 0o700))
			return func() { must(t, os.Remove(f.CheckpointsDir)); restore() }
		}, "", 0},
		"a file for it":                 {func() func() { return fileFor(t, f.CheckpointsDir) }, "not a directory", 0},
		"no guard":                      {func() func() { return away(id) }, "there is no guard in", 0},
		"a guard of another version":    {func() func() { return instead(id, "v0\n") }, "reading the guard", 0},
		"a guard that cannot be read":   {func() func() { return fileFor(t, f.GuardDir) }, "reading the guard", 0},
		"nothing published":             {func() func() { return away(note) }, "", whole},
		"a damaged published one":       {func() func() { return instead(note, "damaged") }, "reading the guard", 0},
		"no log":                        {func() func() { return away(f.Dir) }, "no such file", 0},
		"a log whose size is not known": {func() func() { return fileFor(t, w.path(".state")) }, "not a directory", 0},
	} {
		restore := c.harm()
		count, found, err := check(t.Context())
		if count != c.count || found != 0 || (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "checking the history of checkpoints: ")) {
			t.Errorf("%s: %d checkpoints, %d damages, %v", name, count, found, err)
		}
		restore()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if count, found, err := check(ctx); count != 0 || found != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %d checkpoints, %d damages, %v", count, found, err)
	}
}

// A log that was rolled back, or lost its tiles, has checkpoints that it does not continue: each is named.
func TestEachCheckpointThatTheLogDoesNotContinueIsNamed(t *testing.T) {
	w, f := threeCheckpoints(t)
	check := func() (list []Damage) {
		_, err := FsckHistory(t.Context(), f.Dir, f.GuardDir, f.CheckpointsDir, func(d Damage) { list = append(list, d) })
		must(t, err)
		return list
	}
	state := w.file(treeStatePath)
	s, err := openStore(f.Dir)
	must(t, err)
	defer s.close()
	root, err := s.rootOf(2, 3)
	must(t, err)
	w.write(treeStatePath, []byte(`{"size":2,"root":"`+root.String()+`"}`))
	if found := check(); len(found) == 0 || !strings.Contains(found[0].Err.Error(), "its tree has size 3, the log 2: it was rolled back") {
		t.Errorf("rolled back: %v", found)
	}
	w.write(treeStatePath, state)
	must(t, os.Rename(w.path("tile/0"), w.path("tile/away")))
	if found := check(); len(found) == 0 || !strings.Contains(found[0].Err.Error(), "the file is missing") || found[0].Path != tiles.CheckpointPath(0, tiles.Width) {
		t.Errorf("without its tiles: %v", found)
	}
	must(t, os.Rename(w.path("tile/away"), w.path("tile/0")))
	if found := check(); len(found) != 0 {
		t.Errorf("whole again: %v", found)
	}
}

// A log that has grown is looked at again for the checkpoints that it has published meanwhile, and may then be unreadable.
func TestACheckpointBeyondTheTreeThatWasReadIsHeldToTheTreeAsItIsNow(t *testing.T) {
	w, f := threeCheckpoints(t)
	notes := w.history(0)
	s, err := openStore(f.Dir)
	must(t, err)
	defer s.close()
	whole, err := s.treeState()
	must(t, err)
	root, err := s.rootOf(1, 3)
	must(t, err)
	keys, err := keyOnly(w.cfg.Signer.VKey())
	must(t, err)
	for name, c := range map[string]struct {
		now  tree // as it was read
		file bool // whether it can be read again
		good bool
	}{
		"grown":                {tree{1, root}, true, true},
		"grown and unreadable": {tree{1, root}, false, false},
		"not grown":            {whole, false, true},
	} {
		check := &historyCheck{store: s, now: c.now, keys: keys}
		restore := func() {}
		if !c.file {
			restore = fileFor(t, w.path(".state"))
		}
		err := check.note(notes[len(notes)-1])
		if restore(); (err == nil) != c.good || (check.last == whole) != c.good {
			t.Errorf("%s: %v; the last tree is %v", name, err, check.last)
		}
	}
}

// What is kept and waits for the guard is not part of the history yet.
func TestTheHistoryEndsWithThePublishedCheckpoint(t *testing.T) {
	w, f := threeCheckpoints(t)
	notes := w.history(0)
	for i := range notes {
		must(t, os.WriteFile(filepath.Join(f.GuardDir, checkpointFile), notes[i], 0o600))
		if got := w.history(0); len(got) != i+1 || !bytes.Equal(got[i], notes[i]) {
			t.Errorf("checkpoint %d is published: %d are given out", i, len(got))
		}
		for _, err := range f.Checkpoints(t.Context(), int64(i)+2) {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("from the second after checkpoint %d on: %v", i, err)
			}
		}
	}
}

// What reads the directories of a ledger tells what is missing from what cannot be looked at, and gives out neither.
func TestTheFilesOfALedgerAreReadOrSaidToBeMissing(t *testing.T) {
	w, f := threeCheckpoints(t)
	ctx := t.Context()
	published, err := os.ReadFile(filepath.Join(f.GuardDir, checkpointFile))
	must(t, err)
	if text, err := f.Policy(ctx); err != nil || !bytes.Equal(text, w.cfg.Policy.Text()) {
		t.Errorf("policy: %q, %v", text, err)
	}
	if text, err := f.Roots(ctx); !errors.Is(err, fs.ErrNotExist) || text != nil {
		t.Errorf("roots: %q, %v", text, err)
	}
	if note, err := f.Checkpoint(ctx); err != nil || !bytes.Equal(note, published) {
		t.Errorf("checkpoint: %q, %v", note, err)
	}
	if data, err := f.Tile(ctx, "tile/0/000.p/3"); err != nil || len(data) != 96 {
		t.Errorf("tile: %d bytes, %v", len(data), err)
	}
	history := func(start int64, most int) (notes [][]byte, err error) {
		for note, e := range f.Checkpoints(ctx, start) {
			if e != nil {
				return notes, e
			}
			if notes = append(notes, note); len(notes) == most {
				break
			}
		}
		return notes, nil
	}
	all, err := history(0, -1)
	if err != nil || len(all) < 3 || !bytes.Equal(all[len(all)-1], published) {
		t.Fatalf("history: %d, %v", len(all), err)
	}
	count := int64(len(all))
	for start := int64(-2); start <= count+2; start++ {
		notes, err := history(start, -1)
		if want := count - max(start, 0); want >= 0 && (err != nil || int64(len(notes)) != want) || want < 0 && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("from %d: %d, %v", start, len(notes), err)
		}
	}
	if notes, err := history(0, 2); err != nil || len(notes) != 2 {
		t.Errorf("two of it: %d, %v", len(notes), err)
	}

	for _, path := range []string{"", "tile", "tile/0/001", "tile/0/000.p/0", "../guard/signed", "checkpoint"} {
		if data, err := f.Tile(ctx, path); !errors.Is(err, fs.ErrNotExist) || data != nil {
			t.Errorf("%q: %d bytes, %v", path, len(data), err)
		}
	}
	given, cancel := context.WithCancel(ctx)
	cancel()
	for name, ask := range map[string]func() ([]byte, error){
		"checkpoint": func() ([]byte, error) { return f.Checkpoint(given) },
		"tile":       func() ([]byte, error) { return f.Tile(given, "tile/0/000.p/3") },
		"history": func() (note []byte, err error) {
			for note, err = range f.Checkpoints(given, 0) {
			}
			return note, err
		},
	} {
		if data, err := ask(); !errors.Is(err, context.Canceled) || data != nil {
			t.Errorf("%s, given up: %d bytes, %v", name, len(data), err)
		}
	}
	restore := fileFor(t, f.Dir)
	if data, err := f.Tile(ctx, "tile/0/000.p/3"); err == nil || errors.Is(err, fs.ErrNotExist) || data != nil {
		t.Errorf("a tile of what is no directory: %v", err)
	}
	restore()
	restore = fileFor(t, f.CheckpointsDir)
	if notes, err := history(0, -1); err == nil || errors.Is(err, fs.ErrNotExist) || notes != nil {
		t.Errorf("a history in what is no directory: %d, %v", len(notes), err)
	}
	restore()
	note := filepath.Join(f.GuardDir, checkpointFile)
	must(t, os.WriteFile(note, published[:len(published)-9], 0o600))
	if got, err := f.Checkpoint(ctx); err == nil || errors.Is(err, fs.ErrNotExist) || got != nil {
		t.Errorf("a damaged checkpoint: %q, %v", got, err)
	}
	if notes, err := history(0, -1); err == nil || errors.Is(err, fs.ErrNotExist) || notes != nil {
		t.Errorf("the history of one that is damaged: %d, %v", len(notes), err)
	}
	must(t, os.Remove(note))
	if got, err := f.Checkpoint(ctx); !errors.Is(err, fs.ErrNotExist) || got != nil {
		t.Errorf("no checkpoint: %q, %v", got, err)
	}
	if notes, err := history(0, -1); !errors.Is(err, fs.ErrNotExist) || notes != nil {
		t.Errorf("the history of nothing: %d, %v", len(notes), err)
	}
	// A note that is none is damage where it was published, and nothing where a crash left it.
	must(t, os.WriteFile(note, published, 0o600))
	segment := filepath.Join(f.CheckpointsDir, filepath.FromSlash(segmentPath(0)))
	whole, err := os.ReadFile(segment)
	must(t, err)
	must(t, os.WriteFile(segment, append(bytes.Clone(whole), 0, 3, 'x', 'y', 'z'), 0o600))
	if notes, err := history(0, -1); err != nil || int64(len(notes)) != count {
		t.Errorf("with what a crash left: %d, %v", len(notes), err)
	}
	must(t, os.WriteFile(segment, append([]byte{0, 3, 'x', 'y', 'z'}, whole...), 0o600))
	if notes, err := history(0, -1); err == nil || errors.Is(err, fs.ErrNotExist) || len(notes) != 0 || !strings.Contains(err.Error(), "checkpoint 0, in checkpoints/000") {
		t.Errorf("with a note that is none: %d, %v", len(notes), err)
	}
	must(t, os.WriteFile(segment, whole, 0o600))
}

// An archive that cannot be looked at keeps nothing, and goes on when it can.
// STO-39
func TestAnArchiveThatCannotBeReadKeepsNothingUntilItCan(t *testing.T) {
	b := newNotebook(t)
	a := b.open()
	must(t, b.publish(a, 0))
	must(t, b.publish(a, 1))
	restore := fileFor(t, b.cfg.CheckpointsDir)
	a = b.open()
	if err := b.publish(a, 2); err == nil || a.size() != 0 || !strings.Contains(b.log.String(), "nothing new is published") {
		t.Errorf("kept in what is no directory: %v, %d", err, a.size())
	}
	if _, err := a.read(0, 1); err == nil {
		t.Error("read what is no directory")
	}
	restore()
	for path, want := range map[string]error{b.segment(0): fs.ErrNotExist, b.cfg.CheckpointsDir: fs.ErrNotExist} {
		must(t, os.Rename(path, path+".away"))
		if data, err := a.read(0, 1); !errors.Is(err, want) || data != nil {
			t.Errorf("%s is away: read %d bytes, %v", path, len(data), err)
		}
		must(t, os.Rename(path+".away", path))
	}
	must(t, b.publish(a, 2))
	b.holds(a, 3)
	large := *b.checkpoint(3)
	large.Signed = bytes.Repeat([]byte("x"), maxNote+1)
	if err := a.keep(&large, func(*trust.Checkpoint) error { t.Error("published"); return nil }); err == nil || !strings.Contains(err.Error(), "expected at most 65535") {
		t.Errorf("a note that is too long: %v", err)
	}
	b.holds(a, 3)
	for n := range int64(maxVerified + 3) { // what is remembered of verified segments is bounded
		a.verified[n] = verifiedNotes{}
	}
	a.verified[0] = verifiedNotes{}
	b.holds(a, 3)
	if len(a.verified) > maxVerified {
		t.Errorf("%d are remembered", len(a.verified))
	}
}

func TestTheRootsOfALedgerAreGivenOutWhereItHasSome(t *testing.T) {
	authority, err := timestamp.NewAuthority(nil, testTime)
	must(t, err)
	roots, err := timestamp.ParseRoots(authority.RootPEM())
	must(t, err)
	f := &Files{TSARoots: roots}
	if text, err := f.Roots(t.Context()); err != nil || len(text) == 0 || !bytes.Equal(text, roots.PEM()) {
		t.Errorf("%q, %v", text, err)
	}
}

// A ledger whose history is damaged says so before somebody submits what nobody could publish, and goes on when the whole
// file is back; a copy is not whole while it is written.
// STO-39
func TestADamagedHistoryIsNotReadyUntilItIsWholeAgain(t *testing.T) {
	w, f := threeCheckpoints(t)
	segment := filepath.Join(f.CheckpointsDir, filepath.FromSlash(segmentPath(0)))
	whole, err := os.ReadFile(segment)
	must(t, err)
	notes, _ := splitNotes(whole)
	must(t, os.WriteFile(segment, whole[:len(whole)-1], 0o600))
	l := w.open()
	said := func() string {
		n, ok := errors.AsType[*NotReady](l.Health(t.Context()))
		if !ok {
			return ""
		}
		for _, r := range n.Reasons {
			if r.About == "publication" {
				return r.Err.Error()
			}
		}
		return ""
	}
	if got := said(); !strings.Contains(got, "the last segment of the history of checkpoints") {
		t.Errorf("damaged: %q", got)
	}
	for _, n := range []int{1, len(notes) - 1} { // as it is copied
		must(t, os.WriteFile(segment, whole[:sizeOf(notes[:n])], 0o600))
		l.archive.recheck()
		if got := said(); !strings.Contains(got, "it is not restored yet") {
			t.Errorf("%d of %d notes: %q", n, len(notes), got)
		}
		if err := l.archive.keep(l.archive.published, func(*trust.Checkpoint) error { t.Error("published"); return nil }); err == nil {
			t.Errorf("%d of %d notes: kept", n, len(notes))
		}
	}
	must(t, os.WriteFile(segment, append(bytes.Clone(whole), tiles.AppendEntry(nil, newNotebook(t).checkpoint(70).Signed)...), 0o600))
	l.archive.recheck()
	if got := said(); !strings.Contains(got, "start the ledger again") {
		t.Errorf("with a later one: %q", got)
	}
	must(t, os.WriteFile(segment, whole, 0o600))
	l.archive.recheck()
	if got := said(); got != "" {
		t.Errorf("restored: %q", got)
	}
	w.add(3)
	if now, err := os.ReadFile(segment); err != nil || !bytes.HasPrefix(now, whole) || len(now) == len(whole) {
		t.Errorf("it went on elsewhere: %v", err)
	}

	// Moved away, its loss is accepted, by a running ledger too.
	w.close()
	must(t, os.WriteFile(segment, whole[:len(whole)-1], 0o600))
	l = w.open()
	must(t, os.Rename(segment, segment+".away"))
	l.archive.recheck()
	if got := said(); got != "" {
		t.Errorf("moved away: %q", got)
	}
	w.add(4)
	if got := len(w.history(0)); got != 2 {
		t.Errorf("%d checkpoints, want what was published and the new one", got)
	}
}

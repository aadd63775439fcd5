package ledger

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust"
)

// The names are those of docs/spec/storage.md: a guard that an older release made is found by them.
func TestTheFilesOfAGuardHaveTheNamesThatTheSpecificationGivesThem(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	there, err := os.ReadDir(w.cfg.GuardDir)
	must(t, err)
	var names []string
	for _, f := range there {
		names = append(names, f.Name())
	}
	if want := []string{"checkpoint", "identity", "lock", "policy", "signed"}; !slices.Equal(names, want) {
		t.Errorf("the guard holds %v, want %v", names, want)
	}
}

// Whatever stands in a file of the guard: it is what this guard wrote, or the log does not open and
// says which file it is about. Nothing is repaired, and nobody is harmed by the look.
// STO-10
func TestEveryFileOfAGuardIsWholeAndItsOwnOrRefused(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.add(1)
	w.close()
	guarded := func(name string) string { return filepath.Join(w.cfg.GuardDir, name) }
	whole := w.guardFiles()
	signed, note, id := whole[signedFile], whole[checkpointFile], whole[identityFile]
	cp, err := trust.ParseCheckpointText([]byte(signed))
	must(t, err)
	smaller := trust.Checkpoint{Origin: testOrigin, Size: 1, Root: cp.Root}
	other := trust.Checkpoint{Origin: "other.example/log", Size: cp.Size, Root: cp.Root}
	forked := trust.Checkpoint{Origin: testOrigin, Size: cp.Size, Root: tlog.Hash{1}}
	larger, err := w.cfg.Signer.Sign(testOrigin, 3, cp.Root)
	must(t, err)
	another, err := w.cfg.Signer.Sign(testOrigin, 2, tlog.Hash{2})
	must(t, err)
	past, err := w.cfg.Signer.Sign(testOrigin, 1, tlog.Hash{3})
	must(t, err)
	for _, test := range []struct {
		file, name, text, says string
	}{
		{signedFile, "empty", "", signedFile},
		{signedFile, "a newline", "\n", signedFile},
		{signedFile, "half of it", signed[:len(signed)/2], signedFile},
		{signedFile, "without its last newline", strings.TrimSuffix(signed, "\n"), signedFile},
		{signedFile, "of another origin", string(other.Text()), signedFile},
		{signedFile, "with one more line", signed + "extension\n", signedFile},
		{signedFile, "with a blank line", signed + "\n", signedFile},
		{signedFile, "twice", signed + signed, signedFile},
		{signedFile, "with a signature", note, signedFile},
		{signedFile, "not UTF-8", "\xff" + signed, signedFile},
		{signedFile, "too large", strings.Repeat("x", trust.MaxSize+1), signedFile},
		{signedFile, "of another tree", string(forked.Text()), "different times"},
		{signedFile, "of a smaller tree", string(smaller.Text()), "different times"},
		{checkpointFile, "empty", "", checkpointFile},
		{checkpointFile, "half of it", note[:len(note)/2], checkpointFile},
		{checkpointFile, "without its signature", signed, checkpointFile},
		{checkpointFile, "with another signature", strings.Replace(note, "\n\n— ", "\n\n— x", 1), checkpointFile},
		{checkpointFile, "of a larger tree", string(larger), "different times"},
		{checkpointFile, "of another tree of that size", string(another), "different times"},
		{checkpointFile, "of another past", string(past), "is not of this log"},
		{identityFile, "empty", "", "another version"},
		{identityFile, "without its newline", strings.TrimSuffix(id, "\n"), ""},
		{identityFile, "with one more line", id + "x\n", ""},
		{identityFile, "of a later version", strings.Replace(id, "v1", "v2", 1), "another version"},
	} {
		must(t, os.WriteFile(guarded(test.file), []byte(test.text), 0o600))
		before := w.guardFiles()
		if l, err := w.tryOpen(); !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s %s: opened: %t, %v", test.file, test.name, l != nil, err)
			w.close()
		}
		if !maps.Equal(before, w.guardFiles()) {
			t.Errorf("%s %s: the guard was changed", test.file, test.name)
		}
		must(t, os.WriteFile(guarded(test.file), []byte(whole[test.file]), 0o600))
	}
	for _, name := range []string{signedFile, checkpointFile, identityFile, lockFile} {
		must(t, os.RemoveAll(guarded(name)))
		must(t, os.Mkdir(guarded(name), 0o700))
		if _, err := w.tryOpen(); err == nil {
			t.Errorf("a directory for %s: opened", name)
			w.close()
		} else if strings.Contains(err.Error(), "another process") || strings.Contains(err.Error(), "there is no guard") {
			t.Errorf("a directory for %s leads astray: %v", name, err)
		} else if name == checkpointFile && !strings.Contains(err.Error(), "delete it, the next publication replaces it") {
			t.Errorf("a directory for %s: no advice: %v", name, err)
		}
		must(t, os.Remove(guarded(name)))
		must(t, os.WriteFile(guarded(name), []byte(whole[name]), 0o600))
	}
	w.open()
	w.add(2)
}

// Opening a FIFO waits for ever, and no signal ends it: a lock that is one must be refused before.
func TestALockThatIsNoRegularFileIsRefusedAndNotWaitedFor(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	elsewhere := filepath.Join(t.TempDir(), "lock")
	must(t, os.WriteFile(elsewhere, nil, 0o600))
	for _, path := range []string{filepath.Join(w.cfg.GuardDir, lockFile), filepath.Join(w.cfg.Dir, appenderLock)} {
		for what, put := range map[string]func() error{
			"FIFO":      func() error { return syscall.Mkfifo(path, 0o600) },
			"directory": func() error { return os.Mkdir(path, 0o700) },
			"link":      func() error { return os.Symlink(elsewhere, path) },
		} {
			must(t, os.RemoveAll(path))
			must(t, put())
			if _, err := w.tryOpen(); err == nil || !strings.Contains(err.Error(), path+" is not a regular file") {
				t.Errorf("a %s for %s: %v", what, path, err)
			}
			if filepath.Base(path) == appenderLock {
				if unlock, err := lockAppender(w.cfg.Dir); err == nil {
					unlock()
					t.Errorf("a child takes a %s for its lock", what)
				}
			}
			must(t, os.RemoveAll(path))
		}
	}
	w.open()
	w.add(1)
}

// A backup of the log takes along what lies inside it, whichever path leads there.
// STO-2
func TestAGuardInsideTheLogIsRefusedWhateverLeadsThere(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	guard, log := w.cfg.GuardDir, w.cfg.Dir
	refused := func(says string) {
		t.Helper()
		if _, err := w.tryOpen(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("opened, or another reason than %q: %v", says, err)
			w.close()
		}
	}
	inside := filepath.Join(log, "memory")
	must(t, os.Rename(guard, inside))
	must(t, os.Symlink(inside, guard))
	refused("lies inside the log")
	must(t, os.Remove(guard))
	must(t, os.Rename(inside, guard))

	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(log, link))
	w.cfg.GuardDir = filepath.Join(link, "not", "there")
	refused("lies inside the log")
	w.cfg.GuardDir = link
	refused("the same directory")
	w.cfg.GuardDir = filepath.Dir(log)
	refused("the log " + log + " lies inside the guard")
	must(t, os.Remove(link))
	must(t, os.Symlink(filepath.Join(t.TempDir(), "nothing"), link))
	w.cfg.GuardDir = link
	refused("following the links of " + link)

	w.cfg.GuardDir = guard
	w.open()
	w.add(1)
}

// Nobody accepted what is no regular file: it is named once, and neither counted nor tried.
func TestWhatIsNoRegularFileInTheSpoolIsNotAnAcceptedManifest(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.close()
	dir := w.cfg.SpoolDir
	if dir == "" {
		dir = w.cfg.Dir + ".spool"
	}
	must(t, os.MkdirAll(dir, 0o700))
	name := func(c string) string { return filepath.Join(dir, strings.Repeat(c, 64)) }
	must(t, os.Mkdir(name("a"), 0o700))
	must(t, syscall.Mkfifo(name("b"), 0o600))
	must(t, os.Symlink("nowhere", name("c")))
	lines := &logLines{}
	w.cfg.Log = slog.New(slog.NewTextHandler(lines, nil))
	l := w.open()
	if n := len(l.spool.digests()); n != 0 {
		t.Errorf("%d of them count as accepted", n)
	}
	w.add(0)
	if said := lines.String(); strings.Count(said, "a file of the spool is not logged") != 3 || strings.Contains(said, "tried again") {
		t.Errorf("it says: %s", said)
	}
}

func newGuard(t *testing.T) (*guard, *trust.Policy) {
	t.Helper()
	skey, vkey, err := trust.GenerateKey(seed("log"), testOrigin, trust.Ed25519)
	must(t, err)
	signer, err := trust.NewLogSigner(skey)
	must(t, err)
	policy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{Origin: testOrigin, VKey: vkey}}, nil, 0))
	must(t, err)
	dir := filepath.Join(t.TempDir(), "guard")
	must(t, createGuard(dir, signer))
	g, err := openGuard(dir, signer, policy)
	must(t, err)
	t.Cleanup(func() { g.close() })
	return g, policy
}

// What is published is served for ever: it was signed, and it never shrinks or becomes another.
// STO-9
func TestTheGuardPublishesOnlyWhatWasSignedAndContinues(t *testing.T) {
	honest, forked := hashesOf(t, 8, -1), hashesOf(t, 8, 0)
	note := func(g *guard, of testTree, size int64) *trust.Checkpoint {
		t.Helper()
		signed, err := g.signer.Sign(testOrigin, size, of.root(t, size))
		must(t, err)
		return &trust.Checkpoint{Origin: testOrigin, Size: size, Root: of.root(t, size), Signed: signed}
	}
	g, policy := newGuard(t)
	for _, size := range []int64{3, 5} {
		_, err := g.sign(tree{size, honest.root(t, size)}, honest.consistency)
		must(t, err)
	}
	refused := func(what string, cp *trust.Checkpoint) {
		t.Helper()
		before := g.published
		if err := g.publish(cp); !errors.Is(err, ErrGuard) {
			t.Errorf("%s: %v", what, err)
		}
		if g.published != before {
			t.Errorf("%s: published %v", what, g.published)
		}
		text, err := readSmall(g.dir, checkpointFile)
		if before == nil && err == nil || before != nil && string(text) != string(before.Signed) {
			t.Errorf("%s: the file holds %q, %v", what, text, err)
		}
	}
	refused("larger than what was signed", note(g, honest, 6))
	refused("another tree of the size that was signed", note(g, forked, 5))
	must(t, g.publish(note(g, honest, 3)))
	must(t, g.publish(note(g, honest, 3))) // again, with more cosignatures
	must(t, g.publish(note(g, honest, 5)))
	refused("a smaller tree", note(g, honest, 3))
	refused("a smaller tree of a fork", note(g, forked, 3))
	refused("another tree of that size", note(g, forked, 5))
	refused("a larger one that was never signed", note(g, honest, 7))
	_, err := g.sign(tree{7, honest.root(t, 7)}, honest.consistency)
	must(t, err)
	refused("a fork between what was published and what was signed, of the published size", note(g, forked, 5))
	must(t, g.publish(note(g, honest, 7)))

	// The file is what the next start reads.
	must(t, g.close())
	again, err := openGuard(g.dir, g.signer, policy)
	must(t, err)
	defer again.close()
	if again.published == nil || again.published.Size != 7 || again.highWater() != (tree{7, honest.root(t, 7)}) {
		t.Errorf("published %v, signed %v", again.published, again.highWater())
	}
	// What cannot be made durable is not published.
	must(t, os.Rename(g.dir, g.dir+"-elsewhere"))
	before := again.published
	if err := again.publish(note(g, honest, 7)); err == nil || errors.Is(err, ErrGuard) || again.published != before {
		t.Errorf("a guard without a disk published: %v", err)
	}
	must(t, os.Rename(g.dir+"-elsewhere", g.dir))
}

func TestTheGuardAdoptsOnlyALargerTreeThatContinues(t *testing.T) {
	honest, forked := hashesOf(t, 8, -1), hashesOf(t, 8, 0)
	g, _ := newGuard(t)
	at := tree{4, honest.root(t, 4)}
	_, err := g.sign(at, honest.consistency)
	must(t, err)
	for size := int64(0); size <= 4; size++ { // nothing to learn from, whatever it is
		must(t, g.adopt(tree{size, forked.root(t, size)}, forked.consistency))
	}
	if g.highWater() != at {
		t.Errorf("adopted %v", g.highWater())
	}
	if err := g.adopt(tree{6, forked.root(t, 6)}, forked.consistency); !errors.Is(err, ErrGuard) || g.highWater() != at {
		t.Errorf("a fork: %v, %v", err, g.highWater())
	}
	trouble := errors.New("input/output error")
	if err := g.adopt(tree{6, honest.root(t, 6)}, func(old, size int64) ([]tlog.Hash, error) { return nil, trouble }); !errors.Is(err, trouble) || errors.Is(err, ErrGuard) || g.highWater() != at {
		t.Errorf("without a proof: %v, %v", err, g.highWater())
	}
	larger := tree{6, honest.root(t, 6)}
	must(t, g.adopt(larger, honest.consistency))
	text, err := readSmall(g.dir, signedFile)
	cp, parseErr := trust.ParseCheckpointText(text)
	if err != nil || parseErr != nil || g.highWater() != larger || cp.Size != 6 || cp.Root != larger.Root {
		t.Errorf("adopted %v, the file holds %q", g.highWater(), text)
	}
	if note, err := g.sign(at, honest.consistency); !errors.Is(err, ErrGuard) || note != nil {
		t.Errorf("signed a smaller tree than was adopted: %q, %v", note, err)
	}
}

// A tree that is signed and cannot be published waits: nobody sees it before the guard holds it, Health
// says so, and it is published as soon as that can be.
// STO-9
func TestWhatTheGuardCannotKeepIsNotPublishedUntilItCan(t *testing.T) {
	w := newWorld(t, 1, 1)
	l := w.open()
	w.add(0)
	before, err := l.Checkpoint(t.Context())
	must(t, err)
	note := filepath.Join(w.cfg.GuardDir, checkpointFile)
	must(t, os.Remove(note))
	must(t, os.MkdirAll(filepath.Join(note, "occupied"), 0o700)) // a file is not renamed over it
	at := w.unpublished(1)
	eventually(t, "Health says so", func() bool {
		var not *NotReady
		return errors.As(l.Health(t.Context()), &not) && slices.ContainsFunc(not.Reasons, func(r Reason) bool { return r.About == "publication" })
	})
	if cp, err := l.Checkpoint(t.Context()); err != nil || cp.Size != before.Size {
		t.Errorf("published %+v, %v", cp, err)
	}
	if a, err := l.Prove(t.Context(), at); !errors.Is(err, ErrNotFound) {
		t.Errorf("proved %+v, %v", a, err)
	}
	must(t, os.RemoveAll(note))
	if a := w.add(1); a.New || a.Entry.Index != at {
		t.Errorf("logged again: %+v", a.Entry)
	}
	eventually(t, "Health is good again", func() bool { return l.Health(t.Context()) == nil })
	text, err := readSmall(w.cfg.GuardDir, checkpointFile)
	must(t, err)
	if cp, err := w.cfg.Policy.OpenCheckpoint(text); err != nil || cp.Size != before.Size+1 {
		t.Errorf("the guard holds %q, %v", text, err)
	}
}

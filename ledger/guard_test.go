package ledger

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
)

// damaged is the fault matrix of the storage below the log: 300 entries, then one
// thing goes wrong, then the ledger starts.
var damaged = map[string]struct {
	harm   func(w, old, fork *world)
	refuse bool // with ErrGuard; otherwise the log works on
}{
	"nothing":                                 {func(w, old, fork *world) {}, false},
	".state is missing":                       {func(w, old, fork *world) { w.remove(".state") }, true},
	"treeState is missing":                    {func(w, old, fork *world) { w.remove(treeStatePath) }, true},
	"treeState is older":                      {func(w, old, fork *world) { w.write(treeStatePath, old.file(treeStatePath)) }, true},
	"treeState is empty":                      {func(w, old, fork *world) { w.write(treeStatePath, nil) }, true},
	"treeState has another size":              {func(w, old, fork *world) { w.replace(treeStatePath, `"size":300`, `"size":301`) }, true},
	"treeState has a size without a tile":     {func(w, old, fork *world) { w.replace(treeStatePath, `"size":300`, `"size":999999`) }, true},
	"treeState has a size that was signed":    {func(w, old, fork *world) { w.replace(treeStatePath, `"size":300`, `"size":250`) }, true},
	"treeState is not quite JSON":             {func(w, old, fork *world) { w.replace(treeStatePath, `"size":300`, `"size":300.0`) }, true},
	"the whole log is older":                  {func(w, old, fork *world) { w.replaceDir("log", old) }, true},
	"the whole log is another":                {func(w, old, fork *world) { w.replaceDir("log", fork) }, true},
	"the whole log is gone":                   {func(w, old, fork *world) { must(w.t, os.RemoveAll(w.cfg.Dir)) }, true},
	"a bit in the edge tile":                  {func(w, old, fork *world) { w.flip("tile/0/001.p/44", 40) }, true},
	"a bit in the last hash of the edge tile": {func(w, old, fork *world) { w.flip("tile/0/001.p/44", 44*32-1) }, true},
	"a bit in the edge tile of level 1":       {func(w, old, fork *world) { w.flip("tile/1/000.p/1", 3) }, true},
	"the edge tile is gone":                   {func(w, old, fork *world) { w.remove("tile/0/001.p") }, true},
	"the edge tile is short":                  {func(w, old, fork *world) { w.truncate("tile/0/001.p/44", 32*43) }, true},
	"a bit in the edge bundle":                {func(w, old, fork *world) { w.flip("tile/entries/001.p/44", 100) }, true},
	"a length in the edge bundle":             {func(w, old, fork *world) { w.flip("tile/entries/001.p/44", 1) }, true},
	"the edge bundle is gone":                 {func(w, old, fork *world) { w.remove("tile/entries/001.p") }, true},
	"Tessera's checkpoint is older":           {func(w, old, fork *world) { w.write("checkpoint", old.file("checkpoint")) }, false},
	"Tessera's checkpoint is empty":           {func(w, old, fork *world) { w.write("checkpoint", nil) }, false},
	"Tessera's checkpoint is gone":            {func(w, old, fork *world) { w.remove("checkpoint") }, false},
	"Tessera's checkpoint is from the future": {func(w, old, fork *world) { w.touch("checkpoint", time.Now().Add(time.Hour)) }, false},
	"the index is gone":                       {func(w, old, fork *world) { w.remove("../index") }, false},
	"the index is older":                      {func(w, old, fork *world) { w.replaceDir("index", old) }, false},
	"temporary files are left":                {func(w, old, fork *world) { w.write("tile/0/0011234567", []byte("left by a crash")) }, false},
	"the guard is gone":                       {func(w, old, fork *world) { must(w.t, os.RemoveAll(w.cfg.GuardDir)) }, true},
	"the guard's identity is gone":            {func(w, old, fork *world) { w.remove("../guard/identity") }, true},
	"the guard's signed tree is gone":         {func(w, old, fork *world) { w.remove("../guard/signed") }, true},
	"the guard's signed tree is damaged":      {func(w, old, fork *world) { w.flip("../guard/signed", 30) }, true},
	"the guard's signed tree is another's":    {func(w, old, fork *world) { w.write("../guard/signed", fork.file("../guard/signed")) }, true},
	"the guard's signed tree is older":        {func(w, old, fork *world) { w.write("../guard/signed", old.file("../guard/signed")) }, true},
	"the guard's checkpoint is damaged":       {func(w, old, fork *world) { w.flip("../guard/checkpoint", 30) }, true},
	"the guard's checkpoint is gone":          {func(w, old, fork *world) { w.remove("../guard/checkpoint") }, false},
	"the guard's checkpoint is older": {func(w, old, fork *world) {
		w.write("../guard/checkpoint", old.file("../guard/checkpoint"))
	}, false},
	"the guard is older, the log is not": {func(w, old, fork *world) { w.replaceDir("guard", old) }, false},
}

func (w *world) path(name string) string { return filepath.Join(w.cfg.Dir, filepath.FromSlash(name)) }

func (w *world) file(name string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(w.path(name))
	must(w.t, err)
	return data
}

func (w *world) write(name string, data []byte) {
	w.t.Helper()
	must(w.t, os.WriteFile(w.path(name), data, 0o600))
}

func (w *world) remove(name string) {
	w.t.Helper()
	if _, err := os.Lstat(w.path(name)); err != nil && name != "checkpoint" {
		w.t.Fatal(err)
	}
	must(w.t, os.RemoveAll(w.path(name)))
}

func (w *world) flip(name string, at int) {
	w.t.Helper()
	data := w.file(name)
	data[at] ^= 1
	w.write(name, data)
}

func (w *world) truncate(name string, size int64) {
	w.t.Helper()
	must(w.t, os.Truncate(w.path(name), size))
}

func (w *world) replace(name, from, to string) {
	w.t.Helper()
	text := string(w.file(name))
	if strings.Count(text, from) != 1 {
		w.t.Fatalf("%s: no %s in %s", name, from, text)
	}
	w.write(name, []byte(strings.Replace(text, from, to, 1)))
}

func (w *world) replaceDir(name string, by *world) {
	w.t.Helper()
	must(w.t, os.RemoveAll(filepath.Join(w.dir, name)))
	must(w.t, os.CopyFS(filepath.Join(w.dir, name), os.DirFS(filepath.Join(by.dir, name))))
}

func (w *world) touch(name string, at time.Time) {
	w.t.Helper()
	if _, err := os.Lstat(w.path(name)); err != nil {
		w.write(name, []byte(testOrigin+"\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"))
	}
	must(w.t, os.Chtimes(w.path(name), at, at))
}

// guardFiles is what the guard says, without its lock.
func (w *world) guardFiles() map[string]string {
	files := map[string]string{}
	for _, name := range []string{identityFile, signedFile, checkpointFile} {
		data, err := os.ReadFile(filepath.Join(w.cfg.GuardDir, name))
		if err == nil {
			files[name] = string(data)
		}
	}
	return files
}

// threeHundred returns a closed log of 300 entries, the same log at 200, and
// another log of 300 under the same key.
func threeHundred(t *testing.T) (w, old, fork *world) {
	t.Helper()
	w = newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 200)
	w.close()
	if _, err := os.Lstat(w.path("checkpoint")); err != nil { // Tessera's, half a second later
		w.write("checkpoint", []byte(testOrigin+"\n200\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"))
	}
	old = w.copyTo(t)
	w.open()
	w.addAll(200, 300)
	w.close()
	fork = newWorld(t, 0, 0)
	fork.open()
	fork.addAll(1, 301)
	fork.close()
	return w, old, fork
}

// STO-5, STO-12
func TestEveryFaultBelowTheLogIsRefusedOrRepaired(t *testing.T) {
	base, old, fork := threeHundred(t)
	published, err := base.cfg.Policy.OpenCheckpoint(base.file("../guard/checkpoint"))
	must(t, err)
	if published.Size != 300 {
		t.Fatalf("the base has size %d", published.Size)
	}
	for name, test := range damaged {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := base.copyTo(t)
			test.harm(w, old, fork)
			before := w.guardFiles()
			l, err := w.tryOpen()
			if test.refuse {
				if !errors.Is(err, ErrGuard) {
					t.Fatalf("opens: %v", err)
				}
				t.Log(err)
				for name, text := range w.guardFiles() {
					if before[name] != text {
						t.Errorf("the guard's %s has changed", name)
					}
				}
				return
			}
			must(t, err)
			a := w.add(300)
			if !a.New || a.Entry.Index != 300 {
				t.Errorf("the next entry: new %v, index %d", a.New, a.Entry.Index)
			}
			if b := w.add(7); b.New {
				t.Error("manifest 7 is logged twice")
			}
			cp, err := l.Checkpoint(t.Context())
			must(t, err)
			proof, err := l.store.consistency(published.Size, cp.Size)
			must(t, err)
			must(t, trust.CheckConsistency(published.Size, published.Root, cp.Size, cp.Root, proof))
			if found := w.indexesOf(); len(found) != 301 {
				t.Errorf("%d manifests", len(found))
			}
		})
	}
}

// A flipped bit left of the edge is for fsck to find. It must not become a proof.
func TestADamagedFullTileOrBundleGivesNoProof(t *testing.T) {
	racetest.OneGoroutine(t)
	base, _, _ := threeHundred(t)
	for _, name := range []string{"tile/0/000", "tile/entries/000"} {
		w := base.copyTo(t)
		w.flip(name, 100)
		l := w.open()
		if a, err := l.Prove(t.Context(), 0); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
		// Sent again, a manifest that is logged gets its proof, or hears why not. Its own leaf may be whole in a
		// bundle that is not.
		if a, err := l.Add(t.Context(), manifestOf(t, 0), entry.Source{}); err == nil && (a.New || a.Proof == nil) || err != nil && !errors.Is(err, ErrUnreadable) || err == nil && name == "tile/0/000" {
			t.Errorf("%s, added again: %v, %v", name, a != nil, err)
		}
		cp, err := l.Checkpoint(t.Context())
		must(t, err)
		for e, err := range l.Entries(t.Context(), cp, 0) {
			if err == nil {
				t.Fatalf("%s: entry %d is yielded", name, e.Index)
			}
		}
	}
}

// STO-18
func TestARolledBackLogSignsNothingAndFreezesWhenAWitnessShowsWhy(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.open()
	w.addAll(0, 5)
	w.allCosigned()
	w.close()
	old := w.copyTo(t)
	w.open()
	w.addAll(5, 8)
	w.allCosigned()
	w.close()

	// Log, guard and index restored together: only the witnesses remember.
	if _, err := old.tryOpen(); !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("rolled back: %v", err)
	}
	// With the monitoring copies out of reach the log starts, and a larger size is no evidence: it
	// serves what it has, and signs nothing.
	for _, tw := range w.witnesses {
		tw.behave(onlySubmissions(tw.real))
	}
	l := old.open()
	old.unheard("w1, w2")
	// Now they show what they claim: our own signature of a larger tree.
	for _, tw := range w.witnesses {
		tw.behave(nil)
	}
	eventually(t, "the log is frozen", func() bool { return errors.Is(l.Health(t.Context()), ErrGuard) })
	wantFrozen(t, l, manifestOf(t, 30))
	old.close()
	w.open()
	if a := w.add(8); a.Entry.Index != 8 {
		t.Errorf("the original goes on at %d", a.Entry.Index)
	}
}

// A fork that is as large as the original, and another one that is larger.
// STO-12
func TestAForkedLogIsRefusedByOurOwnSignatureOfTheOther(t *testing.T) {
	for _, more := range []int{3, 4} {
		w := newWorld(t, 1, 1)
		w.open()
		w.addAll(0, 5)
		w.close()
		fork := w.copyTo(t)
		policy := fork.cfg.Policy
		var err error // signing behind the witness's back
		fork.cfg.Policy, err = trust.ParsePolicy(trust.FormatPolicy(policy.Logs(), nil, 0))
		must(t, err)
		fork.open()
		fork.addAll(20, 20+more)
		fork.close()
		w.open()
		w.addAll(5, 8)
		w.close()
		fork.cfg.Policy = policy
		if _, err := fork.tryOpen(); !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), "this log is a fork") {
			t.Errorf("%d more: %v", more, err)
		}
	}
}

// STO-10
func TestASecondOpenIsRefusedWhileTheFirstLives(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	second, err := Open(t.Context(), w.cfg)
	if !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("%v, %v", second, err)
	}
	if a := w.add(1); a.Entry.Index != 1 {
		t.Error("the first one suffers")
	}
	must(t, l.Close(t.Context()))
	w.log = nil
	w.open()
}

// STO-10
func TestAnotherKeyIsRefused(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	skey, vkey, err := trust.GenerateKey(seed("another"), testOrigin, trust.Ed25519)
	must(t, err)
	w.cfg.Signer, err = trust.NewLogSigner(skey)
	must(t, err)
	w.cfg.Policy, err = trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{Origin: testOrigin, VKey: vkey}}, nil, 0))
	must(t, err)
	if _, err := w.tryOpen(); !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), vkey) {
		t.Errorf("%v", err)
	}
}

// All trees to size 20, every pair of them, and every wrong root: the guard signs
// exactly what continues what it signed.
// STO-7, STO-8
func TestTheGuardSignsOnlyWhatContinues(t *testing.T) {
	skey, vkey, err := trust.GenerateKey(seed("log"), testOrigin, trust.Ed25519)
	must(t, err)
	signer, err := trust.NewLogSigner(skey)
	must(t, err)
	policy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{Origin: testOrigin, VKey: vkey}}, nil, 0))
	must(t, err)
	const n = 20
	honest, forked := hashesOf(t, n, -1), hashesOf(t, n, 0)
	dir := t.TempDir()
	must(t, createGuard(filepath.Join(dir, "guard"), signer))
	g, err := openGuard(filepath.Join(dir, "guard"), signer, policy)
	must(t, err)
	for at := int64(0); at <= n; at++ {
		for size := int64(0); size <= n; size++ {
			trial := &guard{dir: t.TempDir(), signer: signer, signed: tree{at, honest.root(t, at)}}
			note, err := trial.sign(tree{size, honest.root(t, size)}, honest.consistency)
			if (err == nil) != (size >= at) {
				t.Errorf("from %d to %d: %v", at, size, err)
			}
			if err == nil {
				if cp, err := policy.OpenCheckpoint(note); err != nil || cp.Size != size {
					t.Errorf("%v, %v", cp, err)
				}
				if at != size {
					signed, err := os.ReadFile(filepath.Join(trial.dir, signedFile))
					must(t, err)
					if !bytes.HasPrefix(note, signed) {
						t.Errorf("signed %q, the guard holds %q", note, signed)
					}
				}
			}
			if at == 0 || size == 0 {
				continue
			}
			for _, proofs := range []testTree{honest, forked} {
				if _, err := trial.sign(tree{size, forked.root(t, size)}, proofs.consistency); !errors.Is(err, ErrGuard) {
					t.Errorf("from %d to a fork of %d: %v", at, size, err)
				}
			}
		}
	}
	// What cannot be made durable is not signed.
	must(t, os.Rename(filepath.Join(dir, "guard"), filepath.Join(dir, "elsewhere")))
	if note, err := g.sign(tree{3, honest.root(t, 3)}, honest.consistency); err == nil || errors.Is(err, ErrGuard) || note != nil {
		t.Errorf("a guard without a disk: %q, %v", note, err)
	}
	must(t, os.Rename(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "guard")))
	_, err = g.sign(tree{3, honest.root(t, 3)}, honest.consistency)
	must(t, err)
	must(t, g.close())
	g, err = openGuard(filepath.Join(dir, "guard"), signer, policy)
	must(t, err)
	defer g.close()
	if g.highWater() != (tree{3, honest.root(t, 3)}) {
		t.Errorf("the guard remembers %v", g.highWater())
	}
	if err := g.publish(&trust.Checkpoint{Origin: testOrigin, Size: 4, Root: honest.root(t, 4)}); !errors.Is(err, ErrGuard) {
		t.Errorf("publishing what was not signed: %v", err)
	}
	if err := createGuard(filepath.Join(dir, "guard"), signer); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating over a guard: %v", err)
	}
}

// testTree holds the stored hashes of a small log.
type testTree []tlog.Hash

// hashesOf makes a tree of n leaves; the leaf at index odd is another one.
func hashesOf(t *testing.T, n, odd int64) (hashes testTree) {
	t.Helper()
	for i := range n {
		leaf := []byte{byte(i)}
		if i == odd {
			leaf = []byte("fork")
		}
		more, err := tlog.StoredHashes(i, leaf, hashes)
		must(t, err)
		hashes = append(hashes, more...)
	}
	return hashes
}

func (h testTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var list []tlog.Hash
	for _, i := range indexes {
		list = append(list, h[i])
	}
	return list, nil
}

func (h testTree) root(t *testing.T, n int64) tlog.Hash {
	t.Helper()
	if n == 0 {
		return trust.EmptyRoot
	}
	root, err := tlog.TreeHash(n, h)
	must(t, err)
	return root
}

func (h testTree) consistency(old, size int64) ([]tlog.Hash, error) {
	if old == 0 || old >= size {
		return nil, nil
	}
	return tlog.ProveTree(size, old, h)
}

// A bit that flips while the log is open is caught before the next signature, and
// ends the log: what Tessera built on it cannot be unbuilt.
// STO-7, STO-18
func TestABitFlippedUnderARunningLogFreezesIt(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	w.add(1)
	before, err := l.Checkpoint(t.Context())
	must(t, err)
	w.flip("tile/0/000.p/2", 10)
	if _, err := l.Add(t.Context(), manifestOf(t, 2), entry.Source{}); err == nil {
		t.Error("an entry over a damaged tile has a proof")
	}
	eventually(t, "the log is frozen", func() bool { return l.frozen() != nil })
	wantFrozen(t, l, manifestOf(t, 3))
	if cp, err := l.Checkpoint(t.Context()); err != nil || cp.Size != before.Size {
		t.Errorf("%v, %v", cp, err)
	}
	w.close()
	if _, err := w.tryOpen(); !errors.Is(err, ErrGuard) {
		t.Errorf("after a restart: %v", err)
	}
}

// wantFrozen: a frozen log says so and nothing else, not that storage refuses writes or that witnesses are awaited.
func wantFrozen(t *testing.T, l *Log, manifest []byte) {
	t.Helper()
	if _, err := l.Add(t.Context(), manifest, entry.Source{}); !errors.Is(err, ErrFrozen) || errors.Is(err, ErrStorage) {
		t.Errorf("a submission to a frozen log: %v", err)
	}
	if _, err := l.Accept(t.Context(), manifest, entry.Source{}); !errors.Is(err, ErrFrozen) || errors.Is(err, ErrStorage) {
		t.Errorf("a submission to a frozen log with 202: %v", err)
	}
	var not *NotReady
	if err := l.Health(t.Context()); !errors.As(err, &not) || not.Reasons[0].About != "frozen" || errors.Is(err, ErrStorage) {
		t.Fatalf("health of a frozen log: %v", err)
	}
	for _, r := range not.Reasons {
		if r.About == "witnesses" || r.About == "publication" {
			t.Errorf("a frozen log waits for %s: %v", r.About, r.Err)
		}
	}
}

// STO-11
func TestAGuardThatWasLostIsMadeAnewAndLearnsFromTheWitnesses(t *testing.T) {
	w := newWorld(t, 2, 2)
	w.open()
	w.addAll(0, 3)
	w.close()
	old := w.copyTo(t)
	w.open()
	w.addAll(3, 7)
	w.allCosigned()
	w.close()

	if _, err := RemakeGuard(t.Context(), w.cfg, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a guard that is there was replaced: %v", err)
	}
	for _, x := range []*world{w, old} {
		must(t, os.RemoveAll(x.cfg.GuardDir))
	}
	if _, err := w.tryOpen(); !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), "ledger guard init") {
		t.Errorf("without a guard: %v", err)
	}

	size, err := RemakeGuard(t.Context(), old.cfg, false)
	must(t, err)
	if size != 3 {
		t.Errorf("the older copy has size %d", size)
	}
	if _, err := old.tryOpen(); !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("an older copy of the log with a new guard: %v", err)
	}

	size, err = RemakeGuard(t.Context(), w.cfg, false)
	must(t, err)
	if size != 7 {
		t.Errorf("the newest copy has size %d", size)
	}
	for _, tw := range w.witnesses {
		tw.behave(down)
	}
	l := w.open() // nobody can say what was signed: nothing is
	if _, err := l.Add(t.Context(), manifestOf(t, 7), entry.Source{}); !errors.As(err, new(*Unheard)) {
		t.Errorf("signed before any witness was heard: %v", err)
	}
	for _, tw := range w.witnesses {
		tw.behave(nil)
	}
	w.heard()
	if got := l.guard.highWater().Size; got != 7 {
		t.Errorf("the new guard learned size %d", got)
	}
	if a := w.add(7); a.Entry.Index != 7 {
		t.Errorf("index %d", a.Entry.Index)
	}
}

// STO-11
func TestWithoutAWitnessAGuardIsMadeAnewOnlyIfTheRiskIsAccepted(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 2)
	w.close()
	must(t, os.RemoveAll(w.cfg.GuardDir))
	if _, err := RemakeGuard(t.Context(), w.cfg, false); !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), "a second history") {
		t.Errorf("refused with %v", err)
	}
	if _, err := os.Lstat(w.cfg.GuardDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a guard is there: %v", err)
	}
	_, err := RemakeGuard(t.Context(), w.cfg, true)
	must(t, err)
	w.open()
	if a := w.add(2); a.Entry.Index != 2 {
		t.Errorf("index %d", a.Entry.Index)
	}
}

package ledger

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// fileFor puts a file where a directory was, whose content nothing can read then: unlike a missing file that is no
// damage, for root too. What it returns brings the directory back.
func fileFor(t testing.TB, dir string) (restore func()) {
	t.Helper()
	must(t, os.Rename(dir, dir+".away"))
	must(t, os.WriteFile(dir, nil, 0o600))
	return func() {
		t.Helper()
		must(t, os.Remove(dir))
		must(t, os.Rename(dir+".away", dir))
	}
}

// Storage that cannot be read now is no verdict on the log: nobody is told to restore a copy, and nothing is changed.
func TestALogWhoseStorageCannotBeReadDoesNotOpenAndIsNotAccused(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 3)
	w.close()
	for _, dir := range []string{w.cfg.Dir, w.path(".state"), w.path("tile/0"), w.path("tile/entries")} {
		restore := fileFor(t, dir)
		before := w.guardFiles()
		l, err := w.tryOpen()
		if err == nil || l != nil || errors.Is(err, ErrGuard) || errors.Is(err, ErrHistory) || !strings.Contains(err.Error(), "opening the log: ") {
			t.Errorf("a file for %s: %v", dir, err)
		}
		if after := w.guardFiles(); fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("a file for %s: the guard was changed to %v", dir, after)
		}
		restore()
	}
	spool := w.cfg.Dir + ".spool"
	must(t, os.WriteFile(spool, nil, 0o600))
	if _, err := w.tryOpen(); err == nil || !strings.Contains(err.Error(), "opening the log: reading the spool") {
		t.Errorf("a file for the spool: %v", err)
	}
	must(t, os.Remove(spool))
	w.open() // each failed start has given the guard back
	w.add(3)
}

// scripted is an index of which some answers are a test's.
type scripted struct {
	Index
	size     func() (int64, error)
	find     func() (int64, bool, error)
	appended func(start int64, entries []entry.Logged) error
}

func (x *scripted) Size(ctx context.Context) (int64, error) {
	if x.size != nil {
		return x.size()
	}
	return x.Index.Size(ctx)
}

func (x *scripted) Find(ctx context.Context, digest trust.Digest) (int64, bool, error) {
	if x.find != nil {
		return x.find()
	}
	return x.Index.Find(ctx, digest)
}

func (x *scripted) Append(ctx context.Context, start int64, entries []entry.Logged) error {
	if x.appended != nil {
		return x.appended(start, entries)
	}
	return x.Index.Append(ctx, start, entries)
}

func TestALogDoesNotOpenWithAnIndexThatCannotBeAsked(t *testing.T) {
	trouble := errors.New("input/output error")
	w := newWorld(t, 0, 0)
	x := &scripted{}
	w.wrapIndex = func(real Index) Index { x.Index = real; return x }
	w.open()
	w.add(0)
	w.close()
	x.size = func() (int64, error) { return 0, trouble }
	if l, err := w.tryOpen(); l != nil || !errors.Is(err, trouble) || !strings.Contains(err.Error(), "opening the log: ") {
		t.Errorf("an index without a size: %v", err)
	}
	x.size = nil
	w.open()
	w.add(1)
}

// The index is behind, and what it lacks is no entry: the index of such a log would never be whole.
func TestALogWithALeafThatIsNoEntryDoesNotOpen(t *testing.T) {
	w := newWorld(t, 0, 0)
	a := w.newAppender()
	for _, leaf := range []string{"no entry", "neither"} {
		_, err := a.add([]byte(leaf))
		must(t, err)
	}
	a.close()
	if l, err := w.tryOpen(); l != nil || !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "bringing the index to the log's size") || !strings.Contains(err.Error(), "leaf 0 is no entry") {
		t.Errorf("opened %t: %v", l != nil, err)
	}
}

// A start that is given up while the index is brought to the log's size has not opened the log.
func TestAStartThatIsGivenUpOpensNothing(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	ctx, cancel := context.WithCancel(t.Context())
	cfg := w.cfg
	x, err := index.Open(filepath.Join(t.TempDir(), "index"), testOrigin)
	must(t, err)
	defer x.Close()
	cfg.Index = &scripted{Index: x, appended: func(int64, []entry.Logged) error { cancel(); return errors.New("interrupted") }}
	if l, err := Open(ctx, cfg); err == nil || l != nil {
		t.Errorf("opened: %v", err)
	}
	w.open()
	w.add(1)
}

func TestWhatTheFollowerCannotReadStaysToBeIndexed(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.addAll(0, 3)
	eventually(t, "everything is indexed", func() bool { size, err := w.index.Size(t.Context()); return err == nil && size == 3 })
	trouble := errors.New("input/output error")
	x := &scripted{Index: w.index, size: func() (int64, error) { return 0, trouble }}
	f := &follower{store: l.store, index: x, log: slog.New(slog.DiscardHandler), grown: make(chan struct{}, 1)}
	if err := f.begin(t.Context(), 3); !errors.Is(err, trouble) {
		t.Errorf("an index without a size: %v", err)
	}
	if more, err := f.step(t.Context(), 3); more || !errors.Is(err, trouble) {
		t.Errorf("a step of it: %t, %v", more, err)
	}

	x.size = func() (int64, error) { return 0, nil }
	restore := fileFor(t, w.path("tile/entries"))
	if more, err := f.step(t.Context(), 3); more || err == nil || errors.Is(err, errDamaged) {
		t.Errorf("entries that cannot be read: %t, %v", more, err)
	}
	if _, err := newFollower(t.Context(), l.store, w.index, tree{Size: 3}, f.log); err == nil {
		t.Error("a follower of a log whose last entry cannot be read")
	}
	restore()
	must(t, os.Rename(w.path("tile/entries"), w.path("tile/gone")))
	if more, err := f.step(t.Context(), 3); more || !errors.Is(err, errDamaged) {
		t.Errorf("entries that are missing: %t, %v", more, err)
	}
	must(t, os.Rename(w.path("tile/gone"), w.path("tile/entries")))

	restore = fileFor(t, w.path(".state"))
	if err := f.catchUp(t.Context()); err == nil || errors.Is(err, errDamaged) {
		t.Errorf("a tree whose size cannot be read: %v", err)
	}
	if err := f.reset(trouble); !errors.Is(err, trouble) || err == trouble {
		t.Errorf("reset without the size of the tree: %v", err)
	}
	restore()
	if size, err := w.index.Size(t.Context()); size != 3 || err != nil {
		t.Errorf("the index was reset without knowing to what: size %d, %v", size, err)
	}
}

// An index that shrinks while it takes a batch refuses the batch; the next step begins where it ends by then.
func TestABatchThatTheIndexRefusesBecauseItShrankIsMadeAgain(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.addAll(0, 3)
	refused := errors.New("it begins elsewhere")
	size := int64(2)
	x := &scripted{Index: w.index, size: func() (int64, error) { return size, nil },
		appended: func(start int64, entries []entry.Logged) error {
			if start != size {
				t.Errorf("appended at %d, its size is %d", start, size)
			}
			if size == 2 {
				size = 1
				return refused
			}
			size = start + int64(len(entries))
			return nil
		}}
	f := &follower{store: l.store, index: x, log: slog.New(slog.DiscardHandler)}
	for _, want := range []int64{1, 3} {
		if more, err := f.step(t.Context(), 3); !more || err != nil || size != want {
			t.Errorf("a step: %t, %v, the index has %d, want %d", more, err, size, want)
		}
	}
	if more, err := f.step(t.Context(), 3); more || err != nil {
		t.Errorf("a step with nothing to do: %t, %v", more, err)
	}
	size = 2
	x.appended = func(int64, []entry.Logged) error { return refused }
	if more, err := f.step(t.Context(), 3); more || !errors.Is(err, refused) {
		t.Errorf("refused for another reason: %t, %v", more, err)
	}
}

// Health: the index is whole, and its follower is in trouble with what comes next.
func TestAnIndexThatDoesNotFollowIsSaidWhenItIsWholeToo(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	eventually(t, "ready", func() bool { return l.Health(t.Context()) == nil })
	restore := fileFor(t, w.path(".state"))
	l.follower.notify()
	eventually(t, "it is said", func() bool { return w.reasonsOf("index") == "The index does not follow the log." })
	restore()
	l.follower.notify()
	eventually(t, "ready again", func() bool { return l.Health(t.Context()) == nil })
	w.add(1)
}

// What was reported as failed has to be looked for before anything is taken; if nobody can look, nothing is.
// STO-21
func TestNothingIsTakenWhileNobodyCanTellWhatAFailedWriteDid(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	l.mu.Lock()
	l.failures++
	l.mu.Unlock()
	restore := fileFor(t, w.path(".state"))
	for _, i := range []int{0, 1} {
		if a, err := l.Add(t.Context(), manifestOf(t, i), entry.Source{}); a != nil || !errors.Is(err, ErrStorage) {
			t.Errorf("manifest %d: %v, %v", i, a, err)
		}
	}
	l.mu.Lock()
	if l.resolved != 0 {
		t.Errorf("%d failures are thought to be resolved", l.resolved)
	}
	l.failures-- // now there is none, and the entry that the index names cannot be compared
	l.mu.Unlock()
	if a, err := l.Add(t.Context(), manifestOf(t, 0), entry.Source{}); a != nil || !errors.Is(err, ErrStorage) {
		t.Errorf("an entry of a tree that cannot be read: %v, %v", a, err)
	}
	restore()
	l.mu.Lock()
	l.failures++
	l.mu.Unlock()
	if a := w.add(1); !a.New || a.Entry.Index != 1 {
		t.Errorf("new %v at %d", a.New, a.Entry.Index)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resolved != 1 || l.failures != 1 {
		t.Errorf("%d of %d failures are resolved", l.resolved, l.failures)
	}
}

// A proof is verified before anybody gets it: one of another leaf, or one that cannot be made, is an error.
// STO-24
func TestAProofThatDoesNotHoldIsNotGivenOut(t *testing.T) {
	w := openThreeHundred(t)
	l := w.log
	seen := l.publisher.current.Load()
	e := w.add(7).Entry
	leaf := e.Leaf
	if p, err := l.proof(seen, e.Index, leaf); err != nil || p.Index != e.Index {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		index int64
		leaf  []byte
	}{"of another leaf": {e.Index, leaf[1:]}, "of another place": {(e.Index + 1) % 300, leaf}, "beyond the end": {300, leaf}} {
		if p, err := l.proof(seen, test.index, test.leaf); p != nil || !errors.Is(err, ErrUnreadable) {
			t.Errorf("a proof %s: %v, %v", name, p, err)
		}
	}
	const edge = "tile/1/000.p/1" // entries are read without it, and nothing is proved
	whole := w.file(edge)
	w.flip(edge, 5)
	seen.tiles.mu.Lock()
	seen.tiles.tiles = nil // it may have been read already
	seen.tiles.mu.Unlock()
	if a, err := l.Add(t.Context(), manifestOf(t, 7), entry.Source{}); a != nil || !errors.Is(err, ErrUnreadable) {
		t.Errorf("added: %v, %v", a, err)
	}
	if a, err := l.Prove(t.Context(), 7); a != nil || !errors.Is(err, ErrUnreadable) {
		t.Errorf("proved: %v, %v", a, err)
	}
	w.write(edge, whole)
	if a := w.add(7); a.New {
		t.Error("manifest 7 is new")
	}
	restore := fileFor(t, w.path("tile/1"))
	seen.tiles.mu.Lock()
	seen.tiles.tiles = nil
	seen.tiles.mu.Unlock()
	if _, err := newReader(l.store, seen).edgeTiles(); err == nil || errors.Is(err, errDamaged) {
		t.Errorf("an edge that cannot be read: %v", err)
	}
	if hashes, err := newReader(l.store, seen).ReadHashes([]int64{0}); err == nil || hashes != nil {
		t.Errorf("hashes of it: %v, %v", hashes, err)
	}
	restore()
	if hashes, err := newReader(l.store, seen).ReadHashes([]int64{1 << 20}); err == nil || hashes != nil {
		t.Errorf("hashes beyond the tree: %v, %v", hashes, err)
	}
}

// Whoever waits when a log closes in a hurry is told that, and not that storage or an authority failed.
func TestACloseInAHurryTellsThoseWhoWaitAndLosesNothing(t *testing.T) {
	asked, hurry := make(chan struct{}, 1), atomic.Bool{}
	hurry.Store(true)
	w := newWorld(t, 0, 0, func(c *Config) {
		c.Timestamps = TimestampsRequired
		c.TSA = tsaFunc(func(ctx context.Context, _ [32]byte) (*timestamp.Token, error) {
			if hurry.Load() {
				asked <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &timestamp.Token{DER: []byte("token")}, nil
		})
	})
	l := w.open()
	answer := make(chan error, 1)
	go func() { _, err := l.Add(context.Background(), manifestOf(t, 0), entry.Source{}); answer <- err }()
	<-asked
	over := errors.New("no time left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	if err := l.Close(ctx); !errors.Is(err, over) {
		t.Errorf("closed in a hurry: %v", err)
	}
	if err := <-answer; !errors.Is(err, ErrClosed) || !errors.Is(err, ErrTimestamp) {
		t.Errorf("who waited is told %v", err)
	}
	w.close() // waits again
	hurry.Store(false)
	w.open()
	if a := w.add(0); !a.New || a.Entry.Index != 0 {
		t.Errorf("new %v at %d", a.New, a.Entry.Index)
	}
}

// An entry may be published in the moment in which publication ends, or not any more.
func TestWhoWaitsWhenPublicationEndsGetsTheProofOrTheReason(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	w.close()
	if seen, err := l.awaitPublished(t.Context(), 0); err != nil || seen.size() != 1 {
		t.Errorf("an entry that is published: %v", err)
	}
	if seen, err := l.awaitPublished(t.Context(), 1); seen != nil || !errors.Is(err, ErrUnpublished) || errors.Is(err, ErrFrozen) {
		t.Errorf("an entry that never was: %v", err)
	}
	current := l.publisher.current.Load()
	l.publisher.current.Store(&snapshot{changed: current.changed})
	u := &Unheard{[]string{"w1"}}
	l.publisher.unheard.Store(u)
	if seen, err := l.awaitPublished(t.Context(), 0); seen != nil || !errors.Is(err, ErrUnpublished) || !errors.As(err, new(*Unheard)) {
		t.Errorf("before witnesses were heard: %v", err)
	}
	l.freeze(errors.New("a test"))
	if err := l.awaitHeard(t.Context()); !errors.Is(err, ErrFrozen) || errors.As(err, new(*Unheard)) {
		t.Errorf("a frozen log waits for witnesses: %v", err)
	}
	l.publisher.unheard.Store(nil)
	if err := l.awaitHeard(t.Context()); err != nil {
		t.Errorf("all were heard: %v", err)
	}
	if seen, err := l.awaitPublished(t.Context(), 0); seen != nil || !errors.Is(err, ErrFrozen) {
		t.Errorf("frozen: %v", err)
	}
}

// panics is a transport that falls over while it is told to.
type panics struct {
	real http.RoundTripper
	on   atomic.Bool
}

func (p *panics) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.on.Load() {
		panic("a test of the transport")
	}
	return p.real.RoundTrip(r)
}

// A question that panics is an answer that failed: at a start, and later.
func TestAQuestionThatPanicsIsAWitnessThatDoesNotCosign(t *testing.T) {
	p := &panics{real: http.DefaultTransport}
	said := &lines{}
	w := newWorld(t, 1, 1, func(c *Config) {
		c.HTTP = &http.Client{Transport: p}
		c.Log = slog.New(slog.NewTextHandler(said, nil))
	})
	p.on.Store(true)
	l := w.open()
	if said.count("asking a witness panicked") == 0 {
		t.Error("the start does not tell of it")
	}
	if _, err := l.Add(t.Context(), manifestOf(t, 0), entry.Source{}); !errors.As(err, new(*Unheard)) {
		t.Errorf("before a witness was heard: %v", err)
	}
	p.on.Store(false)
	w.heard()
	w.add(0)
	p.on.Store(true)
	w.unpublished(1)
	eventually(t, "Health tells of the quorum", func() bool { return errors.Is(l.Health(t.Context()), trust.ErrQuorum) })
	p.on.Store(false)
	w.add(1)
	eventually(t, "ready", func() bool { return l.Health(t.Context()) == nil })
}

// A panic of the one goroutine that publishes ends publication, and not the process.
func TestAPublisherThatPanicsFreezesTheLog(t *testing.T) {
	w := newWorld(t, 1, 1)
	var frozen error
	p := publisherOf(t, w, func(err error) { frozen = err })
	p.answers <- answer{} // of nobody
	p.run()
	if frozen == nil || !strings.Contains(frozen.Error(), "publishing panicked") {
		t.Errorf("frozen: %v", frozen)
	}
	select {
	case <-p.done:
	default:
		t.Error("whoever waits for publication to end waits for ever")
	}
	if p.ctx.Err() == nil {
		t.Error("witnesses are still asked")
	}
}

// A tree that cannot be read is tried again, and is nobody's fork.
func TestAPublisherThatCannotReadTheTreeTriesAgain(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	restore := fileFor(t, w.path(".state"))
	l.publisher.notify()
	eventually(t, "Health tells of it", func() bool { return w.reasonsOf("publication") == "The last checkpoint has not been published yet." })
	if err := l.frozen(); err != nil {
		t.Errorf("frozen: %v", err)
	}
	restore()
	w.add(1)
	eventually(t, "ready", func() bool { return l.Health(t.Context()) == nil })
}

// A cosignature that cannot be kept is not shown either; the checkpoint stays as it was published.
// STO-9, STO-23
func TestALateCosignatureThatCannotBeKeptIsNotShown(t *testing.T) {
	said := &lines{}
	w := newWorld(t, 2, 1, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	l := w.open()
	w.allCosigned()
	release := make(chan struct{})
	slow := w.witnesses[1]
	slow.behave(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		<-release
		slow.real.ServeHTTP(rw, r)
	}))
	w.add(0)
	note := filepath.Join(w.cfg.GuardDir, checkpointFile)
	whole, err := os.ReadFile(note)
	must(t, err)
	must(t, os.Remove(note))
	must(t, os.MkdirAll(filepath.Join(note, "occupied"), 0o700))
	close(release)
	eventually(t, "it is said", func() bool { return said.count("a late cosignature is not published") == 1 })
	cp, err := l.Checkpoint(t.Context())
	must(t, err)
	if len(cp.Cosignatures) != 1 || string(cp.Signed) != string(whole) {
		t.Errorf("shown: %s", cp.Signed)
	}
	slow.behave(nil)
	must(t, os.RemoveAll(note))
	w.add(1)
	w.allCosigned()
}

// The log's own checkpoint in another's hand proves nothing while the log cannot be read.
// WIT-36
func TestACheckpointThatCannotBeComparedIsNoEvidence(t *testing.T) {
	past, policy, cp, _, world := answering(t)
	for _, size := range []int64{2, 4} {
		note, err := world.cfg.Signer.Sign(testOrigin, size, cp.Root)
		must(t, err)
		shown, err := policy.OpenLogSignature(note)
		must(t, err)
		part := map[int64]string{2: "tile/0", 4: ".state"}[size]
		restore := fileFor(t, world.path(part))
		if err := past.judgeOwnCheckpoint(shown); err == nil || errors.Is(err, errForked) {
			t.Errorf("a checkpoint of size %d without %s: %v", size, part, err)
		}
		restore()
		if err := past.judgeOwnCheckpoint(shown); !errors.Is(err, errForked) {
			t.Errorf("a checkpoint of size %d: %v", size, err)
		}
	}
}

// Nothing is asked without a proof that the witness could check.
func TestAWitnessIsNotAskedWhileNothingCanBeProved(t *testing.T) {
	past, policy, cp, _, world := answering(t)
	restore := fileFor(t, world.path("tile/0"))
	defer restore()
	e := &endpoint{url: "https://witness.example", witnesses: []string{"here.ed"}, known: 1}
	client := clientOf(func(r *http.Request) (*http.Response, error) {
		t.Errorf("asked by %s %s", r.Method, r.URL)
		return nil, errors.New("no answer")
	})
	r, err := e.ask(t.Context(), client, policy, cp, past)
	if err == nil || !strings.Contains(err.Error(), "proving consistency from size 1") || len(r.cosignatures) != 0 || e.known != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	bad := &endpoint{url: "https://witness\x7f.example"}
	if _, err := bad.ask(t.Context(), client, policy, cp, past); err == nil {
		t.Error("a place that is none was asked")
	}
	if _, err := bad.latest(t.Context(), client, policy, testOrigin); err == nil {
		t.Error("a place that is none has shown something")
	}
}

// What stands in the way of a guard that is made anew is an error, and no guard is left behind.
func TestAGuardIsNotMadeForALogThatCannotBeRead(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	must(t, os.RemoveAll(w.cfg.GuardDir))
	lock := w.path(appenderLock)
	for name, fault := range map[string]func() (mend func()){
		"no log": func() func() {
			must(t, os.Rename(w.cfg.Dir, w.cfg.Dir+".away"))
			return func() { must(t, os.Rename(w.cfg.Dir+".away", w.cfg.Dir)) }
		},
		"a file for the log":  func() func() { return fileFor(t, w.cfg.Dir) },
		"no state":            func() func() { return fileFor(t, w.path(".state")) },
		"no lock of children": func() func() { must(t, os.MkdirAll(lock, 0o700)); return func() { must(t, os.RemoveAll(lock)) } },
		"a file for the guard": func() func() {
			must(t, os.WriteFile(w.cfg.GuardDir, nil, 0o600))
			return func() { must(t, os.Remove(w.cfg.GuardDir)) }
		},
	} {
		mend := fault()
		if size, err := RemakeGuard(t.Context(), w.cfg, true); err == nil {
			t.Errorf("%s: a guard was made for a log of size %d", name, size)
		}
		mend()
		if _, err := os.Lstat(w.cfg.GuardDir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a guard is left: %v", name, err)
		}
	}
	broken := w.cfg
	broken.Timestamps = "perhaps"
	if _, err := RemakeGuard(t.Context(), broken, true); err == nil || !strings.Contains(err.Error(), "perhaps") {
		t.Errorf("a configuration that is none: %v", err)
	}
	size, err := RemakeGuard(t.Context(), w.cfg, true)
	if size != 1 || err != nil {
		t.Errorf("size %d, %v", size, err)
	}
}

// A policy that cannot be kept is said, and the log opens: it is told of again at the next start.
func TestAPolicyThatCannotBeRememberedIsSaid(t *testing.T) {
	said := &lines{}
	w := newWorld(t, 0, 0, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	must(t, os.Mkdir(filepath.Join(w.cfg.GuardDir, policyFile), 0o700))
	w.open()
	w.add(0)
	if said.count("the policy of this start is not remembered") != 1 {
		t.Error("nothing is said")
	}
}

// wholeIndex is one in which nothing is to be checked.
type wholeIndex struct{ Index }

func (wholeIndex) Lost() error                                              { return nil }
func (wholeIndex) Steps() int64                                             { return 0 }
func (wholeIndex) Check(context.Context, func(context.Context) error) error { return nil }

// The scrub goes on after whatever happens to a pass of it.
func TestAPassOfTheScrubThatPanicsIsAnErrorAndTheNextOneComes(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	synctest.Test(t, func(t *testing.T) {
		said := &lines{}
		var passes atomic.Int64
		s := &scrubber{every: time.Minute, log: slog.New(slog.NewTextHandler(said, nil)), done: make(chan struct{}),
			reader: func() *reader {
				if passes.Add(1) <= 2 {
					panic("a test of the scrub")
				}
				return newReader(l.store, l.publisher.current.Load())
			},
			index: wholeIndex{}}
		ctx, cancel := context.WithCancel(t.Context())
		go s.run(ctx)
		time.Sleep(2*recheckEvery + time.Minute + time.Second)
		cancel()
		<-s.done
		if n := said.count("reading the log and its index again"); n != 2 || said.count("a test of the scrub") != 2 || passes.Load() < 4 {
			t.Errorf("%d errors, %d looks: %s", n, passes.Load(), said.text.String())
		}
	})
}

// serveAppender runs a child of the directory in this process, which is given frames and answers them.
func serveAppender(dir string, out io.Writer, frames ...[]byte) error {
	var in bytes.Buffer
	for i, f := range frames {
		if i == 0 && f == nil {
			f, _ = json.Marshal(tesseraConfig{Dir: dir, Origin: testOrigin, BatchSize: 8, BatchAge: time.Millisecond})
		}
		_ = writeFrame(&in, f)
	}
	return ServeAppender(&in, out, slog.New(slog.DiscardHandler))
}

// failing takes so many writes and then no more.
type failing struct {
	takes int
	bytes.Buffer
}

var errGone = errors.New("the reader has gone")

func (f *failing) Write(p []byte) (int, error) {
	if f.takes--; f.takes < 0 {
		return 0, errGone
	}
	return f.Buffer.Write(p)
}

// What a child is asked it answers in order, a leaf and a ping alike; what it cannot do it says, and ends.
func TestAChildAnswersEveryFrameInOrderOrEndsWithAnError(t *testing.T) {
	w := newWorld(t, 0, 0)
	var out bytes.Buffer
	must(t, serveAppender(w.cfg.Dir, &out, nil, []byte("leaf 0"), nil, []byte("leaf 1"), nil))
	for i, want := range []int64{0, 0, 0, 1, 0} {
		frame, err := readFrame(&out)
		must(t, err)
		if a, err := parseAnswered(frame); err != nil || a.err != nil || a.index != want {
			t.Errorf("answer %d: %+v, %v, want index %d", i, a, err, want)
		}
	}
	if _, err := readFrame(&out); err != io.EOF {
		t.Errorf("after the last answer: %v", err)
	}
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	defer s.close()
	for name, text := range map[string]string{"no JSON": "{", "a member that nobody knows": `{"Dir":"x","Key":"secret"}`, "nothing": ""} {
		out.Reset()
		if err := serveAppender(w.cfg.Dir, &out, []byte(text)); err == nil || !strings.Contains(err.Error(), "reading the appender's configuration") || out.Len() > 0 {
			t.Errorf("%s: %v, said %q", name, err, out.String())
		}
	}
	if err := serveAppender(w.cfg.Dir, &out); err == nil || !strings.Contains(err.Error(), "reading the appender's configuration") {
		t.Errorf("an end before the configuration: %v", err)
	}
	refuses := func(what, says string, dir string) {
		t.Helper()
		out.Reset()
		err := serveAppender(dir, &out, nil, []byte("leaf"))
		frame, readErr := readFrame(&out)
		a, _ := parseAnswered(frame)
		if err == nil || readErr != nil || a.err == nil || !strings.Contains(a.err.Error(), says) || !strings.Contains(err.Error(), says) || out.Len() > 0 {
			t.Errorf("%s: it says %v, and ends with %v", what, a.err, err)
		}
	}
	refuses("no directory", "no such file", filepath.Join(w.dir, "nowhere"))
	must(t, os.Mkdir(w.path("checkpoint1"), 0o700))
	w.write("checkpoint1/x", nil)
	refuses("storage that does not open", "checkpoint1", w.cfg.Dir)
	must(t, os.RemoveAll(w.path("checkpoint1")))

	for takes := range 4 { // of the length and of the text of the first answer, and of those after it
		gone := &failing{takes: takes}
		if err := serveAppender(w.cfg.Dir, gone, nil, fmt.Appendf(nil, "leaf of %d", takes)); (err == nil) != (takes > 2) || err != nil && !errors.Is(err, errGone) {
			t.Errorf("a parent that is gone after %d writes: %v", takes, err)
		}
	}
	now, err := s.treeState()
	must(t, err)
	if now.Size != 4 { // the two, and those that were begun before the parent was found to be gone
		t.Errorf("the tree has %d leaves", now.Size)
	}
	var in bytes.Buffer
	text, err := json.Marshal(tesseraConfig{Dir: w.cfg.Dir, Origin: testOrigin, BatchSize: 8, BatchAge: time.Millisecond})
	must(t, err)
	must(t, writeFrame(&in, text))
	in.WriteString("\x00\x00\x00\x07torn")
	if err := ServeAppender(&in, io.Discard, slog.New(slog.DiscardHandler)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a leaf that is cut off: %v", err)
	}
}

// TestChattyChild is an appender that answers more than it was asked.
func TestChattyChild(t *testing.T) {
	if os.Getenv(appenderEnv) == "" {
		t.Skip("only as a child")
	}
	_, _ = readFrame(os.Stdin)
	for range 2 {
		_ = writeFrame(os.Stdout, answered{}.marshal())
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// An answer too many belongs to nobody: whose the next ones are would be anybody's guess.
func TestAChildThatAnswersWhatNobodyAskedIsReplaced(t *testing.T) {
	c := &children{}
	w := newWorld(t, 0, 0)
	chatty := true
	w.cfg.Appender = func() *exec.Cmd { // called by one goroutine
		cmd := c.command()
		if chatty {
			cmd.Args = append(cmd.Args[:1], "-test.run=^TestChattyChild$")
		}
		chatty = false
		return cmd
	}
	said := &lines{}
	w.cfg.Log = slog.New(slog.NewTextHandler(said, nil))
	w.open()
	eventually(t, "another one is started", func() bool { return c.count() == 2 })
	if said.count("the appender answered what nobody asked") != 1 {
		t.Errorf("it says: %s", said.text.String())
	}
	eventually(t, "ready", func() bool { return w.log.Health(t.Context()) == nil })
	w.add(0)
}

// A command that leaves no pipe to talk through is one that cannot be started.
func TestAChildThatCannotBeTalkedToIsNotStarted(t *testing.T) {
	for name, occupy := range map[string]func(*exec.Cmd){
		"its input":  func(c *exec.Cmd) { c.Stdin = strings.NewReader("") },
		"its output": func(c *exec.Cmd) { c.Stdout = io.Discard },
	} {
		c := &children{}
		a := startChildren(func() *exec.Cmd { cmd := c.command(); occupy(cmd); return cmd }, tesseraConfig{}, slog.New(slog.DiscardHandler), childStart)
		if _, err := a.add([]byte("leaf")); !errors.Is(err, errUntouched) || !strings.Contains(err.Error(), "starting the appender") {
			t.Errorf("%s is occupied: %v", name, err)
		}
		a.close()
	}
}

func TestAFrameThatCannotBeWrittenIsAnError(t *testing.T) {
	for takes := range 2 {
		if err := writeFrame(&failing{takes: takes}, []byte("data")); !errors.Is(err, errGone) {
			t.Errorf("after %d writes: %v", takes, err)
		}
	}
	whole := &failing{takes: 2}
	must(t, writeFrame(whole, []byte("data")))
	if whole.String() != "\x00\x00\x00\x04data" {
		t.Errorf("wrote %q", whole.String())
	}
}

// Tessera's own refusal reaches whoever waits for the leaf.
func TestAnAddThatTesseraRefusesIsAnErrorOfWhichNobodyKnowsHowFarItCame(t *testing.T) {
	w := newWorld(t, 0, 0)
	a := &tesseraAppender{cfg: tesseraConfig{w.cfg.Dir, testOrigin, 8, time.Millisecond}, log: slog.New(slog.DiscardHandler)}
	if index, err := a.add([]byte("leaf")); index != 0 || err != nil {
		t.Fatal(index, err)
	}
	restore := fileFor(t, w.path("tile"))
	if index, err := a.add([]byte("another")); index != 0 || err == nil || errors.Is(err, errUntouched) {
		t.Errorf("at %d, %v", index, err)
	}
	restore()
	a.close()
	a.close() // does nothing
}

// The spool's own faults: each is told, and none makes a promise or breaks one.
func TestWhatTheSpoolCannotDoItSays(t *testing.T) {
	said := &lines{}
	dir := t.TempDir()
	s := newSpool(filepath.Join(dir, "spool"), slog.New(slog.NewTextHandler(said, nil)))
	digest := digestOf(t, 0)
	_, err := s.put(digest, manifestOf(t, 0), spoolSource)
	must(t, err)

	waiting := errors.New("no authority yet")
	for range 3 {
		s.report(waiting)
	}
	s.report(errors.New("another reason"))
	s.report(waiting)
	if n := said.count("accepted manifests are not logged yet"); n != 3 {
		t.Errorf("the same reason is said again and again: %d lines", n)
	}

	must(t, os.Rename(s.path(digest), s.path(digest)+".away"))
	must(t, os.MkdirAll(filepath.Join(s.path(digest), "x"), 0o700))
	s.remove(digest)
	if said.count("stays in the spool until the next start") != 1 || s.has(digest) || s.bytes != 0 {
		t.Errorf("a file that cannot be removed: in the books %t, with %d bytes", s.has(digest), s.bytes)
	}
	must(t, os.RemoveAll(s.path(digest)))
	s.files[digest] = &spooled{written: make(chan struct{})}
	close(s.files[digest].written)
	s.remove(digest) // the file is gone already
	if said.count("stays in the spool until the next start") != 1 || s.has(digest) {
		t.Error("a file that is gone is said to stay")
	}

	must(t, os.WriteFile(s.path(digest), make([]byte, trust.MaxSize+1), 0o600))
	if _, _, err := s.read(digest); !errors.Is(err, errSpoiled) {
		t.Errorf("a file larger than any that was accepted: %v", err)
	}
	body := []byte("a\nb\nc") // the last field is not ended
	text := append(fmt.Appendf(nil, "%s%x\n", spoolMagic, sha256.Sum256(body)), body...)
	if _, _, err := parseSpooled(text); !errors.Is(err, errSpoiled) {
		t.Errorf("a file with three fields: %v", err)
	}
	restore := fileFor(t, s.dir)
	if _, _, err := s.read(digest); err == nil || errors.Is(err, errSpoiled) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that cannot be read: %v", err)
	}
	if err := newSpool(s.dir, s.log).load(); err == nil {
		t.Error("a spool that cannot be read is loaded")
	}
	restore()
}

// A manifest whose file comes into the log by another request is done; one whose file cannot be read waits.
func TestAnAcceptedManifestIsDoneWhenItIsLoggedAndElseTriedAgain(t *testing.T) {
	w, logs, on := spoolWorld(t)
	l := w.open()
	digest := digestOf(t, 0)
	if err := l.tryToLog(digest); err != nil {
		t.Errorf("a manifest that is not in the spool any more: %v", err)
	}
	_, err := l.spool.put(digest, manifestOf(t, 0), spoolSource)
	must(t, err)
	restore := fileFor(t, l.spool.dir)
	if err := l.tryToLog(digest); err == nil || errors.Is(err, errSpoiled) || !l.Accepted(digest) {
		t.Errorf("a spool that cannot be read: %v", err)
	}
	restore()
	on.Store(true)
	read := l.spool
	l.spool = nil // it falls over
	if err := l.tryToLog(digest); err == nil || !strings.Contains(err.Error(), "logging it panicked") {
		t.Errorf("a panic: %v", err)
	}
	l.spool = read
	must(t, l.tryToLog(digest))
	if strings.Contains(logs.String(), "set aside") {
		t.Errorf("it says %s", logs)
	}
	eventually(t, "it is logged", func() bool { _, ok := w.logged(digest); return ok && !l.Accepted(digest) })
	if a := w.add(0); a.New {
		t.Error("manifest 0 is new")
	}
}

// The largest manifest that may be submitted is accepted, and no larger one.
func TestAManifestThatIsTooLargeIsNotAccepted(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	padded := func(size int) []byte {
		text := manifestOf(t, 0)
		return append(bytes.Repeat([]byte(" "), size-len(text)), text...)
	}
	if _, err := l.Accept(t.Context(), padded(MaxManifest+1), spoolSource); err == nil || !strings.Contains(err.Error(), "expected at most 65536") || len(w.spooled()) > 0 {
		t.Errorf("one byte more: %v", err)
	}
	if _, err := l.Accept(t.Context(), padded(MaxManifest), spoolSource); err != nil {
		t.Error(err)
	}
}

// The store of a log says what it cannot read, and reads nothing beyond the tree that it is asked about.
func TestTheStoreReadsNothingBeyondTheTreeAndTellsWhatItCannotRead(t *testing.T) {
	w := openThreeHundred(t)
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	defer s.close()
	now, err := s.treeState()
	must(t, err)
	for _, span := range [][3]int64{{300, -1, 1}, {300, 3, 3}, {300, 4, 3}, {300, 0, 257}, {300, 255, 257}, {300, 256, 301}, {300, 300, 301}, {40, 0, 41}} {
		if leaves, err := s.leaves(span[0], span[1], span[2]); err == nil || leaves != nil {
			t.Errorf("entries %d to %d of a tree of %d: %d of them", span[1], span[2], span[0], len(leaves))
		}
	}
	if leaves, err := s.leaves(300, 256, 300); err != nil || len(leaves) != 44 {
		t.Errorf("%d entries, %v", len(leaves), err)
	}
	if hashes, err := s.hashes(300).ReadHashes([]int64{0, 1 << 20}); err == nil || hashes != nil {
		t.Errorf("hashes beyond the tree: %v", hashes)
	}
	if _, err := tileOfHash(1<<20, 300); err == nil {
		t.Error("a tile beyond the tree")
	}
	if err := s.checkEdge(tree{301, now.Root}, now); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "below 301") {
		t.Errorf("a tree below the signed one: %v", err)
	}
	must(t, s.checkEdge(now, now))
	must(t, s.checkEdge(tree{0, trust.EmptyRoot}, now))
	must(t, s.checkEdge(tree{0, trust.EmptyRoot}, tree{0, trust.EmptyRoot}))
	first, err := s.rootOf(100, 300)
	must(t, err)
	must(t, s.checkEdge(tree{100, first}, now))
	if err := s.checkEdge(tree{100, now.Root}, now); !errors.Is(err, errDamaged) {
		t.Errorf("a tree that does not continue the signed one: %v", err)
	}
	must(t, os.RemoveAll(w.path("tile/0/000.p"))) // or the beginning of a full tile would be read there
	if data, err := s.data(tiles.Widest(0, 0, 100)); err != nil || len(data) != 3200 {
		t.Errorf("the beginning of a full tile: %d bytes, %v", len(data), err)
	}
	restore := fileFor(t, w.path("tile/0"))
	if data, err := s.data(tiles.Widest(0, 0, 100)); err == nil || data != nil {
		t.Errorf("the beginning of a tile that cannot be read: %v", err)
	}
	if err := s.checkEdge(tree{100, first}, now); err == nil {
		t.Error("a proof of what cannot be read")
	}
	restore()
	must(t, s.checkEdge(tree{100, first}, now))
	must(t, os.Rename(w.path("tile/0/000"), w.path("tile/0/away"))) // which the root needs not, but a proof does
	if err := s.checkEdge(tree{100, first}, now); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) {
		t.Errorf("a proof of what is missing: %v", err)
	}
	must(t, os.Rename(w.path("tile/0/away"), w.path("tile/0/000")))
}

// A check of the log that cannot go on ends with an error, and accuses nobody.
func TestFsckWithAnIndexThatCannotBeAskedIsAnError(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 3)
	w.close()
	trouble := errors.New("input/output error")
	for answers := range int64(2) {
		given := answers
		x := &scripted{Index: wholeIndex{}, size: func() (int64, error) {
			if given--; given < 0 {
				return 0, trouble
			}
			return 3, nil
		}}
		if _, _, err := Fsck(t.Context(), w.cfg.Dir, w.cfg.GuardDir, x, func(d Damage) { t.Errorf("reported %v", d) }); !errors.Is(err, trouble) {
			t.Errorf("after %d answers: %v", answers, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	x := &scripted{Index: wholeIndex{}, size: func() (int64, error) { return 3, nil }, find: func() (int64, bool, error) { cancel(); return 0, false, ctx.Err() }}
	if _, _, err := Fsck(ctx, w.cfg.Dir, w.cfg.GuardDir, x, func(d Damage) { t.Errorf("reported %v", d) }); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	var restore func()
	x = &scripted{Index: wholeIndex{}, size: func() (int64, error) {
		if restore == nil {
			restore = fileFor(t, w.path(".state"))
		}
		return 3, nil
	}}
	if _, _, err := Fsck(t.Context(), w.cfg.Dir, w.cfg.GuardDir, x, func(d Damage) { t.Errorf("reported %v", d) }); err == nil {
		t.Error("a log whose size cannot be read any more")
	}
	restore()
}

// Evenly spread over the period that was promised, and not faster for a log that is empty.
// STO-31
func TestAPassOfTheScrubTakesAsLongAsItWasPromised(t *testing.T) {
	for _, entries := range []int{0, 3} {
		w := newWorld(t, 0, 0)
		l := w.open()
		w.addAll(0, entries)
		w.close() // which writes the index
		x, err := index.Open(filepath.Join(w.dir, "index"), testOrigin)
		must(t, err)
		defer x.Close()
		s, err := openStore(w.cfg.Dir)
		must(t, err)
		defer s.close()
		seen := l.publisher.current.Load()
		synctest.Test(t, func(t *testing.T) {
			scrub := newScrubber(func() *reader { return newReader(s, seen) }, &Config{Index: x, Scrub: time.Hour, Log: slog.New(slog.DiscardHandler)})
			for range 3 {
				began := time.Now()
				must(t, scrub.pass(t.Context()))
				if took := time.Since(began); took != time.Hour {
					t.Errorf("%d entries: a pass takes %v", entries, took)
				}
			}
		})
	}
}

// The checkpoint that covers an entry may be the last thing that a publisher does before it ends.
func TestAnEntryThatIsPublishedLastOfAllIsProved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Log{publisher: &publisher{done: make(chan struct{})}}
		l.publisher.current.Store(&snapshot{changed: make(chan struct{})})
		got := make(chan error, 1)
		go func() {
			seen, err := l.awaitPublished(t.Context(), 6)
			if err == nil && seen.size() != 7 {
				err = fmt.Errorf("against size %d", seen.size())
			}
			got <- err
		}()
		synctest.Wait() // it waits
		l.publisher.current.Store(&snapshot{cp: &trust.Checkpoint{Size: 7}, changed: make(chan struct{})})
		close(l.publisher.done)
		must(t, <-got)
	})
}

// A partial tile that was damaged is history when the tree has a wider one: that one is looked at instead.
func TestDamageOfATileThatHasGrownIsNoDamageAnyMore(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.addAll(0, 3)
	const bundle, tile = "tile/entries/000.p/3", "tile/0/000.p/3"
	for _, path := range []string{bundle, tile} {
		whole := w.file(path)
		w.flip(path, len(whole)/2)
		if _, err := l.Tile(t.Context(), path); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", path, err)
		}
		w.write(path, whole)
	}
	if said := w.reasonsOf("damage"); !strings.Contains(said, bundle) || !strings.Contains(said, tile) {
		t.Errorf("it says %q", said)
	}
	w.addAll(3, 5)
	l.store.damages.recheck(newReader(l.store, l.publisher.current.Load()))
	if r := l.store.damages.reason(); r != nil {
		t.Errorf("still: %v", r.Err)
	}
	w.flip("tile/entries/000.p/5", 9)
	l.store.damages.recheck(newReader(l.store, l.publisher.current.Load()))
	if r := l.store.damages.reason(); r != nil {
		t.Errorf("what was never found damaged is not looked at here: %v", r.Err)
	}
}

// A child that is gone before it was told what to do is not one whose storage is open.
func TestAChildThatCannotBeToldItsConfigurationHasNotStarted(t *testing.T) {
	open := func(in io.Writer, size int, answer []byte) error {
		c := &child{in: bufio.NewWriterSize(in, size), out: bufio.NewReader(bytes.NewReader(answer))}
		return c.open(tesseraConfig{Dir: "/a/directory/with/a/long/name"})
	}
	var good bytes.Buffer
	must(t, writeFrame(&good, answered{}.marshal()))
	must(t, open(io.Discard, 1<<16, good.Bytes()))
	for _, size := range []int{16, 1 << 16} { // it fails when it is written, or when it is flushed
		if err := open(&failing{}, size, good.Bytes()); !errors.Is(err, errGone) {
			t.Errorf("with a buffer of %d bytes: %v", size, err)
		}
	}
	if err := open(io.Discard, 1<<16, nil); err != io.EOF {
		t.Errorf("no answer: %v", err)
	}
	if err := open(io.Discard, 1<<16, []byte{0, 0, 0, 2, 7, 7}); err == nil {
		t.Error("an answer that is none")
	}
	var bad bytes.Buffer
	must(t, writeFrame(&bad, answered{err: errors.New("disk on fire")}.marshal()))
	if err := open(io.Discard, 1<<16, bad.Bytes()); err == nil || err.Error() != "disk on fire" {
		t.Errorf("it says %v", err)
	}
}

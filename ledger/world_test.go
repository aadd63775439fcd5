package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/witness"
)

const testOrigin = "ledger.example/2026"

// testTime is the clock of packs; the ledger's own is the real one.
var testTime = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

// seed is a key's only secret in these tests: its name.
func seed(name string) io.Reader {
	sum := sha256.Sum256([]byte(name))
	return bytes.NewReader(sum[:])
}

type packSigner struct{ key ed25519.PrivateKey }

func (s packSigner) ID() string                      { return "tester" }
func (s packSigner) Public() ed25519.PublicKey       { return s.key.Public().(ed25519.PublicKey) }
func (s packSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

var manifests sync.Map // int → func() []byte

// manifest is the i-th pack's pack_manifest.json, the same on every call.
func manifestOf(t testing.TB, i int) []byte {
	t.Helper()
	once, _ := manifests.LoadOrStore(i, sync.OnceValues(func() ([]byte, error) { return buildManifest(i) }))
	text, err := once.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func buildManifest(i int) ([]byte, error) {
	key := sha256.Sum256([]byte("pack signer"))
	p, err := pack.Build(pack.Spec{
		RunID: fmt.Sprint("run-", i),
		Receipts: []jcs.Value{jcs.Obj(
			jcs.M("receipt_id", jcs.Str(fmt.Sprint("r_", i))),
			jcs.M("schema_version", jcs.Str("3.0")),
			jcs.M("seq", jcs.Int(0)),
			jcs.M("timestamp", jcs.Str("2026-01-15T10:00:00+00:00")),
			jcs.M("type", jcs.Str("model_call")),
		)},
		Now:    testTime,
		Signer: packSigner{ed25519.NewKeyFromSeed(key[:])},
	})
	if err != nil {
		return nil, err
	}
	for _, f := range p.Files {
		if f.Name == "pack_manifest.json" {
			return f.Data, nil
		}
	}
	return nil, errors.New("no manifest in the pack")
}

// testWitness is the real witness on loopback, with a switch in front.
type testWitness struct {
	name   string
	vkeys  []string
	server *httptest.Server
	real   http.Handler
	front  atomic.Pointer[http.Handler]
	asked  atomic.Int64 // add-checkpoint requests
}

// behave puts h in front of the real witness; nil takes it away.
func (w *testWitness) behave(h http.Handler) {
	if h == nil {
		w.front.Store(nil)
		return
	}
	w.front.Store(&h)
}

var down = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "down", http.StatusServiceUnavailable)
})

func (w *testWitness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/add-checkpoint" {
		w.asked.Add(1)
	}
	if h := w.front.Load(); h != nil {
		(*h).ServeHTTP(rw, r)
		return
	}
	w.real.ServeHTTP(rw, r)
}

// world is a log with its witnesses, in a directory of its own.
type world struct {
	t         testing.TB
	dir       string
	cfg       Config
	witnesses []*testWitness
	index     *index.Index
	wrapIndex func(Index) Index // what the log gets in its place
	log       *Log
}

// newWorld creates a log with n witnesses, of which quorum must cosign.
func newWorld(t testing.TB, n, quorum int, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, dir: tempDir(t)}
	skey, vkey, err := trust.GenerateKey(seed("log"), testOrigin, trust.Ed25519)
	must(t, err)
	signer, err := trust.NewLogSigner(skey)
	must(t, err)
	logPolicy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{Origin: testOrigin, VKey: vkey}}, nil, 0))
	must(t, err)
	var lines []trust.PolicyWitness
	for i := range n {
		tw := newTestWitness(t, logPolicy, fmt.Sprint("w", i+1), trust.Ed25519Cosigner)
		w.witnesses = append(w.witnesses, tw)
		lines = append(lines, trust.PolicyWitness{Name: tw.name, VKey: tw.vkeys[0], URL: tw.server.URL})
	}
	policy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{Origin: testOrigin, VKey: vkey}}, lines, quorum))
	must(t, err)
	w.cfg = Config{
		Dir: filepath.Join(w.dir, "log"), GuardDir: filepath.Join(w.dir, "guard"), Signer: signer, Policy: policy,
		Timestamps: TimestampsOff, Interval: 20 * time.Millisecond, BatchAge: 2 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(testOutput{t}, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	for _, f := range change {
		f(&w.cfg)
	}
	must(t, Create(t.Context(), w.cfg))
	t.Cleanup(w.close)
	return w
}

// tempDir is t.TempDir for a log: for a moment after it was closed Tessera may still write its own
// checkpoint file, and a directory that fills while it is removed is not empty.
func tempDir(t testing.TB) string {
	dir := t.TempDir()
	t.Cleanup(func() {
		eventually(t, "the directory of a closed log can be removed", func() bool { return os.RemoveAll(dir) == nil })
	})
	return dir
}

// testOutput keeps the logs of a benchmark and of a passing test quiet.
type testOutput struct{ t testing.TB }

func (o testOutput) Write(p []byte) (int, error) { return len(p), nil }

func newTestWitness(t testing.TB, logs *trust.Policy, name string, algorithms ...trust.Algorithm) *testWitness {
	t.Helper()
	w := &testWitness{name: name}
	var cosigners []*trust.Cosigner
	for _, alg := range algorithms {
		skey, vkey, err := trust.GenerateKey(seed(fmt.Sprint(name, alg)), "witness.example/"+name, alg)
		must(t, err)
		c, err := trust.NewCosigner(skey)
		must(t, err)
		cosigners, w.vkeys = append(cosigners, c), append(w.vkeys, vkey)
	}
	core, err := witness.New(witness.Config{Policy: logs, Cosigners: cosigners, Store: witness.NewMemory(), Rate: -1})
	must(t, err)
	w.real = core.Handler()
	w.server = httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	return w
}

// open opens the log with its index; the test fails if it cannot.
func (w *world) open() *Log {
	w.t.Helper()
	l, err := w.tryOpen()
	must(w.t, err)
	return l
}

func (w *world) tryOpen() (*Log, error) {
	w.t.Helper()
	w.close()
	x, err := index.Open(filepath.Join(w.dir, "index"), testOrigin)
	must(w.t, err)
	w.index, w.cfg.Index = x, x
	if w.wrapIndex != nil {
		w.cfg.Index = w.wrapIndex(x)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if w.log, err = Open(ctx, w.cfg); err != nil {
		w.log = nil
		w.close()
		return nil, err
	}
	return w.log, nil
}

func (w *world) close() {
	if w.log != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.log.Close(ctx); err != nil {
			w.t.Error(err)
		}
		w.log = nil
	}
	if w.index != nil {
		w.index.Close()
		w.index = nil
	}
}

// copyTo makes another world of the same files.
func (w *world) copyTo(t testing.TB) *world {
	t.Helper()
	c := &world{t: t, dir: tempDir(t), cfg: w.cfg, witnesses: w.witnesses}
	if w.log != nil { // its probe makes and removes files
		p := w.log.probe
		eventually(t, "nobody probes", func() bool {
			p.mu.Lock()
			if !p.looking {
				return true // and keeps the lock
			}
			p.mu.Unlock()
			return false
		})
		defer p.mu.Unlock()
	}
	must(t, os.CopyFS(c.dir, os.DirFS(w.dir)))
	c.cfg.Dir, c.cfg.GuardDir = filepath.Join(c.dir, "log"), filepath.Join(c.dir, "guard")
	t.Cleanup(c.close)
	return c
}

// heard waits until enough witnesses were heard from for the log to go on.
func (w *world) heard() {
	w.t.Helper()
	eventually(w.t, "enough witnesses are heard", func() bool { return w.log.publisher.unheard.Load() == nil })
}

// allCosigned waits until the published checkpoint has the cosignature of every witness.
func (w *world) allCosigned() {
	w.t.Helper()
	eventually(w.t, "every witness has cosigned", func() bool {
		cp, err := w.log.Checkpoint(w.t.Context())
		return err == nil && len(cp.Cosignatures) == len(w.cfg.Policy.Witnesses())
	})
}

// unheard checks that the open log, which has published entries, signs nothing because of the named
// witnesses, however often they are asked, and serves what it has.
func (w *world) unheard(names string) {
	w.t.Helper()
	t, l := w.t, w.log
	before := w.guardFiles()
	asked := make([]int64, len(w.witnesses))
	for i, tw := range w.witnesses {
		asked[i] = tw.asked.Load()
	}
	var u *Unheard
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := l.Add(ctx, manifestOf(t, 999), entry.Source{}); !errors.As(err, &u) || strings.Join(u.Witnesses, ", ") != names {
		t.Fatalf("a submission: %v", err)
	}
	eventually(t, "they are asked again", func() bool {
		for i, tw := range w.witnesses {
			if strings.Contains(names, tw.name) && tw.asked.Load() < asked[i]+3 {
				return false
			}
		}
		return true
	})
	if err := l.Health(t.Context()); !errors.As(err, &u) || strings.Join(u.Witnesses, ", ") != names {
		t.Errorf("health: %v", err)
	}
	cp, err := l.Checkpoint(t.Context())
	must(t, err)
	for i := range cp.Size {
		_, err := l.Prove(t.Context(), i)
		must(t, err)
	}
	for name, text := range w.guardFiles() {
		if before[name] != text {
			t.Errorf("the guard's %s has changed from %q to %q", name, before[name], text)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// add submits manifest i and checks the answer as its receiver would.
func (w *world) add(i int) *entry.Anchored {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	a, err := w.log.Add(ctx, manifestOf(w.t, i), entry.Source{})
	must(w.t, err)
	w.check(a, i)
	return a
}

func (w *world) check(a *entry.Anchored, i int) {
	w.t.Helper()
	text := a.Proof.Marshal()
	proof, err := trust.ParseProof(text)
	must(w.t, err)
	if _, err := w.cfg.Policy.CheckProof(proof, proof.Extra); err != nil {
		w.t.Errorf("manifest %d: %v", i, err)
	}
	e, err := entry.Parse(proof.Extra)
	must(w.t, err)
	if e.ManifestSHA256 != digestOf(w.t, i) {
		w.t.Errorf("manifest %d: the proof is of another manifest", i)
	}
	if proof.Index != a.Entry.Index || !bytes.Equal(a.Entry.Leaf, proof.Extra) {
		w.t.Errorf("manifest %d: proof and entry differ", i)
	}
}

func digestOf(t testing.TB, i int) trust.Digest {
	t.Helper()
	m, findings := manifest.Verify(manifestOf(t, i))
	if m == nil || len(findings) > 0 {
		t.Fatal(findings)
	}
	return m.Digest()
}

// addAll submits manifests [from, to) together.
func (w *world) addAll(from, to int) {
	w.t.Helper()
	var wg sync.WaitGroup
	for i := from; i < to; i++ {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			a, err := w.log.Add(ctx, manifestOf(w.t, i), entry.Source{})
			if err != nil {
				w.t.Error(err)
				return
			}
			w.check(a, i)
		})
	}
	wg.Wait()
}

// indexesOf reads the whole log: manifest digest to the indexes it has.
func (w *world) indexesOf() map[trust.Digest][]int64 {
	w.t.Helper()
	cp, err := w.log.Checkpoint(w.t.Context())
	must(w.t, err)
	found := map[trust.Digest][]int64{}
	var next int64
	for e, err := range w.log.Entries(w.t.Context(), cp, 0) {
		must(w.t, err)
		if e.Index != next {
			w.t.Fatalf("entry %d where %d was expected", e.Index, next)
		}
		next++
		found[e.Entry.ManifestSHA256] = append(found[e.Entry.ManifestSHA256], e.Index)
	}
	if next != cp.Size {
		w.t.Fatalf("%d entries in a log of size %d", next, cp.Size)
	}
	return found
}

// eventually waits for what another goroutine brings about; it is for conditions
// that nobody announces.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}

// unpublished submits manifest i with a context that ends when the entry is in the tree.
func (w *world) unpublished(i int) int64 {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := w.log.Add(ctx, manifestOf(w.t, i), entry.Source{})
		result <- err
	}()
	digest := digestOf(w.t, i)
	var at int64
	eventually(w.t, "the entry is in the tree", func() bool {
		n, ok, err := w.index.Find(context.Background(), digest)
		must(w.t, err)
		at = n
		return ok
	})
	cancel()
	if err := <-result; !errors.Is(err, ErrUnpublished) {
		w.t.Fatalf("an entry without a quorum: %v", err)
	}
	return at
}

func cosignersOf(cp *trust.Checkpoint) (names []string) {
	for _, c := range cp.Cosignatures {
		names = append(names, c.Witness)
	}
	slices.Sort(names)
	return names
}

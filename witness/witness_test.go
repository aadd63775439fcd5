package witness_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
	"github.com/Haserjian/assay-ledger/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "ledger.example/2026"

// The witness under test has one key of each kind. trusttest makes them from these names.
var (
	edKey = trusttest.NewWitness("witness.example/ed", trust.Ed25519Cosigner)
	mlKey = trusttest.NewWitness("witness.example/ml", trust.MLDSA44Cosigner)
)

// world is a log, and a witness that follows it.
type world struct {
	log     *trusttest.Log
	store   witness.Store
	witness *witness.Witness
	checks  *trust.Policy // the log's key, and both keys of the witness for a quorum
	logged  *lockedBuffer // what the witness logged
}

// newWorld has a log of 10 leaves. The options change the configuration.
func newWorld(t testing.TB, options ...func(*witness.Config)) *world {
	t.Helper()
	w := &world{log: newLog(origin, 10), logged: &lockedBuffer{}}
	w.checks = trusttest.Policy(w.log, []*trusttest.Witness{edKey, mlKey}, 2)
	cfg := witness.Config{
		Policy:    trusttest.Policy(w.log, nil, 0),
		Cosigners: []*trust.Cosigner{edKey.Cosigner, mlKey.Cosigner},
		Store:     witness.NewMemory(),
		Now:       func() time.Time { return trusttest.Time },
		Log:       slog.New(slog.NewTextHandler(w.logged, nil)),
	}
	for _, option := range options {
		option(&cfg)
	}
	w.store = cfg.Store
	var err error
	if w.witness, err = witness.New(cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

func newLog(origin string, size int) *trusttest.Log {
	log := trusttest.NewLog(origin)
	for i := range size {
		log.Append(fmt.Appendf(nil, "leaf %d", i))
	}
	return log
}

// fork has the first at leaves of the log and then others, under the same key.
func fork(log *trusttest.Log, at int64, size int) *trusttest.Log {
	other := log.Fork(at)
	for i := other.Size(); i < int64(size); i++ {
		other.Append(fmt.Appendf(nil, "another leaf %d", i))
	}
	return other
}

func request(log *trusttest.Log, old, new int64) trust.AddCheckpoint {
	return trust.AddCheckpoint{OldSize: old, Proof: log.Consistency(old, new), Checkpoint: log.CheckpointAt(new)}
}

// signText signs what trusttest would not.
func signText(t testing.TB, log *trusttest.Log, text string, more ...note.Signer) []byte {
	t.Helper()
	signer, err := note.NewSigner(log.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: text}, append([]note.Signer{signer}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// mustAdd cosigns and checks that both keys signed just that checkpoint.
func (w *world) mustAdd(t testing.TB, r trust.AddCheckpoint) *trust.Checkpoint {
	t.Helper()
	lines, err := w.witness.AddCheckpoint(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return w.mustVerify(t, r, lines)
}

func (w *world) mustVerify(t testing.TB, r trust.AddCheckpoint, lines []byte) *trust.Checkpoint {
	t.Helper()
	// SPEC tlog-witness: "the client MAY concatenate it to the checkpoint"
	cp, err := w.checks.OpenCheckpoint(append(bytes.Clone(r.Checkpoint), lines...))
	if err != nil {
		t.Fatalf("answer %q: %v", lines, err)
	}
	if n := bytes.Count(lines, []byte("\n")); n != 2 {
		t.Fatalf("%d lines, want one of each key", n)
	}
	return cp
}

func (w *world) mustRefuse(t testing.TB, r trust.AddCheckpoint, status int) *witness.Refusal {
	t.Helper()
	before := w.stored(t)
	lines, err := w.witness.AddCheckpoint(t.Context(), r)
	refusal, ok := errors.AsType[*witness.Refusal](err)
	if !ok || refusal.Status != status || lines != nil {
		t.Fatalf("got %q, %v; want a refusal with %d", lines, err, status)
	}
	if after := w.stored(t); !bytes.Equal(before, after) {
		t.Fatalf("a refused request changed the state\nfrom %q\nto   %q", before, after)
	}
	return refusal
}

func (w *world) stored(t testing.TB) []byte {
	t.Helper()
	stored, err := w.store.Latest(t.Context(), w.log.Signer.Origin())
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func hashOf(origin string) string {
	h := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(h[:])
}

// lockedBuffer takes log lines from several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// WIT-11, WIT-12, WIT-16
func TestWholeTreeOfSizesIsCosignedOnlyForwards(t *testing.T) {
	racetest.OneGoroutine(t)
	const n = 9
	log := newLog(origin, n)
	other := fork(log, 5, n)
	for stored := int64(0); stored <= n; stored++ {
		for old := int64(0); old <= n; old++ {
			for size := int64(0); size <= n; size++ {
				for _, from := range []*trusttest.Log{log, other} {
					w := newWorld(t, func(c *witness.Config) { c.Cosigners = c.Cosigners[:1] })
					if stored > 0 {
						if _, err := w.witness.AddCheckpoint(t.Context(), request(log, 0, stored)); err != nil {
							t.Fatal(err)
						}
					}
					r := trust.AddCheckpoint{OldSize: old, Checkpoint: from.CheckpointAt(size)}
					if old <= size {
						r.Proof = from.Consistency(old, size)
					}
					want := http.StatusOK
					switch {
					case old > size:
						want = http.StatusBadRequest
					case old != stored:
						want = http.StatusConflict
					case old > 5 && from == other:
						want = http.StatusUnprocessableEntity
					}
					if want != http.StatusOK {
						w.mustRefuse(t, r, want)
					} else if _, err := w.witness.AddCheckpoint(t.Context(), r); err != nil {
						t.Fatalf("stored %d, old %d, size %d: %v", stored, old, size, err)
					}
				}
			}
		}
	}
}

// WIT-17
func TestNoChangedByteOfARequestIsCosigned(t *testing.T) {
	w := newWorld(t)
	w.mustAdd(t, request(w.log, 0, 5))
	body := request(w.log, 5, 10).Marshal()
	for i := range body {
		for _, bit := range []byte{0x01, 0x20, 0x80} {
			changed := bytes.Clone(body)
			changed[i] ^= bit
			r, err := trust.ParseAddCheckpoint(changed)
			if err != nil {
				continue
			}
			if lines, err := w.witness.AddCheckpoint(t.Context(), r); err == nil {
				t.Fatalf("byte %d changed to %q: cosigned with %q", i, changed[i], lines)
			}
		}
	}
	w.mustAdd(t, request(w.log, 5, 10))
}

// WIT-16
func TestHugeSizesEndAtOnce(t *testing.T) {
	const huge = 1<<63 - 1
	w := newWorld(t)
	w.mustAdd(t, request(w.log, 0, 5))
	root := w.log.Root(5)
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, int64(huge), root)
	r := trust.AddCheckpoint{OldSize: 5, Proof: make([]tlog.Hash, 63), Checkpoint: signText(t, w.log, text)}
	w.mustRefuse(t, r, http.StatusUnprocessableEntity)
}

// WIT-9, WIT-25
func TestOnlyVerifiedLinesAreStored(t *testing.T) {
	w := newWorld(t)
	first := w.mustAdd(t, request(w.log, 0, 5))
	// Lines under our own names: one true but old, one forged, and one of a stranger.
	stranger := trusttest.NewWitness("witness.example/ed", trust.Ed25519Cosigner)
	stranger.Time = trusttest.Time.Add(100 * time.Hour) // trusttest makes our own key: a true line of the future
	forged := bytes.Replace(edKey.Cosign(w.log.CheckpointAt(5)), []byte("A"), []byte("B"), -1)
	r := request(w.log, 5, 5)
	r.Checkpoint = first.Signed
	r.Checkpoint = append(bytes.Clone(r.Checkpoint), stranger.Cosign(w.log.CheckpointAt(5))...)
	r.Checkpoint = append(r.Checkpoint, forged...)
	lines, err := w.witness.AddCheckpoint(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := append(w.log.CheckpointAt(5), lines...)
	if got := w.stored(t); !bytes.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}

// WIT-1
func TestTwoKeysOfOneOriginShareOneState(t *testing.T) {
	w := newWorld(t)
	second := secondKey(t)
	w = newWorld(t, func(c *witness.Config) { c.Policy = bothKeys(t, w.log, second) })
	w.mustAdd(t, request(w.log, 0, 5))
	// The second key alone. checks does not know it, so the lines are checked over the first one's note.
	signed, err := second.Sign(origin, 7, w.log.Root(7))
	if err != nil {
		t.Fatal(err)
	}
	r := trust.AddCheckpoint{OldSize: 5, Proof: w.log.Consistency(5, 7), Checkpoint: signed}
	lines, err := w.witness.AddCheckpoint(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	w.mustVerify(t, request(w.log, 5, 7), lines)
	if refusal := w.mustRefuse(t, request(w.log, 5, 8), http.StatusConflict); refusal.Size != 7 {
		t.Errorf("size %d, want 7", refusal.Size)
	}
	// Both keys: both lines are kept.
	text := fmt.Sprintf("%s\n8\n%s\n", origin, w.log.Root(8))
	r = trust.AddCheckpoint{OldSize: 7, Proof: w.log.Consistency(7, 8), Checkpoint: signText(t, w.log, text, second.NoteSigner())}
	w.mustAdd(t, r)
	if !bytes.HasPrefix(w.stored(t), r.Checkpoint) {
		t.Errorf("stored %q without both signatures of %q", w.stored(t), r.Checkpoint)
	}
}

func secondKey(t *testing.T) *trust.LogSigner {
	t.Helper()
	seed := sha256.Sum256([]byte("a second key of the log"))
	skey, _, err := trust.GenerateKey(bytes.NewReader(seed[:]), origin, trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := trust.NewLogSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func bothKeys(t *testing.T, log *trusttest.Log, second *trust.LogSigner) *trust.Policy {
	t.Helper()
	logs := []trust.PolicyLog{{VKey: log.Signer.VKey()}, {VKey: second.VKey()}}
	policy, err := trust.ParsePolicy(trust.FormatPolicy(logs, nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// WIT-20
func TestTimeOfCosignaturesNeverDecreases(t *testing.T) {
	now := trusttest.Time
	w := newWorld(t, func(c *witness.Config) { c.Now = func() time.Time { return now } })
	check := func(r trust.AddCheckpoint, want time.Time) {
		t.Helper()
		for _, c := range w.mustAdd(t, r).Cosignatures {
			if !c.Time.Equal(want) {
				t.Errorf("%s cosigned at %v, want %v", c.KeyName, c.Time, want)
			}
		}
	}
	check(request(w.log, 0, 2), now)
	now = now.Add(90*time.Minute + 400*time.Millisecond)
	check(request(w.log, 2, 2), now.Truncate(time.Second)) // fresh, in whole seconds
	latest := now.Truncate(time.Second)
	now = now.Add(-48 * time.Hour)
	check(request(w.log, 2, 3), latest)

	// Also after a restart, when only the store knows.
	restarted, err := witness.New(witness.Config{Policy: trusttest.Policy(w.log, nil, 0),
		Cosigners: []*trust.Cosigner{edKey.Cosigner, mlKey.Cosigner}, Store: w.store, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	w.witness = restarted
	check(request(w.log, 3, 4), latest)
	if !strings.Contains(w.logged.String(), "clock is behind") {
		t.Errorf("no alarm in %q", w.logged)
	}
}

// WIT-21
func TestClockBeforeTheBuildCosignsNothing(t *testing.T) {
	for _, now := range []time.Time{{}, time.Unix(0, 0), time.Date(2024, 12, 31, 23, 59, 59, 999, time.UTC)} {
		w := newWorld(t, func(c *witness.Config) { c.Now = func() time.Time { return now } })
		w.mustRefuse(t, request(w.log, 0, 2), http.StatusServiceUnavailable)
	}
}

// WIT-10
func TestExtensionLinesAreNotCosigned(t *testing.T) {
	w := newWorld(t)
	text := fmt.Sprintf("%s\n5\n%s\nfrozen\n", origin, w.log.Root(5))
	w.mustRefuse(t, trust.AddCheckpoint{Checkpoint: signText(t, w.log, text)}, http.StatusUnprocessableEntity)
}

// leaky is a store whose disk fails, with an error that quotes what it was given.
type leaky struct {
	witness.Store
	stores bool // the swap happens all the same
	failed int
}

func (s *leaky) Swap(ctx context.Context, origin string, old, new []byte) error {
	s.failed++
	if s.stores {
		if err := s.Store.Swap(ctx, origin, old, new); err != nil {
			return err
		}
	}
	return fmt.Errorf("disk full while writing %s", new)
}

// WIT-22
func TestAFailedSwapShowsNothingOfTheCosignature(t *testing.T) {
	for _, stores := range []bool{false, true} {
		disk := &leaky{Store: witness.NewMemory(), stores: stores}
		w := newWorld(t, func(c *witness.Config) { c.Store = disk })
		lines, err := w.witness.AddCheckpoint(t.Context(), request(w.log, 0, 5))
		refusal, ok := errors.AsType[*witness.Refusal](err)
		if !ok || refusal.Status != http.StatusServiceUnavailable || lines != nil || disk.failed != 1 {
			t.Fatalf("got %q, %v after %d swaps", lines, err, disk.failed)
		}
		for e := error(err); e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), "—") || strings.Contains(e.Error(), "disk full") {
				t.Errorf("the error shows %q", e)
			}
		}
		// What was stored is read again: it decides what the next one gets.
		want := int64(0)
		if stores {
			want = 5
		}
		_, err = w.witness.AddCheckpoint(t.Context(), request(w.log, 3, 6))
		if refusal, ok = errors.AsType[*witness.Refusal](err); !ok || refusal.Size != want {
			t.Errorf("got %v, want a conflict with size %d", err, want)
		}
	}
}

// WIT-23
func TestAWitnessThatSharesItsStoreSeesTheOthersState(t *testing.T) {
	here := newWorld(t)
	there := newWorld(t, func(c *witness.Config) {
		c.Store = here.store
		c.Now = func() time.Time { return trusttest.Time.Add(time.Minute) }
	})
	here.mustAdd(t, request(here.log, 0, 4))
	there.mustAdd(t, request(here.log, 4, 5)) // remembers 5
	here.mustAdd(t, request(here.log, 5, 7))
	if refusal := there.mustRefuse(t, request(here.log, 5, 6), http.StatusConflict); refusal.Size != 7 {
		t.Errorf("size %d, want 7", refusal.Size)
	}
	// The same size cosigned again is another note, but no reason to refuse.
	here.mustAdd(t, request(here.log, 7, 7))
	there.mustAdd(t, request(here.log, 7, 8))
	// And the other's later time is not undone.
	for _, c := range here.mustAdd(t, request(here.log, 8, 8)).Cosignatures {
		if !c.Time.Equal(trusttest.Time.Add(time.Minute)) {
			t.Errorf("cosigned at %v, before the other's cosignature", c.Time)
		}
	}
}

// WIT-26, WIT-27
func TestForksAreKeptAsEvidence(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *witness.Config) { c.Store = open(t) })
			w.mustAdd(t, request(w.log, 0, 5))
			ours := w.stored(t)
			other := fork(w.log, 2, 10)
			for range 3 { // the same evidence is kept once
				w.mustRefuse(t, request(other, 5, 5), http.StatusUnprocessableEntity)
				w.mustRefuse(t, request(other, 0, 5), http.StatusConflict) // a fork whatever the old size
				w.mustRefuse(t, request(other, 5, 8), http.StatusUnprocessableEntity)
			}
			w.mustRefuse(t, request(w.log, 0, 5), http.StatusConflict) // honest
			kept, err := w.store.(interface {
				Evidence(context.Context, string) ([]witness.Evidence, error)
			}).Evidence(t.Context(), origin)
			if err != nil || len(kept) != 2 {
				t.Fatalf("kept %v, %v; want two", kept, err)
			}
			for i, want := range []witness.Evidence{
				{Origin: origin, Kind: witness.Fork, Ours: ours, Theirs: other.CheckpointAt(5)},
				{Origin: origin, Kind: witness.Unproven, Ours: ours, Theirs: other.CheckpointAt(8)},
			} {
				got := kept[i]
				if got.Origin != want.Origin || got.Kind != want.Kind || !bytes.Equal(got.Ours, want.Ours) ||
					!bytes.Equal(got.Theirs, want.Theirs) || !got.Seen.Equal(trusttest.Time) {
					t.Errorf("kept %+v, want %+v", got, want)
				}
			}
			if n := strings.Count(w.logged.String(), "does not extend"); n != 2 {
				t.Errorf("%d warnings, want 2: %s", n, w.logged)
			}
		})
	}
}

// WIT-2
func TestNewRefusesWhatCannotBeTrusted(t *testing.T) {
	log := newLog(origin, 1)
	good := witness.Config{Policy: trusttest.Policy(log, nil, 0), Cosigners: []*trust.Cosigner{edKey.Cosigner}, Store: witness.NewMemory()}
	if _, err := witness.New(good); err != nil {
		t.Fatal(err)
	}
	noLogs, err := trust.ParsePolicy([]byte("quorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	long := trusttest.NewLog(strings.Repeat("x", 256))
	for want, change := range map[string]func(*witness.Config){
		"no policy":        func(c *witness.Config) { c.Policy = nil },
		"no log":           func(c *witness.Config) { c.Policy = noLogs },
		"no cosigner":      func(c *witness.Config) { c.Cosigners = nil },
		"no store":         func(c *witness.Config) { c.Store = nil },
		"go together":      func(c *witness.Config) { c.Cosigners = append(c.Cosigners, edKey.Cosigner) },
		"our own cosigner": func(c *witness.Config) { c.Policy = trusttest.Policy(trusttest.NewLog("witness.example/ed"), nil, 0) },
		"256 bytes":        func(c *witness.Config) { c.Policy = trusttest.Policy(long, nil, 0) },
	} {
		cfg := good
		cfg.Cosigners = append([]*trust.Cosigner(nil), good.Cosigners...)
		change(&cfg)
		if _, err := witness.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// WIT-4
func TestALogThatLeavesAndComesBackContinuesWhereItStopped(t *testing.T) {
	w := newWorld(t)
	w.mustAdd(t, request(w.log, 0, 7))
	elsewhere := newLog("other.example/log", 3)
	without := newWorld(t, func(c *witness.Config) { c.Store, c.Policy = w.store, trusttest.Policy(elsewhere, nil, 0) })
	without.mustRefuse(t, request(w.log, 7, 8), http.StatusNotFound)
	if !strings.Contains(without.logged.String(), "no longer followed") {
		t.Errorf("the log was removed silently: %q", without.logged)
	}
	if got, err := without.witness.Latest(t.Context(), hashOf(origin)); err != nil || !bytes.Equal(got, w.stored(t)) {
		t.Errorf("what was cosigned is not served any more: %q, %v", got, err)
	}
	back := newWorld(t, func(c *witness.Config) { c.Store = w.store })
	if refusal := back.mustRefuse(t, request(fork(w.log, 0, 8), 0, 8), http.StatusConflict); refusal.Size != 7 {
		t.Errorf("size %d, want 7", refusal.Size)
	}
}

// WIT-4
func TestARekeyedLogContinuesAndIsReported(t *testing.T) {
	w := newWorld(t)
	w.mustAdd(t, request(w.log, 0, 7))
	second := secondKey(t)
	policy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{VKey: second.VKey()}}, nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	rekeyed := newWorld(t, func(c *witness.Config) { c.Store, c.Policy = w.store, policy })
	if !strings.Contains(rekeyed.logged.String(), "log's keys have changed") {
		t.Errorf("the log was re-keyed silently: %q", rekeyed.logged)
	}
	rekeyed.mustRefuse(t, request(w.log, 7, 8), http.StatusForbidden) // the old key
	signed, err := second.Sign(origin, 8, w.log.Root(8))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rekeyed.witness.AddCheckpoint(t.Context(), trust.AddCheckpoint{OldSize: 7, Proof: w.log.Consistency(7, 8), Checkpoint: signed}); err != nil {
		t.Error(err)
	}
}

// WIT-2, WIT-24
func TestADamagedStoreStopsTheWitness(t *testing.T) {
	w := newWorld(t)
	w.mustAdd(t, request(w.log, 0, 7))
	good := w.stored(t)
	for name, bad := range map[string][]byte{
		"another size":   bytes.Replace(good, []byte("\n7\n"), []byte("\n6\n"), 1),
		"another origin": newLog("other.example/log", 3).Checkpoint(edKey),
		"no signatures":  good[:bytes.Index(good, []byte("\n\n"))+1],
		"no note":        []byte("garbage"),
		"no checkpoint":  append([]byte("garbage\n\n"), good[bytes.Index(good, []byte("\n\n"))+2:]...),
		"no line":        append(bytes.Clone(good[:bytes.Index(good, []byte("\n\n"))+2]), "garbage\n"...),
		"half a line":    good[:len(good)-20],
	} {
		store := witness.NewMemory()
		if err := store.Swap(t.Context(), origin, nil, bad); err != nil {
			t.Fatal(err)
		}
		cfg := witness.Config{Policy: trusttest.Policy(w.log, nil, 0), Cosigners: []*trust.Cosigner{edKey.Cosigner}, Store: store}
		if _, err := witness.New(cfg); err == nil {
			t.Errorf("%s: the witness starts", name)
		}
	}
}

// WIT-30
func TestRateBoundsOneLogAndNotTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		noisy, quiet := newLog("noisy.example/log", 3), newLog("quiet.example/log", 3)
		policy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{VKey: noisy.Signer.VKey()}, {VKey: quiet.Signer.VKey()}}, nil, 0))
		if err != nil {
			t.Fatal(err)
		}
		w = newWorld(t, func(c *witness.Config) { c.Policy, c.Rate = policy, 10 })
		add := func(r trust.AddCheckpoint) int {
			_, err := w.witness.AddCheckpoint(t.Context(), r)
			if refusal, ok := errors.AsType[*witness.Refusal](err); ok {
				return refusal.Status
			}
			return http.StatusOK
		}
		for range 100 { // what is not cosigned costs nothing
			if got := add(request(noisy, 1, 2)); got != http.StatusConflict {
				t.Fatal(got)
			}
		}
		if got := add(request(noisy, 0, 2)); got != http.StatusOK {
			t.Fatal(got)
		}
		for i := 1; i < 20; i++ {
			if got := add(request(noisy, 2, 2)); got != http.StatusOK {
				t.Fatalf("request %d of the burst: %d", i, got)
			}
		}
		if got := add(request(noisy, 2, 2)); got != http.StatusTooManyRequests {
			t.Fatalf("after the burst: %d", got)
		}
		if got := add(request(quiet, 0, 2)); got != http.StatusOK {
			t.Fatalf("another log: %d", got)
		}
		for range 50 { // below the rate: never a 429
			time.Sleep(100 * time.Millisecond) // of synctest's clock
			if got := add(request(noisy, 2, 2)); got != http.StatusOK {
				t.Fatalf("at the rate: %d", got)
			}
		}
	})
}

func TestANegativeRateBoundsNothing(t *testing.T) {
	racetest.OneGoroutine(t)
	w := newWorld(t, func(c *witness.Config) { c.Rate = -1 })
	w.mustAdd(t, request(w.log, 0, 2))
	for range 2100 { // more than the default's burst
		if _, err := w.witness.AddCheckpoint(t.Context(), request(w.log, 2, 2)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARequestThatWaitsTooLongIsToldToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &stalled{Store: witness.NewMemory(), entered: make(chan bool), release: make(chan bool)}
		w := newWorld(t, func(c *witness.Config) { c.Store = slow })
		first := make(chan error)
		go func() {
			_, err := w.witness.AddCheckpoint(context.Background(), request(w.log, 0, 5))
			first <- err
		}()
		<-slow.entered
		_, err := w.witness.AddCheckpoint(t.Context(), request(w.log, 0, 6))
		if refusal, ok := errors.AsType[*witness.Refusal](err); !ok || refusal.Status != http.StatusServiceUnavailable {
			t.Errorf("got %v, want 503", err)
		}
		close(slow.release)
		<-first
	})
}

// stalled stops between check and swap.
type stalled struct {
	witness.Store
	entered, release chan bool
}

func (s *stalled) Swap(ctx context.Context, origin string, old, new []byte) error {
	s.entered <- true
	<-s.release
	return s.Store.Swap(ctx, origin, old, new)
}

// The race of tlog-witness, step by step: A is checked, then B moves on, then A is stored.
func TestAStalledRequestDoesNotRollBack(t *testing.T) {
	memory := witness.NewMemory()
	slow := &stalled{Store: memory, entered: make(chan bool, 1), release: make(chan bool)}
	a := newWorld(t, func(c *witness.Config) { c.Store = slow })
	b := newWorld(t, func(c *witness.Config) { c.Store = memory }) // another process
	type answer struct {
		lines []byte
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		lines, err := a.witness.AddCheckpoint(context.Background(), request(a.log, 0, 5))
		answered <- answer{lines, err}
	}()
	<-slow.entered
	b.mustAdd(t, request(b.log, 0, 8))
	close(slow.release)
	got := <-answered
	refusal, ok := errors.AsType[*witness.Refusal](got.err)
	if !ok || refusal.Status != http.StatusConflict || refusal.Size != 8 || got.lines != nil {
		t.Errorf("got %q, %v; want a conflict with size 8", got.lines, got.err)
	}
}

func openSQLite(t testing.TB) witness.Store {
	t.Helper()
	store, err := witness.OpenSQLite(filepath.Join(t.TempDir(), "witness.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// stores are the implementations that every contract test runs on.
var stores = map[string]func(testing.TB) witness.Store{
	"memory": func(testing.TB) witness.Store { return witness.NewMemory() },
	"sqlite": openSQLite,
}

package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
	"github.com/Haserjian/assay-ledger/witness"
)

// minimal is a Store and nothing else: it keeps no evidence and lists no origins.
type minimal struct{ memory *witness.Memory }

func (m minimal) Latest(ctx context.Context, origin string) ([]byte, error) {
	return m.memory.Latest(ctx, origin)
}

func (m minimal) Swap(ctx context.Context, origin string, old, new []byte) error {
	return m.memory.Swap(ctx, origin, old, new)
}

func TestAStoreThatKeepsNoEvidenceIsEnough(t *testing.T) {
	w := newWorld(t, func(c *witness.Config) { c.Store = minimal{witness.NewMemory()} })
	w.mustAdd(t, request(w.log, 0, 5))
	other := fork(w.log, 2, 10)
	w.mustRefuse(t, request(other, 5, 5), http.StatusUnprocessableEntity)
	w.mustRefuse(t, request(other, 5, 8), http.StatusUnprocessableEntity)
	for _, want := range []string{"kind=fork", "kind=unproven"} {
		if !strings.Contains(w.logged.String(), want) {
			t.Errorf("nothing says %s: %s", want, w.logged)
		}
	}
	w.mustAdd(t, request(w.log, 5, 6))
	again := newWorld(t, func(c *witness.Config) { c.Store = w.store })
	if refusal := again.mustRefuse(t, request(w.log, 0, 8), http.StatusConflict); refusal.Size != 6 {
		t.Errorf("size %d after a restart, want 6", refusal.Size)
	}
}

// faulty is a store whose methods fail while their errors are set.
type faulty struct {
	*witness.Memory
	latest, origins, keep, swap error
	reads, swaps                int
}

func (f *faulty) Latest(ctx context.Context, origin string) ([]byte, error) {
	f.reads++
	if f.latest != nil {
		return nil, f.latest
	}
	return f.Memory.Latest(ctx, origin)
}

func (f *faulty) Origins(ctx context.Context) ([]string, error) {
	if f.origins != nil {
		return nil, f.origins
	}
	return f.Memory.Origins(ctx)
}

func (f *faulty) KeepEvidence(ctx context.Context, e witness.Evidence) (bool, error) {
	if f.keep != nil {
		return false, f.keep
	}
	return f.Memory.KeepEvidence(ctx, e)
}

func (f *faulty) Swap(ctx context.Context, origin string, old, new []byte) error {
	f.swaps++
	if f.swap != nil {
		return f.swap
	}
	return f.Memory.Swap(ctx, origin, old, new)
}

var errDisk = errors.New("input/output error")

// A witness that cannot read what it cosigned does not know what it may cosign.
// WIT-24
func TestAStoreThatCannotBeReadStopsTheWitness(t *testing.T) {
	for name, store := range map[string]*faulty{
		"a checkpoint": {Memory: witness.NewMemory(), latest: errDisk},
		"the origins":  {Memory: witness.NewMemory(), origins: errDisk},
	} {
		cfg := witness.Config{Policy: trusttest.Policy(newLog(origin, 1), nil, 0), Cosigners: []*trust.Cosigner{edKey.Cosigner}, Store: store}
		if _, err := witness.New(cfg); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", name, err)
		}
	}
	store := &faulty{Memory: witness.NewMemory()}
	w := newWorld(t, func(c *witness.Config) { c.Store = store })
	w.mustAdd(t, request(w.log, 0, 5))
	store.latest = errDisk
	for _, r := range []trust.AddCheckpoint{request(w.log, 0, 5), request(w.log, 4, 6)} { // what we remember does not answer these
		_, err := w.witness.AddCheckpoint(t.Context(), r)
		if refusal, ok := errors.AsType[*witness.Refusal](err); !ok || refusal.Status != http.StatusServiceUnavailable || strings.Contains(err.Error(), errDisk.Error()) {
			t.Errorf("old size %d: %v", r.OldSize, err)
		}
	}
	_, err := w.witness.Latest(t.Context(), hashOf(origin))
	if refusal, ok := errors.AsType[*witness.Refusal](err); !ok || refusal.Status != http.StatusServiceUnavailable {
		t.Errorf("monitoring: %v", err)
	}
	if n := strings.Count(w.logged.String(), errDisk.Error()); n != 3 {
		t.Errorf("the operator reads of %d of 3 failures: %s", n, w.logged)
	}
	store.latest = nil
	w.mustAdd(t, request(w.log, 5, 6))
}

// An empty tree with another root is no tree: there is no note of it that could accuse anybody.
// WIT-13
func TestAnEmptyTreeWithARootIsRefusedAndNoEvidence(t *testing.T) {
	w := newWorld(t)
	text := fmt.Sprintf("%s\n0\n%s\n", origin, w.log.Root(5))
	bad := trust.AddCheckpoint{Checkpoint: signText(t, w.log, text)}
	w.mustRefuse(t, bad, http.StatusUnprocessableEntity)
	w.mustAdd(t, request(w.log, 0, 0))
	w.mustRefuse(t, bad, http.StatusUnprocessableEntity)
	w.mustAdd(t, request(w.log, 0, 5))
	w.mustRefuse(t, bad, http.StatusConflict)
	kept, err := w.store.(*witness.Memory).Evidence(t.Context(), origin)
	if err != nil || len(kept) != 0 || strings.Contains(w.logged.String(), "does not extend") {
		t.Errorf("kept %+v, %v; logged %s", kept, err, w.logged)
	}
}

// What it cosigned itself a witness knows: a request that continues it costs one write and no read.
func TestARequestThatContinuesReadsNothing(t *testing.T) {
	store := &faulty{Memory: witness.NewMemory()}
	w := newWorld(t, func(c *witness.Config) { c.Store = store })
	w.mustAdd(t, request(w.log, 0, 2))
	before := store.reads
	for size := int64(2); size < 9; size++ {
		if _, err := w.witness.AddCheckpoint(t.Context(), request(w.log, size, size+1)); err != nil {
			t.Fatal(err)
		}
	}
	if store.reads != before || store.swaps != 8 {
		t.Errorf("%d reads and %d swaps for seven requests", store.reads-before, store.swaps-1)
	}
	// One that does not is judged by the store, which another process may have changed, and what it
	// says is remembered.
	w.mustRefuse(t, request(w.log, 3, 9), http.StatusConflict)
	if store.reads == before {
		t.Error("a conflict is told without a look at the store")
	}
	restarted := newWorld(t, func(c *witness.Config) { c.Store = store })
	_, err := restarted.witness.AddCheckpoint(t.Context(), request(w.log, 9, 9))
	before = store.reads
	for range 3 {
		_, again := restarted.witness.AddCheckpoint(t.Context(), request(w.log, 9, 9))
		err = errors.Join(err, again)
	}
	if err != nil || store.reads != before {
		t.Errorf("after a restart: %d reads, %v", store.reads-before, err)
	}
	// Also what was read for a request that is then refused.
	refusing := newWorld(t, func(c *witness.Config) { c.Store = store })
	before = store.reads
	for range 3 {
		_, err := refusing.witness.AddCheckpoint(t.Context(), request(fork(w.log, 2, 10), 9, 10))
		if refusal, ok := errors.AsType[*witness.Refusal](err); !ok || refusal.Status != http.StatusUnprocessableEntity {
			t.Errorf("a fork: %v", err)
		}
	}
	if store.reads != before+1 {
		t.Errorf("%d reads for three refusals", store.reads-before)
	}
}

// WIT-28
func TestEvidenceThatCannotBeKeptIsReportedAndChangesNoAnswer(t *testing.T) {
	store := &faulty{Memory: witness.NewMemory(), keep: errDisk}
	w := newWorld(t, func(c *witness.Config) { c.Store = store })
	w.mustAdd(t, request(w.log, 0, 5))
	w.mustRefuse(t, request(fork(w.log, 2, 10), 5, 5), http.StatusUnprocessableEntity)
	if logged := w.logged.String(); !strings.Contains(logged, errDisk.Error()) || strings.Contains(logged, "both are kept") {
		t.Errorf("logged %s", logged)
	}
}

// WIT-23
func TestAStateThatKeepsChangingEndsTheRequest(t *testing.T) {
	store := &faulty{Memory: witness.NewMemory(), swap: witness.ErrConflict}
	w := newWorld(t, func(c *witness.Config) { c.Store = store })
	w.mustRefuse(t, request(w.log, 0, 5), http.StatusServiceUnavailable)
	if store.swaps < 2 || store.swaps > 100 {
		t.Errorf("%d attempts", store.swaps)
	}
	store.swap = nil
	w.mustAdd(t, request(w.log, 0, 5))
}

// New keys of ours make no difference to what may be cosigned; they are said aloud, since the old
// cosignatures say nothing of their time any more.
func TestAWitnessWithNewKeysContinuesAndReportsIt(t *testing.T) {
	w := newWorld(t)
	w.mustAdd(t, request(w.log, 0, 7))
	for _, algorithm := range []trust.Algorithm{trust.Ed25519Cosigner, trust.MLDSA44Cosigner} {
		key := trusttest.NewWitness("witness.example/new", algorithm)
		renewed := newWorld(t, func(c *witness.Config) { c.Store, c.Cosigners = w.store, []*trust.Cosigner{key.Cosigner} })
		if !strings.Contains(renewed.logged.String(), "our keys have changed") {
			t.Errorf("%v: the change is silent: %q", algorithm, renewed.logged)
		}
		if refusal := renewed.mustRefuse(t, request(w.log, 0, 8), http.StatusConflict); refusal.Size != 7 {
			t.Errorf("%v: size %d, want 7", algorithm, refusal.Size)
		}
		r := request(w.log, 7, 7)
		lines, err := renewed.witness.AddCheckpoint(t.Context(), r)
		if err != nil {
			t.Fatalf("%v: %v", algorithm, err)
		}
		cp, err := trusttest.Policy(w.log, []*trusttest.Witness{key}, 1).OpenCheckpoint(append(bytes.Clone(r.Checkpoint), lines...))
		if err != nil || len(cp.Cosignatures) != 1 {
			t.Errorf("%v: %+v, %v", algorithm, cp, err)
		}
		w.witness.AddCheckpoint(t.Context(), request(w.log, 7, 7)) // our old keys again, for the next
	}
	// One of two keys is enough to know the store by, and nothing to report.
	one := newWorld(t, func(c *witness.Config) { c.Store, c.Cosigners = w.store, []*trust.Cosigner{mlKey.Cosigner} })
	if one.logged.String() != "" {
		t.Errorf("logged %q", one.logged)
	}
}

// A monitor is told apart whether a log is not followed or has nothing yet.
// WIT-29
func TestMonitoringTellsALogThatIsNotFollowedFromOneWithoutACheckpoint(t *testing.T) {
	w := newWorld(t)
	for hash, says := range map[string]string{hashOf(origin): "yet", hashOf("other.example/log"): "no such log", "": "no such log", hashOf(origin)[1:]: "no such log"} {
		note, err := w.witness.Latest(t.Context(), hash)
		refusal, ok := errors.AsType[*witness.Refusal](err)
		if !ok || refusal.Status != http.StatusNotFound || note != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %q, %v; want %q", hash, note, err, says)
		}
	}
}

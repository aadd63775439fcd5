package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
)

// killRounds is how often the ledger is killed.
func killRounds() int {
	if os.Getenv("ASSAY_LONG") != "" { // make soak
		return 60
	}
	return 5
}

// acked is an entry that the ledger answered for: from then on it must never be lost or moved.
type acked struct {
	manifest []byte
	index    int64
	leaf     []byte
}

// The ledger is killed with kill -9 at random moments under load and started again by the same
// command. Then: every acknowledged entry is in the tree at its index with its bytes, no
// manifest is there twice, and every checkpoint ever published is a prefix of the last one.
// STO-36
func TestAKilledLedgerLosesNoAcknowledgedEntry(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a ledger for half a minute")
	}
	d := programs(t)
	ctx := t.Context()
	if err := d.startServers(ctx); err != nil {
		t.Fatal(err)
	}
	h := &harness{d: d}
	for round := range killRounds() {
		h.round(ctx, t)
		if err := d.start(ctx, "ledger"); err != nil {
			t.Fatalf("after kill %d: %v", round+1, err)
		}
		h.see(ctx, t)
	}
	h.judge(ctx, t)
	t.Logf("%d kills, %d acknowledged entries, %d checkpoints seen", killRounds(), len(h.acked), len(h.seen))
	if len(h.acked) < killRounds() {
		t.Errorf("only %d entries were acknowledged: the harness is too slow to prove anything", len(h.acked))
	}
}

type harness struct {
	d  *demo
	n  int // manifests made so far
	mu sync.Mutex

	acked []acked             // guarded by mu
	seen  []*trust.Checkpoint // every checkpoint that was published, in order of sight
}

// round posts from several writers and kills the ledger at a random moment.
func (h *harness) round(ctx context.Context, t *testing.T) {
	const writers = 32
	stop, answered := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	var once sync.Once
	for w := range writers {
		first := h.n + w
		group.Go(func() {
			for i := first; ; i += writers {
				select {
				case <-stop:
					return
				default:
				}
				manifest := testManifest(t, i)
				status, body, err := h.d.send(ctx, h.d.url("ledger")+"/v1/entries", "application/json", manifest)
				if err != nil {
					return // killed
				}
				if status != http.StatusCreated && status != http.StatusOK {
					t.Errorf("status %d: %s", status, body)
					return
				}
				proof, err := trust.ParseProof(body)
				if err != nil {
					t.Errorf("an acknowledgement without a proof: %v", err)
					return
				}
				h.mu.Lock()
				h.acked = append(h.acked, acked{manifest, proof.Index, proof.Extra})
				h.mu.Unlock()
				once.Do(func() { close(answered) })
			}
		})
	}
	h.n += 10_000 // the next round makes other manifests
	<-time.After(time.Duration(50+rand.IntN(700)) * time.Millisecond)
	select { // on a busy machine a kill that comes before the first answer proves nothing
	case <-answered:
	case <-time.After(30 * time.Second):
	}
	h.d.kill("ledger")
	close(stop)
	group.Wait()
}

// see records the checkpoint that is public now.
func (h *harness) see(ctx context.Context, t *testing.T) {
	t.Helper()
	cp, err := h.d.checkpoint(ctx)
	if err != nil {
		t.Fatalf("the published checkpoint does not open: %v", err)
	}
	h.seen = append(h.seen, cp)
}

func (h *harness) judge(ctx context.Context, t *testing.T) {
	t.Helper()
	policy, err := readPolicy(h.d.policy())
	if err != nil {
		t.Fatal(err)
	}
	remote := &client.Client{URL: h.d.url("ledger"), Policy: policy}
	// Asking again for each acknowledged manifest gives the same entry.
	for _, a := range h.acked {
		again, err := remote.Add(ctx, a.manifest, entry.Source{})
		if err != nil {
			t.Fatalf("entry %d, asked again: %v", a.index, err)
		}
		if again.New || again.Entry.Index != a.index || string(again.Entry.Leaf) != string(a.leaf) {
			t.Errorf("entry %d was acknowledged; asked again it is entry %d (new: %v)", a.index, again.Entry.Index, again.New)
		}
	}
	h.see(ctx, t)
	last := h.seen[len(h.seen)-1]

	var hashes []tlog.Hash // stored hashes of the whole tree, as tlog lays them out
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			list[i] = hashes[x]
		}
		return list, nil
	})
	roots := map[int64]tlog.Hash{0: trust.EmptyRoot}
	manifests := map[[32]byte]int64{}
	leaves := map[int64]string{}
	for logged, err := range remote.Entries(ctx, last, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if first, twice := manifests[logged.Entry.ManifestSHA256]; twice {
			t.Errorf("entries %d and %d are of one manifest", first, logged.Index)
		}
		manifests[logged.Entry.ManifestSHA256] = logged.Index
		leaves[logged.Index] = string(logged.Leaf)
		stored, err := tlog.StoredHashes(logged.Index, logged.Leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, stored...)
		root, err := tlog.TreeHash(logged.Index+1, reader)
		if err != nil {
			t.Fatal(err)
		}
		roots[logged.Index+1] = root
	}
	for _, a := range h.acked {
		if leaves[a.index] != string(a.leaf) {
			t.Errorf("acknowledged entry %d is not in the log as acknowledged", a.index)
		}
	}
	size := int64(0)
	for _, cp := range h.seen {
		if cp.Size < size {
			t.Errorf("the published tree shrank from %d to %d", size, cp.Size)
		}
		size = cp.Size
		if roots[cp.Size] != cp.Root {
			t.Errorf("the checkpoint of size %d is no prefix of the log", cp.Size)
		}
	}
}

type testSigner struct{ key ed25519.PrivateKey }

func (s testSigner) ID() string                          { return "kill-harness" }
func (s testSigner) Public() ed25519.PublicKey           { return s.key.Public().(ed25519.PublicKey) }
func (s testSigner) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }

// testManifest is the manifest of a one-receipt pack; each n has another.
func testManifest(t *testing.T, n int) []byte {
	seed := sha256.Sum256([]byte("kill harness signer"))
	receipt, err := jcs.Parse(fmt.Appendf(nil, `{"receipt_id":"r_%d","type":"model_call","timestamp":"2026-01-15T10:00:00.000000+00:00","schema_version":"3.0","seq":0}`, n), jcs.Limits{})
	if err != nil {
		t.Error(err)
		return nil
	}
	p, err := pack.Build(pack.Spec{RunID: "kill", Receipts: []jcs.Value{receipt}, Now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Signer: testSigner{ed25519.NewKeyFromSeed(seed[:])}})
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, f := range p.Files {
		if f.Name == "pack_manifest.json" {
			return f.Data
		}
	}
	t.Error("the pack has no manifest")
	return nil
}

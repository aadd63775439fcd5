package client

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust"
)

func collect(t testing.TB, c *Client, cp *trust.Checkpoint, start int64) (leaves [][]byte, err error) {
	t.Helper()
	at := start
	for l, err := range c.Entries(t.Context(), cp, start) {
		if err != nil {
			return leaves, err
		}
		if l.Index != at {
			t.Fatalf("entry %d came for %d", l.Index, at)
		}
		if !bytes.Equal(l.Entry.Leaf(), l.Leaf) {
			t.Fatalf("entry %d is not its leaf", at)
		}
		at++
		leaves = append(leaves, l.Leaf)
	}
	return leaves, nil
}

func open(t testing.TB, h *honest, size int64) *trust.Checkpoint {
	t.Helper()
	cp, err := h.policy().OpenCheckpoint(h.log.CheckpointAt(size, h.witness))
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

func TestEntriesYieldsEveryEntryOnce(t *testing.T) {
	h := newHonest()
	h.fill(t, 700)
	c := serve(t, h, h)
	for _, size := range []int64{0, 1, 2, 255, 256, 257, 511, 512, 513, 700} {
		cp := open(t, h, size)
		for _, start := range []int64{0, 1, 255, 256, 300, size} {
			if start > size {
				continue
			}
			leaves, err := collect(t, c, cp, start)
			if err != nil || int64(len(leaves)) != size-start {
				t.Fatalf("[%d, %d): %d entries, %v", start, size, len(leaves), err)
			}
			for i, leaf := range leaves {
				if !bytes.Equal(leaf, h.leaves[start+int64(i)]) {
					t.Fatalf("[%d, %d): entry %d is another", start, size, start+int64(i))
				}
			}
		}
	}
}

func TestEntriesFallsBackToFullTiles(t *testing.T) {
	h := newHonest()
	h.fill(t, 600)
	h.noPartials = true
	c := serve(t, h, h)
	if leaves, err := collect(t, c, open(t, h, 300), 0); err != nil || len(leaves) != 300 {
		t.Errorf("%d entries, %v", len(leaves), err)
	}
}

func TestEntriesStopsWhenTheCallerDoes(t *testing.T) {
	h := newHonest()
	h.fill(t, 600)
	bundles := 0
	c := serve(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/tile/entries/") {
			bundles++
		}
		h.ServeHTTP(w, r)
	}))
	for range c.Entries(t.Context(), open(t, h, 600), 0) {
		break
	}
	if bundles != 1 {
		t.Errorf("%d bundles were fetched for one entry", bundles)
	}
}

// API-42
func TestEntriesBelievesNoCheckpointThatWasNotSigned(t *testing.T) {
	h := newHonest()
	h.fill(t, 10)
	c := serve(t, h, h)
	good := open(t, h, 10)
	smaller, none, other, unsigned := *good, *good, *good, *good
	none.Size = 0 // no entry would be asked for, so no tile would tell
	smaller.Size = 9
	other.Root[0] ^= 1
	unsigned.Signed = h.log.Checkpoint()
	for name, cp := range map[string]*trust.Checkpoint{"size": &smaller, "size 0": &none, "root": &other, "quorum": &unsigned, "empty": {}} {
		if leaves, err := collect(t, c, cp, 0); !errors.Is(err, ErrBadProof) || len(leaves) > 0 {
			t.Errorf("%s: %d entries, %v", name, len(leaves), err)
		}
	}
	if leaves, err := collect(t, c, nil, 0); err == nil || len(leaves) > 0 {
		t.Errorf("nil: %d entries, %v", len(leaves), err)
	}
	for _, start := range []int64{-1, 11} {
		if _, err := collect(t, c, good, start); err == nil {
			t.Errorf("start %d is accepted", start)
		}
	}
}

// edited answers honestly, but for one path.
func edited(h *honest, path string, edit func([]byte) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		if r.URL.Path == path {
			body = edit(bytes.Clone(body))
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	})
}

// API-42
func TestLyingTilesAndBundlesAreNoticed(t *testing.T) {
	h := newHonest()
	h.fill(t, 600)
	cp := open(t, h, 600)
	flip := func(n int) func([]byte) []byte {
		return func(b []byte) []byte { b[n%len(b)] ^= 1; return b }
	}
	edits := map[string]func([]byte) []byte{
		"first byte": flip(0), "second": flip(1), "a middle byte": flip(4000), "empty": func([]byte) []byte { return nil }, "one byte": func(b []byte) []byte { return b[:1] },
		"cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"shifted": func(b []byte) []byte { return b[32:] }, "zeros": func(b []byte) []byte { return make([]byte, len(b)) },
		"endless": func(b []byte) []byte { return bytes.Repeat(b, 1+(17<<20)/len(b)) },
	}
	for _, path := range []string{"/tile/0/000", "/tile/0/001", "/tile/0/002.p/88", "/tile/1/000.p/2", "/tile/entries/000", "/tile/entries/001", "/tile/entries/002.p/88"} {
		for name, edit := range edits {
			leaves, err := collect(t, serve(t, h, edited(h, path, edit)), cp, 0)
			// What does not end pretends to be nobody's; the rest is what the ledger holds for its tiles.
			if lie := name != "endless"; errors.Is(err, ErrBadProof) != lie || errors.Is(err, ErrUnavailable) == lie {
				t.Errorf("%s %s: %v", path, name, err)
			}
			for i, leaf := range leaves { // what came before the lie is true
				if !bytes.Equal(leaf, h.leaves[i]) {
					t.Errorf("%s %s: entry %d is another", path, name, i)
				}
			}
		}
	}
}

// API-42
func TestMissingTilesAreNoLie(t *testing.T) {
	h := newHonest()
	h.fill(t, 600)
	cp := open(t, h, 600)
	for path, status := range map[string]int{"/tile/0/001": 404, "/tile/entries/001": 503, "/tile/1/000.p/2": 500} {
		c := serve(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				w.WriteHeader(status)
				return
			}
			h.ServeHTTP(w, r)
		}))
		_, err := collect(t, c, cp, 0)
		var p *Problem
		if !errors.As(err, &p) || p.Status != status || errors.Is(err, ErrBadProof) {
			t.Errorf("%s %d: %v", path, status, err)
		}
	}
}

func TestLeafThatIsNoEntryEndsTheWalk(t *testing.T) {
	h := newHonest()
	h.fill(t, 3)
	h.append([]byte("not an entry"))
	h.fill(t, 3)
	leaves, err := collect(t, serve(t, h, h), open(t, h, 7), 0)
	if !errors.Is(err, ErrBadProof) || !strings.Contains(err.Error(), "entry 3") || len(leaves) != 3 {
		t.Errorf("%d entries, %v", len(leaves), err)
	}
}

func TestTileCacheIsBounded(t *testing.T) {
	r := &tileReader{verified: map[tlog.Tile][]byte{}}
	for n := range int64(5 * maxVerified) {
		r.SaveTiles([]tlog.Tile{{H: 8, L: 1, N: n, W: 256}, {H: 8, L: 0, N: n, W: 256}}, [][]byte{{1}, {1}})
		if len(r.verified) > maxVerified {
			t.Fatalf("%d tiles are kept", len(r.verified))
		}
	}
}

func BenchmarkEntries(b *testing.B) {
	h := newHonest()
	h.fill(b, 2048)
	c := serve(b, h, h)
	cp := open(b, h, 2048)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range c.Entries(b.Context(), cp, 0) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 2048 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(2048*b.N)/b.Elapsed().Seconds(), "entries/s")
}

package client

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

const testOrigin = "ledger.example/test"

// honest is a ledger in memory, written from docs/spec/http.md apart from package api.
type honest struct {
	log     *trusttest.Log
	witness *trusttest.Witness

	mu     sync.Mutex
	hashes []tlog.Hash
	leaves [][]byte
	at     map[trust.Digest]int64

	noPartials bool                 // answer 404 to partial tiles, as when the full ones came
	edit       func(e *entry.Entry) // lie in the entry before it is logged
}

func newHonest() *honest {
	return &honest{log: trusttest.NewLog(testOrigin), witness: trusttest.NewWitness("w1", trust.Ed25519Cosigner), at: map[trust.Digest]int64{}}
}

func (h *honest) policy() *trust.Policy {
	return trusttest.Policy(h.log, []*trusttest.Witness{h.witness}, 1)
}

func (h *honest) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		found[i] = h.hashes[x]
	}
	return found, nil
}

func (h *honest) append(leaf []byte) int64 {
	n := h.log.Append(leaf)
	hashes, err := tlog.StoredHashes(n, leaf, h)
	if err != nil {
		panic(err)
	}
	h.hashes = append(h.hashes, hashes...)
	h.leaves = append(h.leaves, leaf)
	return n
}

// fill appends n entries of manifests that nobody has.
func (h *honest) fill(t testing.TB, n int) {
	t.Helper()
	m, _ := manifest.Verify(testManifest(t, "fill"))
	e, err := entry.New(m, entry.Source{}, trusttest.Time, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		e.ManifestSHA256 = sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(len(h.leaves))))
		h.append(e.Leaf())
	}
}

func (h *honest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case r.Method == "POST" && path == "v1/entries":
		h.post(w, r)
	case path == "checkpoint":
		_, _ = w.Write(h.log.Checkpoint(h.witness))
	case strings.HasPrefix(path, "tile/"):
		h.tile(w, strings.TrimPrefix(path, "tile/"))
	case strings.HasPrefix(path, "v1/entries/") && strings.HasSuffix(path, "/proof"):
		var digest trust.Digest
		_, _ = hex.Decode(digest[:], []byte(strings.TrimSuffix(strings.TrimPrefix(path, "v1/entries/"), "/proof")))
		if n, ok := h.at[digest]; ok {
			_, _ = w.Write(h.prove(n))
			return
		}
		fallthrough
	default:
		problem(w, 404, `{"type":"/problems/not-found","title":"Nothing is here","status":404,"detail":"Check the address."}`)
	}
}

func (h *honest) post(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, r.ContentLength)
	for n := 0; n < len(body); {
		k, err := r.Body.Read(body[n:])
		if n += k; err != nil && n < len(body) {
			return
		}
	}
	m, findings := manifest.Verify(body)
	if len(findings) > 0 {
		problem(w, 422, `{"type":"/problems/manifest-rejected"}`)
		return
	}
	n, known := h.at[m.Digest()]
	if !known {
		src, err := entry.ParseSource(r.URL.Query().Get("source_repo"), r.URL.Query().Get("source_workflow"), r.URL.Query().Get("source_commit"))
		if err != nil {
			problem(w, 400, `{"type":"/problems/malformed-source"}`)
			return
		}
		e, err := entry.New(m, src, trusttest.Time, []byte("token"))
		if err != nil {
			panic(err)
		}
		if h.edit != nil {
			h.edit(&e)
		}
		n = h.append(e.Leaf())
		h.at[m.Digest()] = n
		w.WriteHeader(201)
	}
	_, _ = w.Write(h.prove(n))
}

func (h *honest) prove(n int64) []byte {
	p := h.log.Prove(n, h.witness)
	p.Extra = h.leaves[n]
	return p.Marshal()
}

func (h *honest) tile(w http.ResponseWriter, path string) {
	level, number, _ := strings.Cut(path, "/")
	number, partial, _ := strings.Cut(number, ".p/")
	width := 256
	if partial != "" {
		width, _ = strconv.Atoi(partial)
		if h.noPartials {
			problem(w, 404, "{}")
			return
		}
	}
	n, _ := strconv.ParseInt(strings.NewReplacer("x", "", "/", "").Replace(number), 10, 64)
	if level == "entries" {
		for i := n * 256; i < n*256+int64(width) && i < int64(len(h.leaves)); i++ {
			_, _ = w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(h.leaves[i]))), h.leaves[i]...))
		}
		return
	}
	l, _ := strconv.Atoi(level)
	// What is not full yet is served full to those who ask, as when the log has grown since.
	width = min(width, int(int64(len(h.leaves))>>(8*l)-n*256))
	data, err := tlog.ReadTileData(tlog.Tile{H: 8, L: l, N: n, W: width}, h)
	if err != nil {
		problem(w, 404, "{}")
		return
	}
	_, _ = w.Write(data)
}

func problem(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

type testSigner struct{ ed25519.PrivateKey }

func (s testSigner) ID() string                { return "test-signer" }
func (s testSigner) Public() ed25519.PublicKey { return s.PrivateKey.Public().(ed25519.PublicKey) }
func (s testSigner) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(s.PrivateKey, message), nil
}

// testManifest is the manifest of a pack with one receipt, signed with a key that everybody knows.
func testManifest(t testing.TB, run string) []byte {
	t.Helper()
	seed := sha256.Sum256([]byte("ledger/client test key"))
	receipt, err := jcs.Parse(fmt.Appendf(nil, `{"receipt_id":"r-%s","type":"model_call","timestamp":"2026-01-02T03:04:05Z","schema_version":"3.0","seq":0}`, run), jcs.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pack.Build(pack.Spec{RunID: run, Receipts: []jcs.Value{receipt}, Now: time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC),
		Signer: testSigner{ed25519.NewKeyFromSeed(seed[:])}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Files {
		if f.Name == "pack_manifest.json" {
			return f.Data
		}
	}
	t.Fatal("no manifest")
	return nil
}

func digestOf(t testing.TB, text []byte) trust.Digest {
	t.Helper()
	m, findings := manifest.Verify(text)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return m.Digest()
}

// serve returns a client of handler that believes h's policy and does not retry.
func serve(t testing.TB, h *honest, handler http.Handler) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &Client{URL: server.URL, Policy: h.policy(), HTTP: server.Client(), Attempts: 1}
}

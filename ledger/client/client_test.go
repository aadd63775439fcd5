package client

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

func TestAddReturnsAProofThatVerifies(t *testing.T) {
	h := newHonest()
	h.fill(t, 5)
	c := serve(t, h, h)
	manifest := testManifest(t, "run-1")
	src := entry.Source{Repo: "acme/app", Workflow: ".github/workflows/ci.yml", Commit: strings.Repeat("0a", 20)}
	first, err := c.Add(t.Context(), manifest, src)
	if err != nil {
		t.Fatal(err)
	}
	if !first.New || first.Entry.Index != 5 || first.Entry.Entry.ManifestSHA256 != digestOf(t, manifest) ||
		first.Entry.Entry.Source.Repo != "acme/app" || first.Entry.Entry.Source.Commit != src.Commit || !bytes.Equal(first.Entry.Leaf, first.Proof.Extra) {
		t.Errorf("got %+v", first)
	}
	if _, err := h.policy().CheckProof(first.Proof, first.Entry.Leaf); err != nil {
		t.Error(err)
	}
	again, err := c.Add(t.Context(), manifest, entry.Source{})
	if err != nil || again.New || again.Entry.Index != 5 {
		t.Errorf("again: %+v, %v", again, err)
	}
	proved, err := c.Prove(t.Context(), digestOf(t, manifest))
	if err != nil || proved.Entry.Index != 5 {
		t.Errorf("prove: %+v, %v", proved, err)
	}
	if cp, err := c.Checkpoint(t.Context()); err != nil || cp.Size != 6 || cp.Root != h.log.Root(6) {
		t.Errorf("checkpoint: %+v, %v", cp, err)
	}
}

func TestBrokenManifestsAreNotSent(t *testing.T) {
	h := newHonest()
	c := serve(t, h, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was sent") }))
	_, err := c.Add(t.Context(), []byte(`{"a":1}`), entry.Source{})
	var p *Problem
	if !errors.As(err, &p) || p.Status != 422 || len(p.Findings) == 0 || errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// lie answers instead of the honest ledger.
type lie func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request)

// proofEdit changes an honest proof.
func proofEdit(edit func(h *honest, p *trust.Proof)) lie {
	return func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		p, err := trust.ParseProof(honestAnswer(h, r))
		if err != nil {
			t.Error(err)
			return
		}
		edit(h, p)
		_, _ = w.Write(p.Marshal())
	}
}

func textEdit(edit func(text []byte) []byte) lie {
	return func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(edit(honestAnswer(h, r)))
	}
}

func honestAnswer(h *honest, r *http.Request) []byte {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Body.Bytes()
}

func entryEdit(edit func(e *entry.Entry)) lie {
	return func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		h.edit = edit
		h.ServeHTTP(w, r)
	}
}

var lies = map[string]struct {
	lie     lie
	want    error
	addOnly bool // Prove has no manifest to compare with, or is another request
}{
	"proof of another entry": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(h.prove(0))
	}, ErrBadProof, false},
	"another entry under the right proof": {proofEdit(func(h *honest, p *trust.Proof) { p.Extra = h.leaves[0] }), ErrBadProof, false},
	"no entry":                            {proofEdit(func(h *honest, p *trust.Proof) { p.Extra = nil }), ErrBadProof, false},
	"an empty entry":                      {proofEdit(func(h *honest, p *trust.Proof) { p.Extra = []byte{} }), ErrBadProof, false},
	"entry with a space more":             {proofEdit(func(h *honest, p *trust.Proof) { p.Extra = append(p.Extra, ' ') }), ErrBadProof, false},
	"another index":                       {proofEdit(func(h *honest, p *trust.Proof) { p.Index-- }), ErrBadProof, false},
	"a hash more":                         {proofEdit(func(h *honest, p *trust.Proof) { p.Hashes = append(p.Hashes, p.Hashes[0]) }), ErrBadProof, false},
	"a hash less":                         {proofEdit(func(h *honest, p *trust.Proof) { p.Hashes = p.Hashes[1:] }), ErrBadProof, false},
	"a hash changed":                      {proofEdit(func(h *honest, p *trust.Proof) { p.Hashes[0][3] ^= 1 }), ErrBadProof, false},
	"older checkpoint":                    {proofEdit(func(h *honest, p *trust.Proof) { p.Checkpoint = h.log.CheckpointAt(3, h.witness) }), ErrBadProof, false},
	"no quorum":                           {proofEdit(func(h *honest, p *trust.Proof) { p.Checkpoint = h.log.Checkpoint() }), ErrQuorumOrBad, false},
	"a stranger's cosignature": {proofEdit(func(h *honest, p *trust.Proof) {
		p.Checkpoint = h.log.Checkpoint(trusttest.NewWitness("w9", trust.Ed25519Cosigner))
	}), ErrBadProof, false},
	"another origin": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		other := newHonest()
		other.log = trusttest.NewLog("ledger.example/other")
		other.fill(t, 5)
		other.ServeHTTP(w, r)
	}, ErrBadProof, true},
	"another pack root": {entryEdit(func(e *entry.Entry) { e.PackRootSHA256[0] ^= 1 }), ErrBadProof, true},
	"another claim verdict": {entryEdit(func(e *entry.Entry) {
		e.ClaimCheck = map[manifest.ClaimCheck]manifest.ClaimCheck{"PASS": "FAIL", "FAIL": "PASS", "N/A": "PASS"}[e.ClaimCheck]
	}), ErrBadProof, true},
	"another signer": {entryEdit(func(e *entry.Entry) { e.SignerKeySHA256[0] ^= 1 }), ErrBadProof, true},
	"more receipts":  {entryEdit(func(e *entry.Entry) { e.NReceipts = 1000 }), ErrBadProof, true},
	"source said to be bound": {entryEdit(func(e *entry.Entry) {
		e.Source = entry.Source{Repo: "evil/repo", Attestation: "ci_binding"}
	}), ErrBadProof, true},
	"cut in half":    {textEdit(func(b []byte) []byte { return b[:len(b)/2] }), ErrBadProof, false},
	"last byte lost": {textEdit(func(b []byte) []byte { return b[:len(b)-1] }), ErrBadProof, false},
	"a byte more":    {textEdit(func(b []byte) []byte { return append(b, '\n') }), ErrBadProof, false},
	"CRLF":           {textEdit(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }), ErrBadProof, false},
	"empty":          {textEdit(func([]byte) []byte { return nil }), ErrUnavailable, false},
	"nonsense":       {textEdit(func([]byte) []byte { return []byte("welcome to the hotel\x1b[2J") }), ErrUnavailable, false},
	"HTML":           {textEdit(func([]byte) []byte { return []byte("<html>welcome to the hotel</html>") }), ErrUnavailable, false},
	"HTML that says it is text": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("\n<!DOCTYPE html>" + strings.Repeat("welcome ", 100)))
	}, ErrUnavailable, false},
	"a checkpoint": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(h.log.Checkpoint(h.witness))
	}, ErrBadProof, false},
	"endless": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(honestAnswer(h, r))
		for block := make([]byte, 64<<10); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}, ErrBadProof, false},
	"gzip bomb": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		for member := bombMember(); ; {
			if _, err := w.Write(member); err != nil {
				return
			}
		}
	}, ErrUnavailable, false},
	"redirect to an honest answer": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/honest") {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/honest"+r.URL.Path, http.StatusTemporaryRedirect)
	}, ErrUnavailable, false},
	"hang-up in the body": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(honestAnswer(h, r))
	}, ErrUnavailable, false},
	"drip": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte("c")); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}, ErrUnavailable, false},
	"silence": {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}, ErrUnavailable, false},
	"202":         {status(http.StatusAccepted), ErrUnavailable, false},
	"204":         {func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, ErrUnavailable, false},
	"206":         {status(http.StatusPartialContent), ErrUnavailable, false},
	"a proof 500": {status(http.StatusInternalServerError), ErrUnavailable, false},
	"a proof 404": {status(http.StatusNotFound), nil, false},
}

// ErrQuorumOrBad: a proof without quorum is a bad one, and tells why.
var ErrQuorumOrBad = trust.ErrQuorum

func status(code int) lie {
	return func(t *testing.T, h *honest, w http.ResponseWriter, r *http.Request) {
		text := honestAnswer(h, r)
		w.WriteHeader(code)
		_, _ = w.Write(text)
	}
}

// ENT-62, API-41, API-44, API-46
func TestNoLieIsAccepted(t *testing.T) {
	manifest := testManifest(t, "run-1")
	for name, c := range lies {
		t.Run(name, func(t *testing.T) {
			h := newHonest()
			h.fill(t, 5)
			lying := serve(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.lie(t, h, w, r) }))
			lying.Timeout = 30 * time.Second // a slow machine is no lie
			if c.want == ErrUnavailable {
				lying.Timeout = 200 * time.Millisecond
			}
			a, err := lying.Add(t.Context(), manifest, entry.Source{})
			check := func(what string, a *entry.Anchored, err error) {
				t.Helper()
				if a != nil || err == nil {
					t.Fatalf("%s: accepted: %+v", what, a)
				}
				if c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("%s: %v, want %v", what, err, c.want)
				}
				if c.want == ErrQuorumOrBad && !errors.Is(err, ErrBadProof) {
					t.Errorf("%s: %v is no ErrBadProof", what, err)
				}
				if errors.Is(err, ErrBadProof) && errors.Is(err, ErrUnavailable) {
					t.Errorf("%s: %v is both", what, err)
				}
			}
			check("add", a, err)
			if c.addOnly {
				return
			}
			h.ServeHTTP(httptest.NewRecorder(), post(manifest))
			a, err = lying.Prove(t.Context(), digestOf(t, manifest))
			check("prove", a, err)
		})
	}
}

func post(manifest []byte) *http.Request {
	return httptest.NewRequest("POST", "/v1/entries", bytes.NewReader(manifest))
}

// API-41
func TestEveryFlippedByteOfAProofIsNoticed(t *testing.T) {
	h := newHonest()
	h.fill(t, 5)
	manifest := testManifest(t, "run-1")
	text := honestAnswer(h, post(manifest))
	c := &Client{Policy: h.policy()}
	digest := digestOf(t, manifest)
	if _, err := c.check(text, digest); err != nil {
		t.Fatal(err)
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if _, err := c.check(bad, digest); !errors.Is(err, ErrBadProof) {
			t.Fatalf("byte %d of %q: %v", i, text, err)
		}
	}
}

// API-41, API-44
func TestLyingCheckpointsAreRefused(t *testing.T) {
	h := newHonest()
	h.fill(t, 5)
	good := h.log.Checkpoint(h.witness)
	for name, body := range map[string][]byte{
		"no quorum": h.log.Checkpoint(), "cut": good[:len(good)-10],
		"flipped": bytes.Replace(good, []byte("\n5\n"), []byte("\n6\n"), 1), "huge": append(bytes.Clone(good), bytes.Repeat([]byte("— x AAAAAAAA\n"), 20000)...),
	} {
		c := serve(t, h, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
		if cp, err := c.Checkpoint(t.Context()); cp != nil || !errors.Is(err, ErrBadProof) {
			t.Errorf("%s: %+v, %v", name, cp, err)
		}
	}
}

// Nobody is accused by what no log key pretends to have signed.
// API-46
func TestAnswersOfOthersAreNoEvidence(t *testing.T) {
	h := newHonest()
	h.fill(t, 5)
	other := trusttest.NewLog("other.example/x")
	rekeyed := bytes.ReplaceAll(other.Checkpoint(h.witness), []byte("other.example/x"), []byte(testOrigin))
	for name, c := range map[string]struct {
		body []byte
		want error
		text string
	}{
		"empty":       {nil, ErrUnavailable, "it is empty"},
		"HTML":        {[]byte("<html>hello"), ErrUnavailable, "portal"},
		"JSON":        {[]byte(`{"a":"\x1b"}`), ErrUnavailable, "begins with"},
		"other log":   {other.Checkpoint(h.witness), ErrOtherLog, "of other.example/x, and the policy names " + testOrigin},
		"another key": {rekeyed, ErrOtherLog, "with key "},
	} {
		c2 := serve(t, h, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(c.body) }))
		if cp, err := c2.Checkpoint(t.Context()); cp != nil || !errors.Is(err, c.want) || errors.Is(err, ErrBadProof) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %+v, %v", name, cp, err)
		}
	}
}

// What accuses somebody is handed over.
func TestABadProofIsKeptAsItCame(t *testing.T) {
	h := newHonest()
	h.fill(t, 5)
	forged := bytes.Replace(h.log.Checkpoint(h.witness), []byte("\n5\n"), []byte("\n6\n"), 1)
	c := serve(t, h, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(forged) }))
	var bad *BadProof
	if _, err := c.Checkpoint(t.Context()); !errors.As(err, &bad) || !bytes.Equal(bad.Answer, forged) {
		t.Errorf("%v", err)
	}
	lying := entryEdit(func(e *entry.Entry) { e.NReceipts = 1000 })
	c = serve(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { lying(t, h, w, r) }))
	if _, err := c.Add(t.Context(), testManifest(t, "run-1"), entry.Source{}); !errors.As(err, &bad) || !isProof(bad.Answer) {
		t.Errorf("%v", err)
	}
}

// API-43
func TestOnlySafeURLsAreAsked(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://ledger.example": true, "https://ledger.example/2026/": true, "http://127.0.0.1:8080": true, "http://127.9.9.9": true,
		"http://[::1]:80": true, "http://localhost:1": true, "http://ledger.example": false, "http://127.0.0.1.evil.example": false,
		"http://localhost.evil.example": false, "http://10.0.0.1": false, "http://[::ffff:127.0.0.1]:1": true, "http://[::ffff:10.0.0.1]:1": false,
		"ftp://x": false, "file:///etc/passwd": false, "": false, "ledger.example": false, "https://": false, "https://u:p@ledger.example": false,
		"https://ledger.example?x": false, "https://ledger.example?": false, "https://ledger.example#f": false, "://": false, "https://a\nb": false,
	} {
		c := &Client{URL: url}
		if _, err := c.base(); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		} else if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
	if _, err := (&Client{URL: "http://ledger.example", Insecure: true}).base(); err != nil {
		t.Error(err)
	}
	if _, err := (&Client{URL: "https://ledger.example"}).Checkpoint(t.Context()); err == nil {
		t.Error("a client without policy works")
	}
}

func TestPrefixOfTheURLIsKept(t *testing.T) {
	h := newHonest()
	h.fill(t, 1)
	c := serve(t, h, http.StripPrefix("/2026", h))
	c.URL += "/2026/"
	if _, err := c.Checkpoint(t.Context()); err != nil {
		t.Error(err)
	}
}

func BenchmarkCheck(b *testing.B) {
	h := newHonest()
	h.fill(b, 1000)
	manifest := testManifest(b, "run-1")
	text, digest := honestAnswer(h, post(manifest)), digestOf(b, manifest)
	c := &Client{Policy: h.policy()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.check(text, digest); err != nil {
			b.Fatal(err)
		}
	}
}

// bombMember is a gzip member of 1 MiB of nothing; members one after another are a gzip file too.
// It is made once, so that the bomb costs its reader something and its server nothing.
var bombMember = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, 1<<20)) // a bytes.Buffer takes everything
	_ = z.Close()
	return b.Bytes()
})

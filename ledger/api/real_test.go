package api_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/api"
	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
	"github.com/Haserjian/assay-ledger/witness"
)

// world is a real ledger with a real witness behind the API, and a client that believes them.
type world struct {
	dir    string
	url    string
	policy *trust.Policy
	client *client.Client
	stop   func() // ends serving and closes the log; may be called early
}

func newWorld(t testing.TB) *world {
	t.Helper()
	peer := trusttest.NewLog("ledger.example/real") // for its key
	alone := trusttest.Policy(peer, nil, 0)
	w1 := trusttest.NewWitness("w1", trust.Ed25519Cosigner)
	core, err := witness.New(witness.Config{Policy: alone, Cosigners: []*trust.Cosigner{w1.Cosigner}, Store: witness.NewMemory(), Rate: -1})
	must(t, err)
	cosigning := httptest.NewServer(core.Handler())
	t.Cleanup(cosigning.Close)
	w1.URL = cosigning.URL
	policy := trusttest.Policy(peer, []*trusttest.Witness{w1}, 1)

	dir := t.TempDir()
	x, err := index.Open(filepath.Join(dir, "index"), peer.Signer.Origin())
	must(t, err)
	cfg := ledger.Config{Dir: filepath.Join(dir, "log"), GuardDir: filepath.Join(dir, "guard"), Signer: peer.Signer, Policy: policy,
		Index: x, Timestamps: ledger.TimestampsOff, Interval: 20 * time.Millisecond, BatchAge: 5 * time.Millisecond}
	must(t, ledger.Create(t.Context(), cfg))
	log, err := ledger.Open(t.Context(), cfg)
	must(t, err)
	h, err := api.New(api.Config{Log: log, Index: x, Policy: policy})
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serve.HTTP(ctx, ln, h, nil, serve.Ledger) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		closing, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := errors.Join(log.Close(closing), x.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	transport := &http.Transport{MaxIdleConnsPerHost: 4096}
	t.Cleanup(transport.CloseIdleConnections)
	url := "http://" + ln.Addr().String()
	return &world{dir: dir, url: url, policy: policy, stop: stop,
		client: &client.Client{URL: url, Policy: policy, HTTP: &http.Client{Transport: transport}}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type packSigner struct{ ed25519.PrivateKey }

func (s packSigner) ID() string                      { return "tester" }
func (s packSigner) Public() ed25519.PublicKey       { return s.PrivateKey.Public().(ed25519.PublicKey) }
func (s packSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.PrivateKey, msg), nil }

func manifestOf(t testing.TB, n int) []byte {
	t.Helper()
	seed := sha256.Sum256([]byte("ledger/api test key"))
	receipt, err := jcs.Parse(fmt.Appendf(nil,
		`{"receipt_id":"r-%d","type":"model_call","timestamp":"2026-01-02T03:04:05Z","schema_version":"3.0","seq":0}`, n), jcs.Limits{})
	must(t, err)
	p, err := pack.Build(pack.Spec{RunID: fmt.Sprint("run-", n), Receipts: []jcs.Value{receipt},
		Now: time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC), Signer: packSigner{ed25519.NewKeyFromSeed(seed[:])}})
	must(t, err)
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

func TestClientAndLedgerAgree(t *testing.T) {
	w := newWorld(t)
	src := entry.Source{Repo: "acme/app", Workflow: "ci.yml"}
	for n := range 5 {
		a, err := w.client.Add(t.Context(), manifestOf(t, n), src)
		must(t, err)
		if !a.New || a.Entry.Index != int64(n) || a.Entry.Entry.Source.Repo != "acme/app" {
			t.Errorf("manifest %d: %+v", n, a)
		}
	}
	again, err := w.client.Add(t.Context(), manifestOf(t, 2), entry.Source{})
	must(t, err)
	if again.New || again.Entry.Index != 2 {
		t.Errorf("again: %+v", again)
	}
	proved, err := w.client.Prove(t.Context(), digestOf(t, manifestOf(t, 3)))
	must(t, err)
	if proved.Entry.Index != 3 {
		t.Errorf("proved: %+v", proved)
	}
	cp, err := w.client.Checkpoint(t.Context())
	must(t, err)
	if cp.Size != 5 {
		t.Errorf("size is %d", cp.Size)
	}
	next := int64(0)
	for l, err := range w.client.Entries(t.Context(), cp, 0) {
		must(t, err)
		if l.Index != next || l.Entry.ManifestSHA256 != digestOf(t, manifestOf(t, int(next))) {
			t.Errorf("entry %d: %+v", next, l)
		}
		next++
	}
	if next != 5 {
		t.Errorf("%d entries", next)
	}
	_, err = w.client.Prove(t.Context(), [32]byte{1})
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("an unknown manifest: %v", err)
	}
}

// Every reason is caused here, and none tells a stranger where anything lies on this machine.
// API-32, API-33
func TestReadyzNamesEveryReasonAndOnlyPublicPaths(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.Add(t.Context(), manifestOf(t, 0), entry.Source{})
	must(t, err)
	get := func(path string) (int, string) {
		response, err := http.Get(w.url + path)
		must(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		must(t, err)
		return response.StatusCode, string(body)
	}
	tile := filepath.Join(w.dir, "log", "tile", "0", "000.p", "1")
	must(t, os.WriteFile(tile, make([]byte, 32), 0o600))
	if status, _ := get("/tile/0/000.p/1"); status != http.StatusServiceUnavailable {
		t.Fatalf("a damaged tile: %d", status)
	}
	for begin := time.Now(); os.Mkdir(filepath.Join(w.dir, "guard", ".probe"), 0o700) != nil; {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the guard refuses an obstacle")
		}
	}
	var body string
	for begin := time.Now(); !strings.Contains(body, "Storage refuses writes."); _, body = get("/readyz") {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("storage is no reason: %s", body)
		}
	}
	if !strings.Contains(body, "entries 0 to 0 (tile/0/000.p/1)") || strings.Contains(body, w.dir) || strings.Contains(body, ".probe") {
		t.Errorf("readyz says %s", body)
	}
}

// API-8
func TestThousandClientsWithOneManifestMakeOneEntry(t *testing.T) {
	w := newWorld(t)
	text := manifestOf(t, 1)
	var fresh atomic.Int64
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			a, err := w.client.Add(t.Context(), text, entry.Source{})
			if err != nil || a.Entry.Index != 0 {
				t.Errorf("%+v, %v", a, err)
			} else if a.New {
				fresh.Add(1)
			}
		})
	}
	all.Wait()
	cp, err := w.client.Checkpoint(t.Context())
	must(t, err)
	if cp.Size != 1 || fresh.Load() != 1 {
		t.Errorf("%d entries, %d times new", cp.Size, fresh.Load())
	}
}

// API-7
func TestManifestChangedOnTheWayIsRejectedWithItsFindings(t *testing.T) {
	w := newWorld(t)
	text := manifestOf(t, 1)
	for name, bad := range map[string][]byte{
		"flipped":       bytes.Replace(text, []byte("run-1"), []byte("run-2"), 1),
		"duplicate":     bytes.Replace(text, []byte("{"), []byte(`{"signer_id":"a","signer_id":"b",`), 1),
		"case folded":   bytes.Replace(text, []byte(`"signer_id"`), []byte(`"Signer_id"`), 1),
		"trailing data": append(bytes.Clone(text), "{}"...),
		"empty":         {},
		"deep":          bytes.Repeat([]byte("["), 60000),
	} {
		for _, prefer := range []string{"", "respond-async"} {
			r, err := http.NewRequest("POST", w.url+"/v1/entries", bytes.NewReader(bad))
			must(t, err)
			r.Header.Set("Prefer", prefer)
			res, err := http.DefaultClient.Do(r)
			must(t, err)
			var p struct {
				Type     string
				Findings []struct{ Code string }
			}
			err = json.NewDecoder(res.Body).Decode(&p)
			res.Body.Close()
			if err != nil || res.StatusCode != 422 || p.Type != "/problems/manifest-rejected" || len(p.Findings) == 0 || p.Findings[0].Code == "" {
				t.Errorf("%s: %d %+v %v", name, res.StatusCode, p, err)
			}
		}
	}
	if cp, err := w.client.Checkpoint(t.Context()); err != nil || cp.Size != 0 {
		t.Errorf("something was logged: %+v, %v", cp, err)
	}
}

// API-12
func TestAsynchronousSubmissionIsFoundAtItsLocation(t *testing.T) {
	w := newWorld(t)
	r, err := http.NewRequest("POST", w.url+"/v1/entries", bytes.NewReader(manifestOf(t, 1)))
	must(t, err)
	r.Header.Set("Prefer", "respond-async")
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	body, err := io.ReadAll(res.Body)
	must(t, err)
	res.Body.Close()
	digest := digestOf(t, manifestOf(t, 1))
	location := "/v1/entries/" + digest.String()
	if res.StatusCode != 202 || res.Header.Get("Location") != location || string(body) != location+"\n" || res.Header.Get("Preference-Applied") != "respond-async" {
		t.Fatalf("%d %v %s", res.StatusCode, res.Header, body)
	}
	for {
		res, err := http.Get(w.url + location)
		must(t, err)
		res.Body.Close()
		if res.StatusCode == 200 {
			break
		}
		if res.StatusCode != 404 || res.Header.Get("Retry-After") == "" {
			t.Fatalf("while it is being logged: %d %v", res.StatusCode, res.Header)
		}
	}
	if _, err := w.client.Prove(t.Context(), digest); err != nil {
		t.Error(err)
	}
}

func TestPageOfTheRealLogIsTheNewestFirst(t *testing.T) {
	w := newWorld(t)
	for n := range 4 {
		_, err := w.client.Add(t.Context(), manifestOf(t, n), entry.Source{Repo: fmt.Sprint("acme/app", n%2)})
		must(t, err)
	}
	res, err := http.Get(w.url + "/v1/entries?source_repo=acme/app1&limit=1")
	must(t, err)
	defer res.Body.Close()
	var page struct {
		Entries []struct {
			Index int64
			Entry map[string]any
		}
		Cursor string
	}
	must(t, json.NewDecoder(res.Body).Decode(&page))
	if len(page.Entries) != 1 || page.Entries[0].Index != 3 || page.Cursor != "3" || page.Entries[0].Entry["source_repo"] != "acme/app1" {
		t.Errorf("got %+v", page)
	}
}

// BenchmarkSubmit posts new manifests through TCP, the API, the log and a witness, and
// verifies each proof as a client does.
func BenchmarkSubmit(b *testing.B) {
	for _, clients := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(clients, " clients"), func(b *testing.B) {
			w := newWorld(b)
			texts := make([][]byte, b.N)
			for n := range texts {
				texts[n] = manifestOf(b, n)
			}
			var next atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range clients {
				all.Go(func() {
					for {
						n := next.Add(1) - 1
						if n >= int64(len(texts)) {
							return
						}
						if _, err := w.client.Add(b.Context(), texts[n], entry.Source{}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkPage reads the newest 50 of 600 entries.
func BenchmarkPage(b *testing.B) {
	w := newWorld(b)
	var all sync.WaitGroup
	for n := range 600 {
		text := manifestOf(b, n)
		all.Go(func() {
			if _, err := w.client.Add(b.Context(), text, entry.Source{}); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	for _, path := range []string{"/v1/entries", "/v1/entries/17", "/v1/entries/17/proof", "/checkpoint", "/tile/0/000", "/tile/entries/000"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				res, err := http.Get(w.url + path)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode != 200 {
					b.Fatal(res.StatusCode)
				}
			}
		})
	}
}

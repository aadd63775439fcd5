// Package interop runs the product against programs and libraries that others wrote.
package interop

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/api"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/ledger/tsa"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
	"github.com/Haserjian/assay-ledger/witness"
)

const origin = "interop.example/ledger"

// world is a live ledger with a live TSA and three live witnesses (two Ed25519, one
// ML-DSA-44; two must cosign), everything over HTTP on loopback and SQLite and Tessera on disk.
type world struct {
	ledgerURL string
	policy    *trust.Policy
	rootPEM   []byte
	roots     *x509.CertPool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel) // runs before the servers' own clean-up, which waits for them
	quiet := slog.New(slog.DiscardHandler)

	secret, logKey := must2(trust.GenerateKey(rand.Reader, origin, trust.Ed25519))(t)
	authority := must(timestamp.NewAuthority(rand.Reader, time.Now()))(t)
	tsaURL := listen(t, ctx, func(ctx context.Context, ln net.Listener) error {
		return serve.HTTP(ctx, ln, tsa.Handler(authority, time.Now), quiet, serve.Limits{})
	})

	var witnesses []trust.PolicyWitness
	for name, algorithm := range map[string]trust.Algorithm{
		"w1": trust.Ed25519Cosigner, "w2": trust.Ed25519Cosigner, "w3": trust.MLDSA44Cosigner,
	} {
		skey, vkey := must2(trust.GenerateKey(rand.Reader, name+".example", algorithm))(t)
		store := must(witness.OpenSQLite(filepath.Join(t.TempDir(), "witness.db")))(t)
		t.Cleanup(func() { _ = store.Close() })
		w := must(witness.New(witness.Config{
			Policy:    must(trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{VKey: logKey}}, nil, 0)))(t),
			Cosigners: []*trust.Cosigner{must(trust.NewCosigner(skey))(t)},
			Store:     store, Log: quiet,
		}))(t)
		url := listen(t, ctx, func(ctx context.Context, ln net.Listener) error {
			return serve.HTTP(ctx, ln, w.Handler(), quiet, serve.Limits{})
		})
		witnesses = append(witnesses, trust.PolicyWitness{Name: name, VKey: vkey, URL: url})
	}

	w := &world{rootPEM: authority.RootPEM(), roots: x509.NewCertPool()}
	w.roots.AppendCertsFromPEM(w.rootPEM)
	w.policy = must(trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{VKey: logKey}}, witnesses, 2)))(t)
	dir := t.TempDir()
	x := must(index.Open(filepath.Join(dir, "index"), origin))(t)
	t.Cleanup(func() { _ = x.Close() })
	config := ledger.Config{
		Dir: filepath.Join(dir, "log"), GuardDir: filepath.Join(dir, "guard"),
		Signer: must(trust.NewLogSigner(secret))(t), Policy: w.policy, Index: x,
		TSA:      &timestamp.Client{URL: tsaURL, Options: timestamp.Options{Roots: w.roots}, Post: tsa.Post(http.DefaultClient)},
		Interval: 100 * time.Millisecond, Log: quiet,
	}
	if err := ledger.Create(ctx, config); err != nil {
		t.Fatal(err)
	}
	l := must(ledger.Open(ctx, config))(t)
	t.Cleanup(func() {
		closing, stop := context.WithTimeout(context.Background(), 30*time.Second)
		defer stop()
		if err := l.Close(closing); err != nil {
			t.Errorf("closing the ledger: %v", err)
		}
	})
	handler := must(api.New(api.Config{Log: l, Index: x, Policy: w.policy, TSARoots: must(timestamp.ParseRoots(w.rootPEM))(t), Logger: quiet}))(t)
	w.ledgerURL = listen(t, ctx, func(ctx context.Context, ln net.Listener) error {
		return serve.HTTP(ctx, ln, handler, quiet, serve.Ledger)
	})
	return w
}

// listen runs a server on a free port until the test ends, and waits for it.
func listen(t *testing.T, ctx context.Context, run func(context.Context, net.Listener) error) string {
	t.Helper()
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("serving: %v", err)
		}
	})
	return "http://" + ln.Addr().String()
}

// post is what curl does: curl --data-binary @pack_manifest.json $LEDGER/v1/entries?source_repo=o/r
func (w *world) post(t *testing.T, manifest []byte) (int, []byte) {
	t.Helper()
	resp, err := http.Post(w.ledgerURL+"/v1/entries?source_repo=o/r", "application/x-www-form-urlencoded", bytes.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, must(io.ReadAll(resp.Body))(t)
}

// shared is the folder of vectors that the specification comes with; elsewhere the test is skipped.
func shared(t *testing.T) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "vectors")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the specification's vectors are not here: %v", err)
	}
	return path
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func must2[A, B any](a A, b B, err error) func(*testing.T) (A, B) {
	return func(t *testing.T) (A, B) {
		t.Helper()
		if err != nil {
			t.Fatal(fmt.Errorf("set-up: %w", err))
		}
		return a, b
	}
}

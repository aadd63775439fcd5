package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"runtime"
	"testing/fstest"
	"time"

	gowebpki "github.com/gowebpki/jcs"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// signer signs packs with a key that everybody knows.
type signer struct{ key ed25519.PrivateKey }

func newSigner() signer {
	seed := sha256.Sum256([]byte("bench signer"))
	return signer{ed25519.NewKeyFromSeed(seed[:])}
}

func (s signer) ID() string                          { return "bench" }
func (s signer) Public() ed25519.PublicKey           { return s.key.Public().(ed25519.PublicKey) }
func (s signer) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }

// receipt is a model_call of about 480 bytes, in the member order of an emitter: not sorted.
func receipt(run string, i int) []byte {
	return fmt.Appendf(nil, `{"receipt_id": "r_%012x", "type": "model_call", "timestamp": "2026-01-15T10:%02d:%02d.%06d+00:00", "schema_version": "3.0", "seq": %d, `+
		`"provider": "openai", "model_id": "gpt-4", "input_tokens": %d, "output_tokens": 200, "total_tokens": %d, "latency_ms": 812, "temperature": 0.7, `+
		`"finish_reason": "stop", "error": null, "input_hash": "%064x", "output_hash": "%064x", "integration_source": "assay.integrations.openai", "_trace_id": "%s"}`,
		i, i/60%60, i%60, i%1000000, i, i%4000, i%4000+200, i, i+1, run)
}

func build(run string, n int) (*pack.Pack, error) {
	receipts := make([]jcs.Value, n)
	for i := range receipts {
		v, err := jcs.Parse(receipt(run, i), jcs.Limits{})
		if err != nil {
			return nil, err
		}
		receipts[i] = v
	}
	return pack.Build(pack.Spec{RunID: run, Receipts: receipts, Now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Signer: newSigner(),
		Cards: claim.BuiltinCards()[1:2]}) // receipt_completeness
}

func asFS(p *pack.Pack) fs.FS {
	files := fstest.MapFS{}
	for _, f := range p.Files {
		files[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
	}
	return files
}

func manifestOf(p *pack.Pack) []byte {
	for _, f := range p.Files {
		if f.Name == "pack_manifest.json" {
			return f.Data
		}
	}
	return nil
}

func canonicaliser(context.Context) (string, bool, error) {
	lines := make([][]byte, 2000)
	size := 0
	for i := range lines {
		lines[i] = receipt("trace_bench", i)
		size += len(lines[i])
	}
	var dst []byte
	for _, line := range lines { // the two must agree before their speed means anything
		ours, err := jcs.Pack(dst[:0], line, jcs.Limits{})
		if err != nil {
			return "", false, err
		}
		theirs, err := gowebpki.Transform(line)
		if err != nil {
			return "", false, err
		}
		if !bytes.Equal(ours, theirs) {
			return "", false, fmt.Errorf("%s is not %s", ours, theirs)
		}
	}
	// In turn, so that a slow moment of the machine hits both; the best round of each counts.
	const rounds = 9
	best := [2]time.Duration{time.Hour, time.Hour}
	for range rounds {
		began := time.Now()
		for _, line := range lines {
			dst, _ = jcs.Pack(dst[:0], line, jcs.Limits{})
		}
		best[0] = min(best[0], time.Since(began))
		began = time.Now()
		for _, line := range lines {
			_, _ = gowebpki.Transform(line)
		}
		best[1] = min(best[1], time.Since(began))
	}
	speed := func(d time.Duration) float64 { return float64(size) / 1e6 / d.Seconds() }
	ratio := best[1].Seconds() / best[0].Seconds()
	return fmt.Sprintf("%.0f MB/s against %.0f MB/s: %.1f times", speed(best[0]), speed(best[1]), ratio), ratio >= 4, nil
}

func verifyPack(context.Context) (string, bool, error) {
	p, err := build("trace_bench", 10_000)
	if err != nil {
		return "", false, err
	}
	fsys := asFS(p)
	var times []time.Duration
	for range 7 {
		runtime.GC()
		began := time.Now()
		r, err := pack.Verify(fsys, pack.Options{RequireClaims: true})
		if err != nil {
			return "", false, err
		}
		times = append(times, time.Since(began))
		if r.ExitCode() != 0 {
			return "", false, fmt.Errorf("the pack does not verify: %v", r.Findings)
		}
	}
	p50 := quantile(times, 0.5)
	return fmt.Sprintf("median %s", p50), p50 < 200*time.Millisecond, nil
}

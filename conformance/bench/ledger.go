package main

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
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/api"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/ledger/tsa"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
	"github.com/Haserjian/assay-ledger/witness"
)

const (
	origin   = "bench.example/ledger"
	interval = 200 * time.Millisecond
)

// world is a live ledger, TSA and three witnesses on loopback, with real disks under them.
type world struct {
	dir    string
	url    string
	log    *ledger.Log
	http   *http.Client
	closer []func() error
}

func (w *world) close() error {
	var errs []error
	for i := len(w.closer) - 1; i >= 0; i-- {
		errs = append(errs, w.closer[i]())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// newWorld makes a ledger that writes through a child process, as 'ledger serve' does, unless inProcess.
func newWorld(ctx context.Context, timestamps ledger.TimestampMode, inProcess bool) (_ *world, err error) {
	w := &world{http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4096}}}
	if w.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	quiet := slog.New(slog.DiscardHandler)
	secret, logKey, err := trust.GenerateKey(rand.Reader, origin, trust.Ed25519)
	if err != nil {
		return nil, err
	}
	authority, err := timestamp.NewAuthority(rand.Reader, time.Now())
	if err != nil {
		return nil, err
	}
	tsaURL, err := w.serve(ctx, tsa.Handler(authority, time.Now), serve.Limits{})
	if err != nil {
		return nil, err
	}
	var witnesses []trust.PolicyWitness
	for i, algorithm := range []trust.Algorithm{trust.Ed25519Cosigner, trust.Ed25519Cosigner, trust.MLDSA44Cosigner} {
		line, err := w.witness(ctx, fmt.Sprintf("w%d", i+1), algorithm, logKey)
		if err != nil {
			return nil, err
		}
		witnesses = append(witnesses, line)
	}
	policy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{VKey: logKey}}, witnesses, 2))
	if err != nil {
		return nil, err
	}
	signer, err := trust.NewLogSigner(secret)
	if err != nil {
		return nil, err
	}
	x, err := index.Open(filepath.Join(w.dir, "index"), origin)
	if err != nil {
		return nil, err
	}
	w.closer = append(w.closer, x.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.RootPEM())
	config := ledger.Config{
		Dir: filepath.Join(w.dir, "log"), GuardDir: filepath.Join(w.dir, "guard"), Signer: signer, Policy: policy, Index: x,
		Timestamps: timestamps, Interval: interval, Log: quiet,
		MaxPending: 4 * 2048, // four times the writers of bulk: being refused is not what is measured
		TSA:        &timestamp.Client{URL: tsaURL, Options: timestamp.Options{Roots: roots}, Post: tsa.Post(w.http)},
	}
	if !inProcess {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		config.Appender = func() *exec.Cmd { return exec.Command(self, "appender") }
	}
	if err := ledger.Create(ctx, config); err != nil {
		return nil, err
	}
	if w.log, err = ledger.Open(ctx, config); err != nil {
		return nil, err
	}
	w.closer = append(w.closer, func() error { return w.log.Close(context.WithoutCancel(ctx)) })
	handler, err := api.New(api.Config{Log: w.log, Index: x, Policy: policy, Logger: quiet})
	if err != nil {
		return nil, err
	}
	w.url, err = w.serve(ctx, handler, serve.Ledger)
	return w, err
}

func (w *world) witness(ctx context.Context, name string, algorithm trust.Algorithm, logKey string) (trust.PolicyWitness, error) {
	line := trust.PolicyWitness{Name: name}
	skey, vkey, err := trust.GenerateKey(rand.Reader, name+".example", algorithm)
	if err != nil {
		return line, err
	}
	policy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{VKey: logKey}}, nil, 0))
	if err != nil {
		return line, err
	}
	cosigner, err := trust.NewCosigner(skey)
	if err != nil {
		return line, err
	}
	store, err := witness.OpenSQLite(filepath.Join(w.dir, name+".db"))
	if err != nil {
		return line, err
	}
	w.closer = append(w.closer, store.Close)
	wit, err := witness.New(witness.Config{Policy: policy, Cosigners: []*trust.Cosigner{cosigner}, Store: store, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return line, err
	}
	line.VKey = vkey
	line.URL, err = w.serve(ctx, wit.Handler(), serve.Limits{})
	return line, err
}

func (w *world) serve(ctx context.Context, h http.Handler, limits serve.Limits) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- serve.HTTP(ctx, ln, h, nil, limits) }()
	w.closer = append(w.closer, func() error { cancel(); return <-done })
	return "http://" + ln.Addr().String(), nil
}

// post anchors a manifest over HTTP and insists on 201 and a proof.
func (w *world) post(manifest []byte) error {
	resp, err := w.http.Post(w.url+"/v1/entries?source_repo=bench/bench", "application/json", bytes.NewReader(manifest))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	_, err = trust.ParseProof(body)
	return err
}

// manifests are n packs of one receipt each, all different.
func manifests(n int) ([][]byte, error) {
	list := make([][]byte, n)
	for i := range list {
		p, err := build(fmt.Sprintf("trace_bench_%06d", i), 1)
		if err != nil {
			return nil, err
		}
		list[i] = manifestOf(p)
	}
	return list, nil
}

func latency(ctx context.Context) (text string, kept bool, err error) {
	w, err := newWorld(ctx, ledger.TimestampsRequired, false)
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	list, err := manifests(41)
	if err != nil {
		return "", false, err
	}
	var times []time.Duration
	for i, m := range list {
		began := time.Now()
		if err := w.post(m); err != nil {
			return "", false, err
		}
		if i > 0 { // the first one warms the connections
			times = append(times, time.Since(began))
		}
		time.Sleep(interval + 50*time.Millisecond) // low rate: nobody waits for somebody else's checkpoint
	}
	p50, p99 := quantile(times, 0.5), quantile(times, 0.99)
	return fmt.Sprintf("p50 %s, p99 %s over %d entries", p50, p99, len(times)), p50 < 60*time.Millisecond && p99 < 300*time.Millisecond, nil
}

func clients(ctx context.Context) (text string, kept bool, err error) {
	w, err := newWorld(ctx, ledger.TimestampsRequired, false)
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	list, err := manifests(64 * 30)
	if err != nil {
		return "", false, err
	}
	if err := w.post(list[len(list)-1]); err != nil { // warm
		return "", false, err
	}
	times, took, err := load(64, list[:len(list)-64], w.post)
	if err != nil {
		return "", false, err
	}
	rate := float64(len(times)) / took.Seconds()
	p50, p99 := quantile(times, 0.5), quantile(times, 0.99)
	return fmt.Sprintf("%.0f/s, p50 %s, p99 %s over %d entries", rate, p50, p99, len(times)), rate >= 250 && p99 < 400*time.Millisecond, nil
}

// load feeds list to add from n workers, each waiting for its answer before the next.
func load(n int, list [][]byte, add func([]byte) error) ([]time.Duration, time.Duration, error) {
	times := make([]time.Duration, len(list))
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	began := time.Now()
	for range n {
		group.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				start := time.Now()
				if err := add(list[i]); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				times[i] = time.Since(start)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return nil, 0, *err
	}
	return times, time.Since(began), nil
}

// bulk compares with a bare Tessera appender: the same leaves, the same number of writers, the
// same batches and checkpoint interval, each writer waiting until its entry is in a published
// checkpoint. Ours also verifies every manifest, deduplicates, asks three witnesses, proves.
// Timestamps are off on our side, because the bare appender has none.
func bulk(ctx context.Context) (text string, kept bool, err error) {
	const writers, each = 2048, 12
	list, err := manifests(writers * each)
	if err != nil {
		return "", false, err
	}
	ours, err := oursBulk(ctx, writers, list, false)
	if err != nil {
		return "", false, fmt.Errorf("ours: %w", err)
	}
	inProcess, err := oursBulk(ctx, writers, list, true)
	if err != nil {
		return "", false, fmt.Errorf("ours in one process: %w", err)
	}
	bare, err := bareBulk(ctx, writers, list)
	if err != nil {
		return "", false, fmt.Errorf("bare: %w", err)
	}
	return fmt.Sprintf("%.0f/s against %.0f/s bare: ratio %.2f over %d entries (in one process %.0f/s: %.2f)",
		ours, bare, ours/bare, len(list), inProcess, inProcess/bare), ours/bare >= 0.7, nil
}

func oursBulk(ctx context.Context, writers int, list [][]byte, inProcess bool) (rate float64, err error) {
	w, err := newWorld(ctx, ledger.TimestampsOff, inProcess)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	source, err := entry.ParseSource("bench/bench", "", "")
	if err != nil {
		return 0, err
	}
	_, took, err := load(writers, list, func(m []byte) error {
		_, err := w.log.Add(ctx, m, source)
		return err
	})
	return float64(len(list)) / took.Seconds(), err
}

func bareBulk(ctx context.Context, writers int, list [][]byte) (rate float64, err error) {
	dir, err := os.MkdirTemp("", "bench-bare-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	leaves := make([][]byte, len(list))
	for i, text := range list {
		m, findings := manifest.Verify(text)
		if len(findings) > 0 {
			return 0, fmt.Errorf("manifest %d: %v", i, findings)
		}
		e, err := entry.New(m, entry.Source{Repo: "bench/bench", Attestation: "self"}, time.Now(), nil)
		if err != nil {
			return 0, err
		}
		leaves[i] = e.Leaf()
	}
	skey, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return 0, err
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		return 0, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return 0, err
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(s).WithBatching(256, 10*time.Millisecond).WithCheckpointInterval(interval))
	if err != nil {
		return 0, err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 20*time.Millisecond)
	_, took, err := load(writers, leaves, func(leaf []byte) error {
		_, _, err := awaiter.Await(ctx, appender.Add(ctx, tessera.NewEntry(leaf)))
		return err
	})
	if err != nil {
		return 0, err
	}
	return float64(len(list)) / took.Seconds(), shutdown(ctx)
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// emit stores receipts one by one, in a store that was empty and in one that holds 100,000 in the same
// trace. What fsync costs is the disk's affair and only reported.
func emit(context.Context) (string, bool, error) {
	dir, err := os.MkdirTemp("", "bench-emit-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(dir)
	empty := &capture.Store{Dir: filepath.Join(dir, "empty")}
	full := &capture.Store{Dir: filepath.Join(dir, "full")}
	synced := &capture.Store{Dir: filepath.Join(dir, "synced"), Sync: true}
	data, err := jcs.Parse([]byte(`{"provider": "openai", "model_id": "gpt-4", "input_tokens": 1200, "output_tokens": 200, "latency_ms": 812, `+
		`"finish_reason": "stop", "error": null, "integration_source": "assay.integrations.openai"}`), jcs.Limits{})
	if err != nil {
		return "", false, err
	}
	drafts := make([]capture.Draft, 10_000)
	for i := range drafts {
		drafts[i] = capture.Draft{Type: "model_call", Data: data}
	}
	for range 10 {
		if _, err := full.EmitAll("trace_bench", drafts); err != nil {
			return "", false, err
		}
	}
	times := map[*capture.Store][]time.Duration{}
	for i := range 1000 {
		for _, store := range []*capture.Store{empty, full, synced} {
			if store == synced && i >= 50 {
				continue
			}
			began := time.Now()
			if _, err := store.Emit("trace_bench", "model_call", data); err != nil {
				return "", false, err
			}
			times[store] = append(times[store], time.Since(began))
		}
	}
	before, after := median(times[empty]), median(times[full])
	kept := max(before, after) < 300*time.Microsecond && after < 2*before
	return fmt.Sprintf("median %s empty, %s after 100,000; %s with fsync", before, after, median(times[synced])), kept, nil
}

// start starts the program, as a shell does.
func start(ctx context.Context) (string, bool, error) {
	dir, err := os.MkdirTemp("", "bench-start-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(dir)
	assay := filepath.Join(dir, "assay")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", assay, "github.com/Haserjian/assay-ledger/cmd/assay")
	if out, err := build.CombinedOutput(); err != nil {
		return "", false, fmt.Errorf("go build: %w: %s", err, out)
	}
	var version, emit []time.Duration
	for range 51 {
		for args, times := range map[string]*[]time.Duration{"version": &version, "emit": &emit} {
			words := []string{args}
			if args == "emit" {
				words = append(words, "model_call", "--trace", "trace_bench")
			}
			c := exec.CommandContext(ctx, assay, words...)
			c.Env = append(os.Environ(), "ASSAY_HOME="+filepath.Join(dir, "home"))
			began := time.Now()
			if out, err := c.CombinedOutput(); err != nil {
				return "", false, fmt.Errorf("assay %s: %w: %s", args, err, out)
			}
			*times = append(*times, time.Since(began))
		}
	}
	v, e := median(version), median(emit)
	return fmt.Sprintf("median %s version, %s emit over %d starts", v, e, len(version)), max(v, e) < 15*time.Millisecond, nil
}

// median is quantile to the microsecond.
func median(d []time.Duration) time.Duration {
	quantile(d, 0.5)
	return d[len(d)/2].Round(time.Microsecond)
}

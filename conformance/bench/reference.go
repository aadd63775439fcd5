package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

//go:embed reference.py
var referenceScript string

// python is an interpreter that has the reference tool: $ASSAY_PYTHON, else python3 if it has it.
func python(ctx context.Context) string {
	name := os.Getenv("ASSAY_PYTHON")
	if name == "" {
		name = "python3"
	}
	if exec.CommandContext(ctx, name, "-c", "import assay.proof_pack").Run() != nil {
		return ""
	}
	return name
}

// reference builds and verifies one pack of 10,000 receipts with both tools, files and all, the
// interpreter's start not counted. Each must accept what the other one built.
func reference(ctx context.Context) (string, bool, error) {
	interpreter := python(ctx)
	if interpreter == "" {
		return "SKIP: no python3 with assay-ai; ASSAY_PYTHON names one", true, nil
	}
	dir, err := os.MkdirTemp("", "bench-reference-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(dir)
	jsonl, receipts := filepath.Join(dir, "receipts.jsonl"), make([]jcs.Value, 10_000)
	var text []byte
	for i := range receipts {
		line := receipt("trace_bench", i)
		if receipts[i], err = jcs.Parse(line, jcs.Limits{}); err != nil {
			return "", false, err
		}
		text = append(append(text, line...), '\n')
	}
	if err := os.WriteFile(jsonl, text, 0o600); err != nil {
		return "", false, err
	}
	built, verified := time.Hour, time.Hour
	var ours string
	for i := range 3 {
		ours = filepath.Join(dir, fmt.Sprintf("pack%d", i))
		began := time.Now()
		p, err := pack.Build(pack.Spec{RunID: "trace_bench", Receipts: receipts, Now: time.Now(), Signer: newSigner(), Cards: claim.BuiltinCards()[1:2]})
		if err == nil {
			err = p.WriteDir(ours)
		}
		if err != nil {
			return "", false, err
		}
		built = min(built, time.Since(began))
		took, err := verifyAt(ours)
		if err != nil {
			return "", false, err
		}
		verified = min(verified, took)
	}
	theirs := filepath.Join(dir, "theirs")
	out, err := exec.CommandContext(ctx, interpreter, "-c", referenceScript, jsonl, ours, theirs).Output()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return "", false, fmt.Errorf("%w: %s", err, failed.Stderr)
	} else if err != nil {
		return "", false, err
	}
	var said struct {
		Version       string
		Build, Verify float64
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return "", false, err
	}
	if _, err := verifyAt(filepath.Join(theirs, "pack0")); err != nil {
		return "", false, err
	}
	build, verify := said.Build/built.Seconds(), said.Verify/verified.Seconds()
	return fmt.Sprintf("verify %.0f ms against %.0f ms: %.0f times; build %.0f ms against %.0f ms: %.0f times (assay-ai %s)",
		1e3*verified.Seconds(), 1e3*said.Verify, verify, 1e3*built.Seconds(), 1e3*said.Build, build, said.Version), verify >= 20 && build >= 20, nil
}

func verifyAt(dir string) (time.Duration, error) {
	fsys, closeDir, err := pack.DirFS(dir)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	r, err := pack.Verify(fsys, pack.Options{Now: began, RequireClaims: true})
	took := time.Since(began)
	if err == nil && r.ExitCode() != 0 {
		err = fmt.Errorf("%s does not verify: %v", dir, r.Findings)
	}
	return took, errors.Join(err, closeDir())
}

//go:build unix

package main

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/cli/clitest"
)

// The program that assay runs crashes it: while assay waits for it, the key is in its memory. Since run
// passes SIGQUIT on, Go waits some seconds for the other threads to tell of themselves.
func TestNoCrashLeavesTheSigningKey(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	generate := exec.Command("assay", "key", "generate", "first")
	generate.Env = append(os.Environ(), "ASSAY_HOME="+home)
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	seed, err := os.ReadFile(filepath.Join(home, "keys", "first.key"))
	if err != nil {
		t.Fatal(err)
	}
	clitest.Crash(t, "", [][]byte{seed}, []string{"ASSAY_HOME=" + home},
		"assay", "run", "--allow-empty", "-o", "pack", "--", "sh", "-c", "kill -ABRT $PPID")
}

// A key in the environment is in the memory of assay from the beginning, whatever it was started for.
func TestNoCrashLeavesAKeyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	corpus, err := filepath.Abs(filepath.Join("..", "..", "conformance", "corpus"))
	if err != nil {
		t.Fatal(err)
	}
	verifier := filepath.Join(t.TempDir(), "verifier")
	if err := os.WriteFile(verifier, []byte("#!/bin/sh\nkill -ABRT $PPID\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	seed := []byte("CANARY-seed-of-exactly-32-bytes!")
	clitest.Crash(t, "", [][]byte{seed}, []string{"ASSAY_SIGNING_KEY=" + base64.StdEncoding.EncodeToString(seed)},
		"assay", "conformance", "run", corpus, "--command", verifier)
}

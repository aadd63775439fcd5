// Package stranger builds a program outside this module, as whoever imports it does.
package stranger

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

const module = "github.com/Haserjian/assay-ledger"

func TestAStrangerVerifiesAPackAndItsAnchorInThirtyLinesAndLinksNoHTTP(t *testing.T) {
	source, err := os.ReadFile("testdata/main.go.txt")
	must(t, err)
	if n := strings.Count(string(source), "\n") - 2; n > 30 { // without its comment and the line after
		t.Errorf("the program of a stranger has %d lines", n)
	}
	program := build(t, source)
	dir, policy := anchoredPack(t)

	run := func(want int, says string) {
		t.Helper()
		out, err := exec.Command(program, dir, policy).CombinedOutput()
		exit, failed := errors.AsType[*exec.ExitError](err)
		if err != nil && !failed {
			t.Fatal(err)
		}
		if code := exitCode(exit); code != want || !strings.HasPrefix(string(out), says) {
			t.Errorf("exit %d: %s; want exit %d: %s", code, out, want, says)
		}
	}
	run(0, "integrity PASS, claims SKIPPED, anchor PASS")
	must(t, os.WriteFile(filepath.Join(dir, manifest.ProofName), []byte("c2sp.org/tlog-proof@v1\n"), 0o600))
	run(2, "integrity PASS, claims SKIPPED, anchor FAIL")
	must(t, os.WriteFile(filepath.Join(dir, "verify_transcript.md"), []byte("another\n"), 0o600))
	run(2, "integrity FAIL")
	must(t, os.Rename(dir, dir+".away"))
	run(3, "")
}

// build compiles the program in a module of its own, which finds ours in this tree and everything else where
// this tree's own build did.
func build(t *testing.T, source []byte) (program string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	must(t, err)
	dir := t.TempDir()
	ours, err := os.ReadFile(filepath.Join(root, "go.mod"))
	must(t, err)
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	must(t, err)
	theirs := strings.Replace(string(ours), "module "+module, "module example.com/stranger", 1) +
		fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %s\n", module, module, root)
	for name, text := range map[string][]byte{"go.mod": []byte(theirs), "go.sum": sums, "main.go": source} {
		must(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	run := func(args ...string) string {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("build", "-o", "stranger", ".")
	linked := strings.Fields(run("list", "-deps", "."))
	if !slices.Contains(linked, module+"/pack") {
		t.Fatalf("links %q", linked)
	}
	for _, path := range []string{"net/http", "github.com/spf13/cobra", "modernc.org/sqlite"} {
		if slices.Contains(linked, path) {
			t.Errorf("a verifier links %s", path)
		}
	}
	return filepath.Join(dir, "stranger")
}

// anchoredPack is a pack with its proof inside, and the policy that it is held to.
func anchoredPack(t *testing.T) (dir, policy string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "pack")
	_, err := pack.BuildDir(dir, pack.Spec{RunID: "run-1", Signer: signer{}, Now: time.Now()})
	must(t, err)
	text, err := os.ReadFile(filepath.Join(dir, manifest.Name))
	must(t, err)
	m, findings := manifest.Verify(text)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	e, err := entry.New(m, entry.Source{}, time.Now(), nil)
	must(t, err)
	log, witness := trusttest.NewLog("example.com/log"), trusttest.NewWitness("w1", trust.Ed25519Cosigner)
	proof := log.Prove(log.Append(e.Leaf()), witness)
	proof.Extra = e.Leaf()
	must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(manifest.ProofName)), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, manifest.ProofName), proof.Marshal(), 0o600))
	policy = filepath.Join(t.TempDir(), "policy")
	must(t, os.WriteFile(policy, trusttest.Policy(log, []*trusttest.Witness{witness}, 1).Text(), 0o600))
	return dir, policy
}

// signer has a key that everybody knows.
type signer struct{}

func (signer) ID() string { return "stranger" }

func (signer) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func (s signer) Public() ed25519.PublicKey { return s.key().Public().(ed25519.PublicKey) }

func (s signer) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key(), message), nil }

func exitCode(err *exec.ExitError) int {
	if err == nil {
		return 0
	}
	return err.ExitCode()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

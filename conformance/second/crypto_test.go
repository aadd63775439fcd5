package second

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/packtest"
)

// long tells whether everything is asked, as make soak does.
var long = os.Getenv("ASSAY_LONG") != ""

// script runs a program of testdata, which prints what is wrong and, at the end, how much of it there was of a kind.
func script(t *testing.T, kind string, least int, args ...string) {
	t.Helper()
	out, err := exec.Command(findNode(t), args...).CombinedOutput()
	n := 0
	if _, scanned := fmt.Sscanf(string(out), "%d "+kind+"\n", &n); err != nil || scanned != nil || n < least {
		t.Errorf("%v, %d %s, at least %d wanted:\n%.4000s", err, n, kind, least, out)
	}
}

func TestTheSHA256OfTheSecondVerifierIsThatOfNode(t *testing.T) {
	args := []string{"testdata/sha256.mjs"}
	if long {
		args = append(args, "long")
	}
	script(t, "digests", 2700, args...)
}

// VFY-7, VFY-9, VFY-17: the receipts are read once and in pieces, and the verdict does not depend on which.
func TestReceiptsAreJudgedAlikeHoweverTheyAreRead(t *testing.T) {
	step, least := "24", 80
	if long {
		step, least = "1", 2500
	}
	script(t, "verdicts", least, "testdata/streams.mjs", "../corpus/packs", step)
}

// VFY-9: a large pack takes neither its size in memory nor long.
func TestALargePackIsJudgedInLittleMemory(t *testing.T) {
	node, receipts, within := findNode(t), 5_000, time.Minute
	if long {
		receipts, within = 100_000, 20*time.Second // in less than 10 s on a machine that does nothing else
	}
	dir := filepath.Join(t.TempDir(), "pack")
	_, err := pack.BuildDir(dir, pack.Spec{
		RunID: "run", Now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Cards: []claim.Card{packtest.Builtin("receipt_completeness")},
		Signer: packtest.KeyFrom("large", "large"),
		Stream: func(yield func(jcs.Value, error) bool) {
			for i := range receipts {
				if !yield(jcs.Parse(fmt.Appendf(nil, `{"receipt_id":"r_%012x","type":"model_call","timestamp":"2026-01-15T10:%02d:%02d.%06d+00:00",
					"schema_version":"3.0","seq":%d,"model_id":"gpt-4","input_tokens":%d,"prompt":%q}`, i, i/60%60, i%60, i%1_000_000, i, i%4000,
					strings.Repeat("word ", 70)), jcs.Limits{})) {
					return
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	out, err := exec.Command(node, "--max-old-space-size=192", "../../site/verifier/cli.mjs", "verify", dir, "--require-claim-pass",
		"--now", "2026-01-15T12:00:00Z").CombinedOutput()
	took := time.Since(start)
	t.Logf("%d receipts in %v", receipts, took)
	if err != nil || !strings.Contains(string(out), "exit 0: intact; ") {
		t.Errorf("%v: %s", err, out)
	}
	if took > within {
		t.Errorf("it took %v", took)
	}
}

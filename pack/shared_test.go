package pack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// sharedPacks is the folder of reference packs beside the repository.
const sharedPacks = "../../shared/vectors/packs"

func needShared(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(sharedPacks); err != nil {
		t.Skipf("SKIPPED: the reference packs are not here: %v", err)
	}
}

var testNow = time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)

func verifyDir(t testing.TB, dir string, o Options) *Result {
	t.Helper()
	fsys, done, err := DirFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	r, err := Verify(fsys, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type expectedPack struct {
	Exit        int `json:"exit"`
	ExitRequire int `json:"exit_require_claim_pass"`
	Python      struct {
		Codes []string `json:"codes"`
	} `json:"python_1_24"`
}

func TestReferencePacksGiveTheExpectedExitCodes(t *testing.T) {
	needShared(t)
	text, err := os.ReadFile(filepath.Join(sharedPacks, "../packs-expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Packs map[string]expectedPack }
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Packs) < 45 {
		t.Fatalf("only %d packs are listed", len(want.Packs))
	}
	for name, w := range want.Packs {
		r := verifyDir(t, filepath.Join(sharedPacks, name), Options{Now: testNow})
		if got := r.ExitCode(); got != w.Exit {
			t.Errorf("%s: exit %d, want %d: %v %v", name, got, w.Exit, r.Findings, r.Warnings)
		}
		r.require.RequireClaims = true
		if got := r.ExitCode(); got != w.ExitRequire {
			t.Errorf("%s with claims required: exit %d, want %d: %v", name, got, w.ExitRequire, r.Findings)
		}
		for _, code := range w.Python.Codes {
			if strings.HasPrefix(name, "tamper_") && !slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return f.Code == code }) {
				t.Errorf("%s: no finding %s: %v", name, code, r.Findings)
			}
		}
		if w.Exit == 0 && len(r.Findings) > 0 || w.Exit == 2 && r.Integrity != Fail {
			t.Errorf("%s: integrity %s with %v", name, r.Integrity, r.Findings)
		}
		custom := name == "claimfail_custom"
		if r.Claims.Verdict != Skipped && r.Claims.Reexecuted == custom {
			t.Errorf("%s: claims %s, re-executed %v", name, r.Claims.Verdict, r.Claims.Reexecuted)
		}
	}
}

func TestAReformattedManifestIsTheSamePack(t *testing.T) {
	needShared(t)
	a := verifyDir(t, filepath.Join(sharedPacks, "pass_minimal"), Options{}).Manifest
	b := verifyDir(t, filepath.Join(sharedPacks, "mall_manifest_reformat"), Options{}).Manifest
	if a.Digest() != b.Digest() {
		t.Error("the digests differ")
	}
	x := verifyDir(t, filepath.Join(sharedPacks, "sameroot_a"), Options{}).Manifest
	y := verifyDir(t, filepath.Join(sharedPacks, "sameroot_b"), Options{}).Manifest
	if x.PackRoot != y.PackRoot || x.Digest() == y.Digest() {
		t.Error("two packs with one pack root must have two digests")
	}
}

package pack

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
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
			if strings.HasPrefix(name, "tamper_") && !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == code }) {
				t.Errorf("%s: no finding %s: %v", name, code, r.Findings)
			}
		}
		if w.Exit == 0 && len(r.Findings) > 0 || w.Exit == 2 && r.Integrity != Fail {
			t.Errorf("%s: integrity %s with %v", name, r.Integrity, r.Findings)
		}
		custom := name == "claimfail_custom"
		if r.Claims != Skipped && r.ClaimsReexecuted == custom {
			t.Errorf("%s: claims %s, re-executed %v", name, r.Claims, r.ClaimsReexecuted)
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

// testKey is a pack signer from a seed string.
type testKey struct {
	id   string
	priv ed25519.PrivateKey
}

func keyFrom(id, seed string) testKey {
	sum := sha256.Sum256([]byte(seed))
	return testKey{id, ed25519.NewKeyFromSeed(sum[:])}
}

func (k testKey) ID() string                          { return k.id }
func (k testKey) Public() ed25519.PublicKey           { return k.priv.Public().(ed25519.PublicKey) }
func (k testKey) Sign(message []byte) ([]byte, error) { return ed25519.Sign(k.priv, message), nil }

// TestTheManifestCheckIsThatOfTheFirstLedgerOrStricter compares with what the reference ledger says of
// manifests: what it refuses we refuse, and what we admit we read as it does.
func TestTheManifestCheckIsThatOfTheFirstLedgerOrStricter(t *testing.T) {
	needShared(t)
	text, err := os.ReadFile(filepath.Join(sharedPacks, "../derived/ledger_witness.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		OK        bool
		Extracted map[string]any
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	// The reference admits manifests that lie about their pack, in words that only we compare.
	stricter := map[string]bool{"lie_n_receipts": true, "lie_files_omit_receipts": true, "div_dup_receipt_id": true, "div_bad_timestamp_attested_fail": true,
		"tamper_resigned_path_traversal": true}
	admitted, refused := 0, 0
	for name, w := range want {
		manifest, err := os.ReadFile(filepath.Join(sharedPacks, name, manifestName))
		if err != nil {
			continue // not among the packs here
		}
		m, findings := VerifyManifest(manifest)
		if len(findings) > 0 {
			if refused++; w.OK && !stricter[name] {
				t.Errorf("%s: %v", name, findings)
			}
			continue
		}
		if admitted++; !w.OK {
			t.Errorf("%s is admitted", name)
			continue
		}
		a := m.Attestation
		for field, got := range map[string]any{"pack_id": m.PackID, "receipt_integrity": a.ReceiptIntegrity, "claim_check": a.ClaimCheck, "n_receipts": float64(a.NReceipts),
			"mode": a.Mode, "assurance_level": a.AssuranceLevel, "timestamp_start": a.TimestampStart, "timestamp_end": a.TimestampEnd, "verifier_version": a.VerifierVersion,
			"pack_root_sha256": hex.EncodeToString(m.PackRoot[:]), "signer_pubkey_sha256": form.HexSum(m.SignerKey)} {
			if w.Extracted[field] != got {
				t.Errorf("%s: %s is %v, the ledger says %v", name, field, got, w.Extracted[field])
			}
		}
	}
	if admitted < 20 || refused < 5 {
		t.Errorf("%d admitted, %d refused", admitted, refused)
	}
}

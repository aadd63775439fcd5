package manifest

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
)

// sharedPacks is the folder of reference packs beside the repository.
const sharedPacks = "../../../shared/vectors/packs"

func needShared(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(sharedPacks); err != nil {
		t.Skipf("SKIPPED: the reference packs are not here: %v", err)
	}
}

// VFY-92: every code has one mechanism, and a warning has none.
func TestEveryFindingHasItsMechanism(t *testing.T) {
	for mechanism, codes := range map[string]string{
		"stale_evidence":  "E_PACK_STALE E_TIMESTAMP_INVALID E_PACK_EXPIRED E_PACK_SUPERSEDED",
		"schema_mismatch": "E_SCHEMA_UNKNOWN E_CANON_MISMATCH E_DUPLICATE_ID",
		"witness_gap":     "E_SIG_MISSING E_CHAIN_BROKEN E_ANCHOR_INVALID",
		"tamper_detected": "E_MANIFEST_TAMPER E_PACK_OMISSION_DETECTED E_PACK_SIG_INVALID E_SIG_INVALID E_PATH_ESCAPE",
		"policy_conflict": "E_POLICY_MISSING E_CI_BINDING_MISSING E_CI_BINDING_MISMATCH E_LOCK_MISMATCH E_SIGNER_UNTRUSTED",
		"":                "W_MORE_FINDINGS W_BREAKGLASS x E_",
	} {
		for code := range strings.FieldsSeq(codes) {
			if m := (Finding{Code: code}).Mechanism(); m != mechanism {
				t.Errorf("%s: %q, want %q", code, m, mechanism)
			}
		}
	}
}

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
		manifest, err := os.ReadFile(filepath.Join(sharedPacks, name, Name))
		if err != nil {
			continue // not among the packs here
		}
		m, findings := Verify(manifest)
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
		for field, got := range map[string]any{"pack_id": m.PackID, "receipt_integrity": a.ReceiptIntegrity, "claim_check": string(a.ClaimCheck), "n_receipts": float64(a.NReceipts),
			"mode": string(a.Mode), "assurance_level": a.AssuranceLevel, "timestamp_start": a.TimestampStart, "timestamp_end": a.TimestampEnd, "verifier_version": a.VerifierVersion,
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

package pack

import "testing"

// Whoever reads reports knows the codes by these names, which are for ever.
func TestEveryFindingCodeHasTheNameThatReadersKnow(t *testing.T) {
	for code, name := range map[string]string{
		eTamper: "E_MANIFEST_TAMPER", eOmission: "E_PACK_OMISSION_DETECTED", eSignature: "E_PACK_SIG_INVALID",
		ePath: "E_PATH_ESCAPE", eSchema: "E_SCHEMA_UNKNOWN", eCanon: "E_CANON_MISMATCH", eDuplicate: "E_DUPLICATE_ID",
		eTimestamp: "E_TIMESTAMP_INVALID", eAnchor: "E_ANCHOR_INVALID", eStale: "E_PACK_STALE",
		eNoCI: "E_CI_BINDING_MISSING", eOtherCI: "E_CI_BINDING_MISMATCH", eLock: "E_LOCK_MISMATCH",
		eSigner: "E_SIGNER_UNTRUSTED", eExpired: "E_PACK_EXPIRED", eSuperseded: "E_PACK_SUPERSEDED",
		wExtraFile: "W_EXTRA_FILE", wPortability: "W_PORTABILITY", wNoClock: "W_NO_CLOCK",
		wNotReexecuted: "W_CLAIMS_NOT_REEXECUTED", wSidecar: "W_RUN_CARDS_IGNORED", wAnchor: "W_ANCHOR_NOT_CHECKED",
		wNoTimestamp: "W_NO_TIMESTAMP", wTime: "W_TIME_CONTRADICTION", wBreakglass: "W_BREAKGLASS",
		wReport: "W_REPORT", wLookalike: "W_CARD_LOOKALIKE", wMore: "W_MORE_FINDINGS",
	} {
		if code != name {
			t.Errorf("%s is %s now", name, code)
		}
	}
}

func TestAFindingIsOneLineThatNamesItsPlace(t *testing.T) {
	for want, f := range map[string]Finding{
		"E_PATH_ESCAPE: a link":                       {Code: ePath, Receipt: -1, Message: "a link"},
		"E_PATH_ESCAPE files: a link":                 {Code: ePath, Field: "files", Receipt: -1, Message: "a link"},
		"E_DUPLICATE_ID of receipt 0: twice":          {Code: eDuplicate, Message: "twice"},
		"E_DUPLICATE_ID receipt_id of receipt 12: it": {Code: eDuplicate, Field: "receipt_id", Receipt: 12, Message: "it"},
	} {
		if got := f.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEveryErrorHasItsMechanismAndNoWarningHasOne(t *testing.T) {
	for mechanism, codes := range map[string][]string{
		"stale_evidence":  {"E_PACK_STALE", "E_TIMESTAMP_INVALID", "E_PACK_EXPIRED", "E_PACK_SUPERSEDED"},
		"schema_mismatch": {"E_SCHEMA_UNKNOWN", "E_CANON_MISMATCH", "E_DUPLICATE_ID"},
		"witness_gap":     {"E_SIG_MISSING", "E_CHAIN_BROKEN", "E_ANCHOR_INVALID"},
		"tamper_detected": {"E_MANIFEST_TAMPER", "E_PACK_OMISSION_DETECTED", "E_PACK_SIG_INVALID", "E_SIG_INVALID", "E_PATH_ESCAPE"},
		"policy_conflict": {"E_POLICY_MISSING", "E_CI_BINDING_MISSING", "E_CI_BINDING_MISMATCH", "E_LOCK_MISMATCH", "E_SIGNER_UNTRUSTED"},
		"":                {"W_NO_CLOCK", "W_EXTRA_FILE", "W_MORE_FINDINGS"},
	} {
		for _, code := range codes {
			if got := (Finding{Code: code}).Mechanism(); got != mechanism {
				t.Errorf("%s: %q, want %q", code, got, mechanism)
			}
		}
	}
}

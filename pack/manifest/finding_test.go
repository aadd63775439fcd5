package manifest

import "testing"

// Whoever reads reports knows the codes by these names, which are for ever.
func TestEveryFindingCodeHasTheNameThatReadersKnow(t *testing.T) {
	for code, name := range map[string]string{
		CodeManifestTamper: "E_MANIFEST_TAMPER", CodePackOmission: "E_PACK_OMISSION_DETECTED", CodePackSignature: "E_PACK_SIG_INVALID",
		CodePathEscape: "E_PATH_ESCAPE", CodeSchemaUnknown: "E_SCHEMA_UNKNOWN", CodeCanonMismatch: "E_CANON_MISMATCH", CodeDuplicateID: "E_DUPLICATE_ID",
		CodeTimestampInvalid: "E_TIMESTAMP_INVALID", CodeAnchorInvalid: "E_ANCHOR_INVALID", CodePackStale: "E_PACK_STALE",
		CodeCIMissing: "E_CI_BINDING_MISSING", CodeCIMismatch: "E_CI_BINDING_MISMATCH", CodeLockMismatch: "E_LOCK_MISMATCH",
		CodeSignerUntrusted: "E_SIGNER_UNTRUSTED", CodePackExpired: "E_PACK_EXPIRED", CodePackSuperseded: "E_PACK_SUPERSEDED",
		WarnExtraFile: "W_EXTRA_FILE", WarnPortability: "W_PORTABILITY", WarnNoClock: "W_NO_CLOCK",
		WarnNotReexecuted: "W_CLAIMS_NOT_REEXECUTED", WarnSidecar: "W_RUN_CARDS_IGNORED", WarnAnchor: "W_ANCHOR_NOT_CHECKED",
		WarnNoTimestamp: "W_NO_TIMESTAMP", WarnTime: "W_TIME_CONTRADICTION", WarnBreakglass: "W_BREAKGLASS",
		WarnReport: "W_REPORT", WarnLookalike: "W_CARD_LOOKALIKE", WarnMore: "W_MORE_FINDINGS",
	} {
		if code != name {
			t.Errorf("%s is %s now", name, code)
		}
	}
}

func TestAFindingIsOneLineThatNamesItsPlace(t *testing.T) {
	for want, f := range map[string]Finding{
		"E_PATH_ESCAPE: a link":                       {Code: CodePathEscape, Receipt: -1, Message: "a link"},
		"E_PATH_ESCAPE files: a link":                 {Code: CodePathEscape, Field: "files", Receipt: -1, Message: "a link"},
		"E_DUPLICATE_ID of receipt 0: twice":          {Code: CodeDuplicateID, Message: "twice"},
		"E_DUPLICATE_ID receipt_id of receipt 12: it": {Code: CodeDuplicateID, Field: "receipt_id", Receipt: 12, Message: "it"},
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

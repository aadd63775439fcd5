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

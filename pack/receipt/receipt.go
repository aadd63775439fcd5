// Package receipt is one receipt: a JSON object that a program writes about one thing it did.
//
//	{"receipt_id":"r_1","timestamp":"2026-01-15T10:00:00.000000+00:00","type":"model_call","model_id":"gpt-4o",…}
//
// Whoever records asks AdmittedType and CheckData whether a pack can hold a receipt, while there is still
// something to be done about it. Whoever packs or verifies reads it with CoreOf, writes it as Packed makes it,
// and sorts receipts by their SortKey.
package receipt

import (
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// BreakglassType is what a pack holds for a receipt of type breakglass. The reference verifier refuses
// every pack with the bare word, so pack.Build writes this namespaced one, and the built-in
// card no_breakglass counts it: a claim about receipts of type "breakglass" is also about these.
const BreakglassType = "assay.breakglass/v1"

// Breakglass is the type as programs record it. A pack never holds it.
const Breakglass = "breakglass"

// AdmittedType reports whether pack.Build takes receipts of that type: a type of the flat list,
// such as model_call, a namespaced one, such as acme.review/v2, or breakglass, which it writes as
// BreakglassType. pack.Verify admits the same types but for the bare breakglass.
func AdmittedType(typ string) bool { return typ == Breakglass || PackedType(typ) }

// CheckData refuses what pack.Build would refuse of the members that a program gives its receipts, so that
// it is refused while the program can still do something about it: values that not every JSON reader
// reads alike, and names that differ only by case from one that has a meaning. The error names the
// member: "usage.tokens: integer …".
func CheckData(data jcs.Value) error {
	if f := checkData(&data); f != nil {
		return f
	}
	return nil
}

// SessionType and Recorder mark the receipt in which assay run says how the run went, and Recorder the one in
// which it says why the glass was broken:
//
//	{"type": "session_metadata", "recorded_by": "assay run", "child_exit_code": 0, …}
//	{"type": "assay.breakglass/v1", "recorded_by": "assay run", "reason": "…"}
const (
	SessionType = "session_metadata"
	Recorder    = "assay run"
)

// AboutRun reports whether a receipt is one that assay run wrote about the run itself. It is in the pack and in
// every count of the format, but it is never evidence of what the program did: a program that recorded nothing
// has recorded nothing, whoever else did. Anybody can write such a receipt, and only makes the evidence less.
func AboutRun(receipt jcs.Value) bool {
	c := CoreOf(&receipt)
	return c.AboutRun()
}

// TimeForm is the layout in which packs, receipts and reports hold a time of ours, which must be in
// UTC: never Z, always six digits.
const TimeForm = "2006-01-02T15:04:05.000000+00:00"

// Limits on what a pack may hold. What exceeds one is a finding, never an error:
// a verifier of untrusted packs must answer in bounded time and memory.
const (
	MaxLine     = 1 << 20 // bytes of one receipt line, without its newline
	MaxReceipts = 4 << 20 // receipts of a pack; their ids are all that a verifier keeps of them
)

// KnownType reports whether a pack may hold that type without a namespace, or as ours of breakglass.
func KnownType(kind string) bool { return flatTypes[kind] || kind == BreakglassType }

// flatTypes are the admitted types without a namespace (receipts.md §2).
var flatTypes = map[string]bool{
	"ai_workflow": true, "capability_use": true, "challenge": true, "decision_v1": true,
	"governance_posture_snapshot": true, "grace_check": true, "guardian_check": true,
	"guardian_verdict": true, "mcp_tool_call": true, "model_call": true, "refusal": true,
	"revocation": true, "session_metadata": true, "supersession": true,
}

// PackedType admits a flat type of the list, or ^[a-z0-9_]+(\.[a-z0-9_]+)+(/[a-z0-9_]+)?$
// outside the reserved namespace loom.
func PackedType(kind string) bool { // RCP-3, RCP-4
	if flatTypes[kind] {
		return true
	}
	name, revision, hasRevision := strings.Cut(kind, "/")
	if hasRevision && !isTypeWord(revision) || !strings.Contains(name, ".") || strings.HasPrefix(name, "loom.") {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		if !isTypeWord(part) {
			return false
		}
	}
	return true
}

func isTypeWord(s string) bool {
	for i := range len(s) {
		if !('a' <= s[i] && s[i] <= 'z' || '0' <= s[i] && s[i] <= '9' || s[i] == '_') {
			return false
		}
	}
	return s != ""
}

// SuggestType makes a word of a refused type, for a message.
func SuggestType(kind string) string {
	kind = strings.ToLower(kind[strings.LastIndexAny(kind, "./")+1:])
	if !isTypeWord(kind) || len(kind) > 40 {
		return "event"
	}
	return kind
}

// projected are the members that are dropped from a receipt's root before it is packed (RCP-14).
var projected = []string{"signatures", "signature", "cose_signature", "receipt_hash", "anchor"}

// IsProjected reports whether receipts lose the member when they are packed.
func IsProjected(name string) bool { return slices.Contains(projected, name) }

// Packed is the receipt as a pack holds it: without the members that are not packed, and of a type that
// verifiers admit.
func Packed(r *jcs.Value, c *Core) jcs.Value {
	packed := *r
	if c.Dropped != "" {
		packed = r.Without(projected...)
	}
	return namespaced(packed)
}

// namespaced gives a receipt of type breakglass the type that verifiers admit (BreakglassType).
func namespaced(r jcs.Value) jcs.Value {
	if form.Str(r, "type") != Breakglass {
		return r
	}
	r.Members = slices.Clone(r.Members)
	for i := range r.Members {
		if m := &r.Members[i]; m.Name == "type" {
			m.Value = jcs.Str(BreakglassType)
		}
	}
	return r
}

// ASCIINames reports the first member name, at any depth, that is not ASCII.
func ASCIINames(v *jcs.Value) (string, bool) {
	for i := range v.Members {
		m := &v.Members[i]
		if !form.IsASCII(m.Name) {
			return m.Name, false
		}
		if m.Value.Kind < jcs.Array {
			continue
		}
		if bad, ok := ASCIINames(&m.Value); !ok {
			return bad, false
		}
	}
	for i := range v.Items {
		if bad, ok := ASCIINames(&v.Items[i]); !ok {
			return bad, false
		}
	}
	return "", true
}

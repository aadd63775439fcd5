package pack

import (
	"fmt"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// aboutRun is AboutRun.
func (c *core) aboutRun() bool {
	return c.recorder == Recorder && (c.kind == SessionType || c.kind == BreakglassType)
}

// ending is how the program ended, as the session receipt of assay run says, "" for any other receipt. It went
// well with exit code 0 and no signal; what cannot be read has not gone well.
func (c *core) ending() (text string, well bool) {
	if c.kind != SessionType || c.recorder != Recorder {
		return "", false
	}
	if c.exit == nil || c.signal != nil && c.signal.Kind != jcs.String {
		return unreadableEnding, false
	}
	code, ok := c.exit.Int64()
	switch {
	case !ok:
		return unreadableEnding, false
	case c.signal != nil:
		return fmt.Sprintf("exit %d (signal %s)", code, form.Printable(c.signal.Text)), false
	}
	return fmt.Sprintf("exit %d", code), code == 0
}

// unreadableEnding is the text of an ending that its session receipt does not tell.
const unreadableEnding = "in a way that cannot be read"

// BreakglassType is what a pack holds for a receipt of type breakglass. The reference verifier refuses
// every pack with the bare word (pack.md §1.3), so Build writes this namespaced one, and the built-in
// card no_breakglass counts it: a claim about receipts of type "breakglass" is also about these.
const BreakglassType = "assay.breakglass/v1"

// breakglass is the type as programs record it. A pack never holds it.
const breakglass = "breakglass"

// AdmittedType reports whether Build takes receipts of that type (pack.md §1.3): a type of the flat list,
// such as model_call, a namespaced one, such as acme.review/v2, or breakglass, which it writes as
// BreakglassType. Verify admits the same types but for the bare breakglass.
func AdmittedType(typ string) bool { return typ == breakglass || admitted(typ) }

// CheckData refuses what Build would refuse of the members that a program gives its receipts, so that
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
	c := coreOf(&receipt)
	return c.aboutRun()
}

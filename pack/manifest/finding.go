package manifest

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Finding codes. The W_ codes are ours and only ever warn.
const (
	CodeTamper    = "E_MANIFEST_TAMPER"
	CodeOmission  = "E_PACK_OMISSION_DETECTED"
	CodeSignature = "E_PACK_SIG_INVALID"
	CodePath      = "E_PATH_ESCAPE"
	CodeSchema    = "E_SCHEMA_UNKNOWN"
	CodeCanon     = "E_CANON_MISMATCH"
	CodeDuplicate = "E_DUPLICATE_ID"
	CodeTimestamp = "E_TIMESTAMP_INVALID"
	CodeAnchor    = "E_ANCHOR_INVALID"
	CodeStale     = "E_PACK_STALE"
	CodeNoCI      = "E_CI_BINDING_MISSING"
	CodeOtherCI   = "E_CI_BINDING_MISMATCH"

	// Ours, of LockFindings only: the pack drifts from the lock, or somebody else signed it.
	CodeLock   = "E_LOCK_MISMATCH"
	CodeSigner = "E_SIGNER_UNTRUSTED"

	// Ours, of ExpectationResults only; E_PACK_STALE and E_CI_… are the reference's too.
	CodeExpired    = "E_PACK_EXPIRED"
	CodeSuperseded = "E_PACK_SUPERSEDED"

	WarnExtraFile     = "W_EXTRA_FILE"
	WarnPortability   = "W_PORTABILITY"
	WarnNoClock       = "W_NO_CLOCK"
	WarnNotReexecuted = "W_CLAIMS_NOT_REEXECUTED"
	WarnSidecar       = "W_RUN_CARDS_IGNORED"
	WarnAnchor        = "W_ANCHOR_NOT_CHECKED"
	WarnNoTimestamp   = "W_NO_TIMESTAMP"
	WarnTime          = "W_TIME_CONTRADICTION"
	WarnBreakglass    = "W_BREAKGLASS"
	WarnReport        = "W_REPORT"
	WarnLookalike     = "W_CARD_LOOKALIKE"
	WarnMore          = "W_MORE_FINDINGS"
)

// Finding is one thing that is wrong (or, among Warnings, remarkable).
// Message is printable ASCII whatever the pack says.
type Finding struct {
	Code    string // E_… or W_…
	Field   string
	Receipt int // index of the receipt, -1 if none
	Message string
}

// Mechanism is the failure_mechanism that reports give the code, "" for a warning.
func (f Finding) Mechanism() string {
	switch f.Code {
	case CodeStale, CodeTimestamp, CodeExpired, CodeSuperseded:
		return "stale_evidence"
	case CodeSchema, CodeCanon, CodeDuplicate:
		return "schema_mismatch"
	case "E_SIG_MISSING", "E_CHAIN_BROKEN", CodeAnchor:
		return "witness_gap"
	case CodeTamper, CodeOmission, CodeSignature, "E_SIG_INVALID", CodePath:
		return "tamper_detected"
	case "E_POLICY_MISSING", CodeNoCI, CodeOtherCI, CodeLock, CodeSigner:
		return "policy_conflict"
	}
	return ""
}

// String is the finding on one line.
func (f Finding) String() string {
	s := f.Code
	if f.Field != "" {
		s += " " + f.Field
	}
	if f.Receipt >= 0 {
		s += " of receipt " + strconv.Itoa(f.Receipt)
	}
	return s + ": " + f.Message
}

// MaxFindings bounds a list: a million bad receipts are not a million findings.
const MaxFindings = 100

// Findings is a bounded list in the order in which the verifier looks.
type Findings []Finding

// Add adds a finding about the pack; field is shown printable.
func (fs *Findings) Add(code, field, format string, args ...any) {
	fs.AddReceipt(-1, code, field, format, args...)
}

// AddReceipt adds one about receipt i.
func (fs *Findings) AddReceipt(i int, code, field, format string, args ...any) {
	f := Finding{Code: code, Field: form.Printable(field), Receipt: i, Message: fmt.Sprintf(format, args...)}
	fs.Join(f)
}

// Join adds findings as they are, as far as there is room.
func (fs *Findings) Join(more ...Finding) {
	for _, f := range more {
		if n := len(*fs); n < MaxFindings {
			*fs = append(*fs, f)
		} else if (*fs)[n-1].Code != WarnMore {
			*fs = append(*fs, Finding{Code: WarnMore, Receipt: -1, Message: "more findings are not listed"})
		}
	}
}

// JSONCode is the finding code for text that the strict reader refused: E_CANON_MISMATCH for duplicates and numbers.
func JSONCode(err error) string {
	if errors.Is(err, jcs.ErrDuplicate) || errors.Is(err, jcs.ErrNumber) {
		return CodeCanon
	}
	return CodeTamper
}

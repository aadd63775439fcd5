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
	CodeManifestTamper   = "E_MANIFEST_TAMPER"
	CodePackOmission     = "E_PACK_OMISSION_DETECTED"
	CodePackSignature    = "E_PACK_SIG_INVALID"
	CodePathEscape       = "E_PATH_ESCAPE"
	CodeSchemaUnknown    = "E_SCHEMA_UNKNOWN"
	CodeCanonMismatch    = "E_CANON_MISMATCH"
	CodeDuplicateID      = "E_DUPLICATE_ID"
	CodeTimestampInvalid = "E_TIMESTAMP_INVALID"
	CodeAnchorInvalid    = "E_ANCHOR_INVALID"
	CodePackStale        = "E_PACK_STALE"
	CodeCIMissing        = "E_CI_BINDING_MISSING"
	CodeCIMismatch       = "E_CI_BINDING_MISMATCH"

	// Ours, of the lock channel only: the pack drifts from the lock, or somebody else signed it.
	CodeLockMismatch    = "E_LOCK_MISMATCH"
	CodeSignerUntrusted = "E_SIGNER_UNTRUSTED"

	// Ours, of the expectations only; E_PACK_STALE and E_CI_… are the reference's too.
	CodePackExpired    = "E_PACK_EXPIRED"
	CodePackSuperseded = "E_PACK_SUPERSEDED"

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

// Channel is one thing that is judged by itself. A finding belongs to one, and changes no other.
type Channel string

const (
	ChannelIntegrity    Channel = "integrity"
	ChannelClaims       Channel = "claims"
	ChannelAnchor       Channel = "anchor"
	ChannelLock         Channel = "lock"
	ChannelExpectations Channel = "expectations"
	ChannelCoverage     Channel = "coverage"
	ChannelSigner       Channel = "signer"
)

// Stage is a step of judging the integrity of a pack. Its words are those of machine output.
type Stage string

// The stages: those of the reference first, in the order in which it has them, and two of ours.
const (
	StageSchema      Stage = "validate_schema"
	StagePaths       Stage = "validate_paths"
	StageFiles       Stage = "validate_file_hashes"
	StageReceipts    Stage = "validate_receipts"
	StageAttestation Stage = "validate_attestation"
	StageSignature   Stage = "verify_signature"
	StageRoot        Stage = "check_d12_invariant"
	StageReport      Stage = "validate_report"  // the report inside the pack agrees with its manifest
	StageClaims      Stage = "reexecute_claims" // the claims come to what is attested of them
)

// Finding is one thing that is wrong (or, among Warnings, remarkable). Whoever makes it knows where: no reader
// has to tell that from its words.
type Finding struct {
	Code    string // E_… or W_…: one of the constants above
	Channel Channel
	Stage   Stage  // where it was made, of the integrity; "" in other channels
	Field   string // what it is about, printable ASCII; "" for nothing in particular
	Receipt int    // index of the receipt, -1 if none
	Message string // printable ASCII whatever the pack says
}

// Mechanism is the failure_mechanism that reports give the code, "" for a warning.
func (f Finding) Mechanism() string {
	switch f.Code {
	case CodePackStale, CodeTimestampInvalid, CodePackExpired, CodePackSuperseded:
		return "stale_evidence"
	case CodeSchemaUnknown, CodeCanonMismatch, CodeDuplicateID:
		return "schema_mismatch"
	case "E_SIG_MISSING", "E_CHAIN_BROKEN", CodeAnchorInvalid:
		return "witness_gap"
	case CodeManifestTamper, CodePackOmission, CodePackSignature, "E_SIG_INVALID", CodePathEscape:
		return "tamper_detected"
	case "E_POLICY_MISSING", CodeCIMissing, CodeCIMismatch, CodeLockMismatch, CodeSignerUntrusted:
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

// In are those of one channel.
func (fs Findings) In(channel Channel) (list []Finding) {
	for _, f := range fs {
		if f.Channel == channel {
			list = append(list, f)
		}
	}
	return list
}

// Place is where findings are made: what a step adds to a list of them.
type Place struct {
	list    *Findings
	channel Channel
	stage   Stage
}

// At is a stage of judging the integrity.
func (fs *Findings) At(stage Stage) Place { return Place{fs, ChannelIntegrity, stage} }

// Of is a channel that has no stages: all but the integrity.
func (fs *Findings) Of(channel Channel) Place { return Place{fs, channel, ""} }

// Add adds a finding about the pack; field is shown printable.
func (p Place) Add(code, field, format string, args ...any) {
	p.AddReceipt(-1, code, field, format, args...)
}

// AddReceipt adds one about receipt i.
func (p Place) AddReceipt(i int, code, field, format string, args ...any) {
	p.list.Join(Finding{Code: code, Channel: p.channel, Stage: p.stage, Field: form.Printable(field), Receipt: i, Message: fmt.Sprintf(format, args...)})
}

// Join adds findings as they are, as far as there is room.
func (fs *Findings) Join(more ...Finding) {
	for _, f := range more {
		if n := len(*fs); n < MaxFindings {
			*fs = append(*fs, f)
		} else if (*fs)[n-1].Code != WarnMore {
			*fs = append(*fs, Finding{Code: WarnMore, Channel: ChannelIntegrity, Receipt: -1, Message: "more findings are not listed"})
		}
	}
}

// JSONCode is the finding code for text that the strict reader refused: E_CANON_MISMATCH for duplicates and numbers.
func JSONCode(err error) string {
	if errors.Is(err, jcs.ErrDuplicate) || errors.Is(err, jcs.ErrNumber) {
		return CodeCanonMismatch
	}
	return CodeManifestTamper
}

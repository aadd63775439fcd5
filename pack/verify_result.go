package pack

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// Verdict is the word of one channel.
type Verdict string

const (
	Pass    Verdict = "PASS"
	Fail    Verdict = "FAIL"
	Skipped Verdict = "SKIPPED"

	// NotEvaluated is of claims alone: the signer says that they hold, and nobody found out here.
	NotEvaluated Verdict = "NOT_EVALUATED"
)

// Options: the zero value checks integrity, and claims whose definitions are built in or travel with the pack.
type Options struct {
	Cards         []claim.Card   // more definitions that claim_set_hash may match
	Ask           []claim.Card   // claims to judge besides, whatever the pack declares; they decide no exit code
	Policy        *trust.Policy  // nil: the anchor is SKIPPED
	TSARoots      *x509.CertPool // they ask for a time: an entry without a token that they believe is not anchored; nil: no time is asked for
	TimeOptional  bool           // with TSARoots: an entry may be without a token
	Proof         []byte         // a tlog-proof; nil: _unsigned/anchor.tlog-proof of the pack
	Now           time.Time      // zero: no check against the present (future guard)
	RequireClaims bool
	RequireAnchor bool
	RequirePinned bool // a lock's allowlist or TrustedSigners must name the key that signed
	// Strict asks for all three, for a time in the anchor that does not contradict the pack, for one claim at least that holds, for evidence, and
	// for a pack that is neither expired nor superseded: nothing that a verdict of 0 usually leaves open.
	Strict bool

	Lock           *lock.Lock      // its claims are executed again; nil: no lockfile, and the lock channel is SKIPPED
	TrustedSigners lock.Signers    // who may have signed; the zero value: any key, shown as unpinned
	MaxAge         time.Duration   // since timestamp_end; 0: of any age. Without Now every pack is too old
	Contract       *claim.Contract // the call sites that receipts must cover; nil: not checked
	MinCoverage    float64         // of Contract, 0 to 1

	RequireCI bool // the pack must hold a ci_binding
	// What ci_binding must name, byte for byte; empty: anything. CommitSHA is 40 or 64 lowercase hex digits,
	// Workflow the whole workflow_ref, Run the run_id.
	CommitSHA, Repo, Ref, Workflow, Run string
	CheckExpiry                         bool // valid_until, if the pack has one, must not have passed. Without Now it has
	RefuseSuperseded                    bool // the pack must not name another one in superseded_by
}

// Result is the judgement of one pack: channels that are never merged.
type Result struct {
	Integrity    Verdict
	Claims       ClaimsResult
	Anchor       AnchorResult
	Expectations ExpectationsResult
	Lock         LockResult
	Signer       SignerResult
	Coverage     *CoverageResult // nil without Options.Contract, and for a pack that is not intact

	Findings manifest.Findings // of the integrity and of the anchor
	Warnings manifest.Findings // of all channels

	Manifest *manifest.Manifest // nil if it could not be read
	Receipts int
	AboutRun int // of Receipts: those that assay run wrote about the run, see AboutRun
	Facts    Facts
	require  Options
}

// ClaimsResult is whether the evidence meets the declared checks.
type ClaimsResult struct {
	Verdict Verdict
	Results []claim.Result
	// Reexecuted says that Verdict was recomputed from the receipts here.
	// If it is false and Verdict is not SKIPPED, Verdict is the signer's word (and a warning says so).
	Reexecuted bool
	Cards      []claim.Card   // whose claims were executed again; nil if no definitions were found
	Sources    []CardSource   // of Cards: whose each of them is
	Asked      []claim.Result // of Options.Ask, nil unless the integrity is PASS
}

// AnchorResult is whether a log that the policy trusts holds the pack, and since when: two facts.
type AnchorResult struct {
	Verdict         Verdict           // SKIPPED without a policy, and without a proof
	Checkpoint      *trust.Checkpoint // when the proof holds: Verdict is PASS then, unless the time that was asked for does not hold
	Entry           *entry.Logged     // likewise
	Timed           Verdict           // whether a token that TSARoots believe says when; SKIPPED if nobody asked, or nothing is logged
	Time            *timestamp.Token  // when Timed is PASS
	NoProof         bool              // Verdict is SKIPPED although there is a policy: there was no proof to check
	Unchecked       bool              // Verdict is SKIPPED although there is a proof: there was no policy to hold it to
	TimeContradicts bool              // Time is earlier than the pack's own end, by no more than a clock may be wrong
}

// ExpectationsResult is whether it is the pack that its reader means.
type ExpectationsResult struct {
	Verdict Verdict       // FAIL if one of Results is, and SKIPPED if nothing was expected or could be judged
	Results []Expectation // those asked for, and what the pack says unasked of its expiry and successor
}

// LockResult is whether the pack is what Options.Lock says.
type LockResult struct {
	Verdict  Verdict           // SKIPPED without Options.Lock, and for a pack that is not intact unless it drifts as well
	Findings manifest.Findings // where the pack drifts from the lock, or its signer is not a trusted one
}

// SignerResult is whether somebody named the key that signed.
type SignerResult struct {
	Pinned    bool // an allowlist of the lock, or TrustedSigners, names it
	Untrusted bool // one of them does not name it; said of a pack that is not intact too
}

// CoverageResult is what came of Options.Contract.
type CoverageResult struct {
	Verdict Verdict // FAIL if Share is below Options.MinCoverage
	claim.Coverage
}

// Status is what a judgement comes to in one word.
type Status string

// The words of the reference, and some of ours.
const (
	StatusOK        Status = "ok"
	StatusFailed    Status = "failed"                   // the integrity fails
	StatusLock      Status = "lock_mismatch"            // the pack is not what the lock says
	StatusSigner    Status = "signer_untrusted"         // none of Options.TrustedSigners signed it, or nobody names any, as required
	StatusWitness   Status = "witness_failed"           // it is not anchored, as required or claimed
	StatusExpected  Status = "expectation_failed"       // it is intact, and not the pack that was expected: too old, or of another CI run
	StatusClaims    Status = "claim_gate_failed"        // required claims do not hold, or could not be executed again
	StatusExpired   Status = "expired"                  // valid_until has passed
	StatusReplaced  Status = "superseded"               // its signer names a pack that replaces it
	StatusEmpty     Status = "no_evidence"              // there is not one receipt that a program recorded, as required
	StatusUncovered Status = "coverage_below_threshold" // too few call sites of the contract have receipts
)

// ClaimsHere is what the claims came to here, the word of every output: a signer who admits a failure is
// believed, one who tells of success is not.
func (r *Result) ClaimsHere() Verdict {
	if r.Claims.Verdict == Pass && !r.Claims.Reexecuted {
		return NotEvaluated
	}
	return r.Claims.Verdict
}

// Now is the time that it was judged by, Options.Now.
func (r *Result) Now() time.Time { return r.require.Now }

// Evidence is how many receipts tell of what a program did: those about the run itself do not.
func (r *Result) Evidence() int { return r.Receipts - r.AboutRun }

// Status is the gravest thing that can be said. Text and JSON, exit codes and badges follow it.
func (r *Result) Status() Status {
	switch {
	case r.Integrity != Pass:
		return StatusFailed
	case r.Lock.Verdict == Fail, r.require.Lock != nil && r.Lock.Verdict != Pass:
		return StatusLock
	case len(r.Lock.Findings) > 0, r.require.RequirePinned && !r.Signer.Pinned:
		return StatusSigner
	case r.Anchor.Verdict == Fail, r.require.RequireAnchor && r.Anchor.Verdict != Pass, r.require.Strict && (r.Anchor.Timed != Pass || r.Anchor.TimeContradicts):
		return StatusWitness
	case r.unmet():
		return StatusExpected
	// A required claim holds only if it was executed here: the signer's word is not enough.
	case r.require.RequireClaims && r.ClaimsHere() != Pass:
		return StatusClaims
	case r.require.Strict && !slices.ContainsFunc(r.Claims.Results, func(c claim.Result) bool { return c.Passed }):
		return StatusClaims
	case r.require.Strict && r.Evidence() == 0:
		return StatusEmpty
	case r.Expectation("expiry").Verdict == Fail:
		return StatusExpired
	case r.Expectation("superseded").Verdict == Fail:
		return StatusReplaced
	case r.require.Contract != nil && (r.Coverage == nil || r.Coverage.Verdict != Pass):
		return StatusUncovered
	}
	return StatusOK
}

// ExitCode is 0 (pass), 1 (authentic evidence of an unmet claim) or 2 (anything else).
func (r *Result) ExitCode() int {
	switch r.Status() {
	case StatusOK:
		return 0
	case StatusClaims, StatusEmpty, StatusExpired, StatusReplaced, StatusUncovered:
		// VFY-81: exit code 1 is reachable from exactly one line of code.
		return 1
	}
	return 2
}

package report

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
	"github.com/Haserjian/assay-ledger/trust"
)

const (
	schema = "assay.verify_report.v0.1"
	policy = "assay.verify_policy.v0.1"
	name   = "assay verify-pack"
)

// stages are in the order of the checks in the JSON: those of the reference, which have a list of their own, and
// two of ours.
var stages = []manifest.Stage{manifest.StageSchema, manifest.StagePaths, manifest.StageFiles, manifest.StageReceipts, manifest.StageAttestation,
	manifest.StageSignature, manifest.StageRoot, manifest.StageReport, manifest.StageClaims}

// JSON is what verify-pack prints of one pack: the channels, then the public judgement,
// then what only we have. The same Report gives the same bytes.
func (r *Report) JSON(command string) jcs.Value {
	v := jcs.Obj(
		jcs.M("command", jcs.Str(command)),
		jcs.M("status", jcs.Str(string(r.Status()))),
		jcs.M("exit_code", jcs.Int(int64(r.ExitCode()))),
		jcs.M("path", jcs.Loose(r.Path)),
		jcs.M("channels", r.channelObject()),
		jcs.M("verdict", jcs.Str(r.verdict())),
		jcs.M("claim_check", jcs.Str(string(r.claimCheck()))),
		jcs.M("claim_check_is", jcs.Str("attested")), // the signer's word; channels.claims is ours
	)
	v.Members = append(v.Members, r.judgement()...)
	v.Members = append(v.Members, r.ours()...)
	return v
}

// Public is the judgement alone, for --out.
func (r *Report) Public() jcs.Value {
	ends := []jcs.Member{jcs.M("status", jcs.Str(string(r.Status()))), jcs.M("exit_code", jcs.Int(int64(r.ExitCode())))}
	return jcs.Obj(slices.Concat(r.judgement(), r.ours(), ends)...)
}

func (r *Report) channelObject() jcs.Value {
	v := jcs.Obj()
	for _, c := range r.Channels() {
		v.Members = append(v.Members, jcs.M(c.Name, jcs.Str(c.Word)))
	}
	if _, there := v.Get("expectations"); !there { // people are not told that nothing was expected
		v.Members = append(v.Members, jcs.M("expectations", jcs.Str(string(r.Expectations.Verdict))))
	}
	return v
}

// verdict is the reference's word of that name. It merges, which is why the channels stand before it.
func (r *Report) verdict() string {
	switch {
	case !r.intact():
		return wordTampered
	case r.Status() == pack.StatusWitness, r.Status() == pack.StatusExpected:
		return wordInsufficient
	case r.Claims.Verdict == pack.Fail, r.Status() == pack.StatusReplaced:
		return wordHonestFail
	case r.ClaimsHere() == pack.NotEvaluated:
		return wordInsufficient
	}
	return wordPass
}

// claimCheck is the attested word if it is known to be what the signer attested.
func (r *Report) claimCheck() manifest.ClaimCheck {
	if !r.intact() {
		return manifest.ClaimsNone
	}
	return r.Manifest.Attestation.ClaimCheck
}

// words are the four channels of the public judgement.
type words struct{ integrity, claim, trust string }

func (r *Report) words() words {
	w := words{wordPass, "NOT_EVALUATED", "NOT_EVALUATED"}
	if !r.intact() {
		w.integrity = wordTampered
	} else if r.Claims.Verdict == pack.Fail || r.Claims.Reexecuted {
		// A signer who admits a failure is believed; one who tells of success is not.
		if w.claim = r.choose(r.Claims.Verdict, wordHonestFail); r.Claims.Verdict == pack.Skipped {
			w.claim = "NOT_EVALUATED"
		}
	}
	switch {
	case r.Signer.Untrusted:
		w.trust = "UNTRUSTED"
	case r.Signer.Pinned:
		w.trust = wordPass
	}
	return w
}

// overall is the precedence of VFY-86.
func (w words) overall(optional []string) (verdict, reason string, blocking jcs.Value) {
	switch {
	case w.integrity != wordPass:
		return wordTampered, "integrity_verdict=TAMPERED", jcs.Str("integrity")
	case w.trust == "UNTRUSTED":
		return w.trust, "trust_verdict=UNTRUSTED", jcs.Str("trust")
	case w.claim == wordHonestFail:
		return wordHonestFail, "claim_verdict=HONEST_FAIL", jcs.Str("claim")
	}
	reason = "required_channels_passed"
	if len(optional) > 0 {
		reason += "; optional_channels_not_evaluated=" + strings.Join(optional, ",")
	}
	return wordPass, reason, jcs.Value{}
}

// overall is that of the four channels, which know nothing of locks, pins, logs, dates and coverage: who reads
// this one word must not take for a pass what is none.
func (r *Report) overall(w words, optional []string) (verdict, reason string, blocking jcs.Value) {
	verdict, reason, blocking = w.overall(optional)
	switch code := r.ExitCode(); {
	case code > 1 && (verdict == wordPass || verdict == wordHonestFail):
		return "UNTRUSTED", "status=" + string(r.Status()), jcs.Str("trust")
	case code > 0 && verdict == wordPass:
		if r.Status() == pack.StatusClaims {
			blocking = jcs.Str("claim")
		}
		return wordHonestFail, "status=" + string(r.Status()), blocking
	}
	return verdict, reason, blocking
}

func (r *Report) judgement() []jcs.Member {
	w := r.words()
	required, optional := []string{"integrity"}, []string{}
	for _, channel := range []struct{ name, word string }{{"claim", w.claim}, {"replay", "NOT_RUN"}, {"trust", w.trust}} {
		if channel.word == "NOT_EVALUATED" || channel.word == "NOT_RUN" {
			optional = append(optional, channel.name)
		} else {
			required = append(required, channel.name)
		}
	}
	overall, reason, blocking := r.overall(w, optional)
	at := r.At.UTC().Format(receipt.TimeForm)
	var packID, runID, root, head, receipts jcs.Value // null where nothing could be read
	expected := jcs.Obj(jcs.M("policy_id", jcs.Str(policy)))
	provenance := jcs.Obj()
	if m := r.Manifest; m != nil {
		packID, runID, root = jcs.Str(m.PackID), jcs.Str(m.RunID), jcs.Str(m.PackRoot.String())
		receipts = jcs.Int(int64(r.Receipts))
		if a := m.Attestation; r.intact() {
			expected = object("policy_id", policy, "policy_sha256", a.PolicyHash, "claim_set_id", a.ClaimSetID, "claim_set_hash", a.ClaimSetHash)
			provenance = ciObject(a.CIBinding)
		}
	}
	if r.Result.Facts.HeadHash != "" {
		head = jcs.Str(r.Result.Facts.HeadHash)
	}
	members := []jcs.Member{
		jcs.M("schema_version", jcs.Str(schema)),
		jcs.M("report_id", jcs.Str("vr_"+digest(jcs.Obj(
			jcs.M("pack_root_sha256", root), jcs.M("verified_at", jcs.Str(at)),
			jcs.M("integrity_verdict", jcs.Str(w.integrity)), jcs.M("claim_verdict", jcs.Str(w.claim)),
			jcs.M("replay_verdict", jcs.Str("NOT_RUN")), jcs.M("trust_verdict", jcs.Str(w.trust)),
			jcs.M("verifier_version", jcs.Str(r.Version))))[:20])),
		jcs.M("pack_id", packID),
		jcs.M("run_id", runID),
		jcs.M("ids_verified", jcs.Boolean(r.intact())),
		jcs.M("pack_root_sha256", root),
		jcs.M("pack_manifest_sha256", orNull(r.Result.Facts.ManifestFileSHA256)),
		jcs.M("integrity_verdict", jcs.Str(w.integrity)),
		jcs.M("claim_verdict", jcs.Str(w.claim)),
		jcs.M("replay_verdict", jcs.Str("NOT_RUN")),
		jcs.M("trust_verdict", jcs.Str(w.trust)),
		jcs.M("evaluation_profile", jcs.Str(strings.Join(required, "_")+"_required")),
		jcs.M("required_channels", list(required)),
		jcs.M("optional_channels", list(optional)),
		jcs.M("unevaluated_channels", list(optional)),
		jcs.M("overall_verdict", jcs.Str(overall)),
		jcs.M("overall_reason", jcs.Str(reason)),
		jcs.M("blocking_channel", blocking),
		jcs.M("verified_at", jcs.Str(at)),
		jcs.M("verifier", object("name", name, "version", r.Version, "policy_id", policy)),
		jcs.M("expectations", expected),
		jcs.M("verification_inputs_sha256", root),
		jcs.M("verifier_config_sha256", r.lockDigest()),
		jcs.M("provenance", provenance),
		jcs.M("evidence_refs", jcs.Arr(
			jcs.Obj(jcs.M("kind", jcs.Str("pack_manifest")), jcs.M("path", jcs.Str("pack_manifest.json")), jcs.M("sha256", orNull(r.Result.Facts.ManifestFileSHA256))),
			jcs.Obj(jcs.M("kind", jcs.Str("receipt_pack")), jcs.M("path", jcs.Str("receipt_pack.jsonl")), jcs.M("sha256", orNull(r.Result.Facts.ReceiptsFileSHA256))))),
		jcs.M("checks", r.checks(w)),
		jcs.M("summary", object("integrity", summaries[w.integrity], "claim", summaries["claim "+w.claim], "replay", "Replay was not run.", "trust", summaries["trust "+w.trust])),
		jcs.M("scope", r.scope(w)),
		jcs.M("errors", r.errors()),
		jcs.M("warnings", r.warnings()),
		jcs.M("passed", jcs.Boolean(r.intact())),
		jcs.M("receipt_count", receipts),
		jcs.M("head_hash", head),
		jcs.M("stages", r.stageList()),
	}
	if mechanisms := r.mechanisms(); len(mechanisms.Members) > 0 {
		members = append(members, jcs.M("failure_mechanisms", mechanisms))
	}
	if len(r.Claims.Results) > 0 {
		members = append(members, jcs.M("claim_verification", r.claimVerification()))
	}
	return members
}

var summaries = map[string]string{
	wordPass:              "The files are those that the manifest lists, and the signature of the manifest holds.",
	wordTampered:          "The pack is not what was signed.",
	"claim PASS":          "The claims were executed again, and the evidence satisfies them.",
	"claim HONEST_FAIL":   "The evidence does not satisfy the claims.",
	"claim NOT_EVALUATED": "No claims were executed.",
	"trust PASS":          "The key that signed is one of those that may.",
	"trust UNTRUSTED":     "The key that signed is none of those that may.",
	"trust NOT_EVALUATED": "Nobody said which keys may sign: the signer is not pinned.",
}

func (r *Report) lockDigest() jcs.Value {
	if r.Lock == nil {
		return jcs.Value{}
	}
	return jcs.Str(r.Lock.Digest().String())
}

// failed are the stages with a finding.
func (r *Report) failed() map[manifest.Stage]bool {
	failed := map[manifest.Stage]bool{}
	for _, f := range r.Findings {
		if f.Stage != "" {
			failed[f.Stage] = true
		}
	}
	return failed
}

func (r *Report) stageWord(stage manifest.Stage, failed map[manifest.Stage]bool) string {
	switch {
	case failed[stage]:
		return wordTampered
	case r.Manifest == nil && stage != manifest.StageSchema, stage == manifest.StageClaims && !r.Claims.Reexecuted:
		return "NOT_RUN"
	}
	return wordPass
}

func (r *Report) checks(w words) jcs.Value {
	v, failed := jcs.Arr(), r.failed()
	for _, stage := range stages {
		v.Items = append(v.Items, object("name", string(stage), "verdict", r.stageWord(stage, failed)))
	}
	v.Items = append(v.Items, object("name", "claim_check", "verdict", w.claim),
		object("name", "replay", "verdict", "NOT_RUN"), object("name", "trust", "verdict", w.trust))
	for _, c := range r.Channels() {
		if c.Name != "integrity" && c.Name != "claims" && c.Name != "signer" && c.Word != string(pack.Skipped) {
			v.Items = append(v.Items, object("name", c.Name, "verdict", c.Verdict))
		}
	}
	return v
}

// stageList is the older form of the checks: the stages of the reference alone, "ok" or "fail".
func (r *Report) stageList() jcs.Value {
	v, failed := jcs.Arr(), r.failed()
	for _, stage := range stages[:7] {
		switch r.stageWord(stage, failed) {
		case "NOT_RUN":
			continue
		case wordTampered:
			v.Items = append(v.Items, object("stage", string(stage), "status", "fail"))
		default:
			v.Items = append(v.Items, object("stage", string(stage), "status", "ok"))
		}
		last := &v.Items[len(v.Items)-1]
		switch stage {
		case manifest.StagePaths:
			last.Members = append(last.Members, jcs.M("detail", jcs.Obj(jcs.M("paths_checked", jcs.Int(8)))))
		case manifest.StageFiles:
			last.Members = append(last.Members, jcs.M("detail", jcs.Obj(jcs.M("files_checked", jcs.Int(3)))))
		case manifest.StageReceipts:
			last.Members = append(last.Members, jcs.M("detail", jcs.Obj(
				jcs.M("receipt_count", jcs.Int(int64(r.Receipts))), jcs.M("head_hash", orNull(r.Result.Facts.HeadHash)))))
		}
	}
	return v
}

// doesNotProve is what no pack shows, whatever its verdicts (pack.md §7).
var doesNotProve = []string{"output_correctness", "output_safety", "business_policy_fitness", "legal_compliance",
	"instrumentation_completeness", "signer_authority_beyond_configured_trust"}

func (r *Report) scope(w words) jcs.Value {
	signed := []string{"pack_integrity", "receipt_sequence_integrity", "signature_validity"}
	proves, not := slices.Clone(signed), slices.Clone(doesNotProve)
	claim, trust := "not_evaluated", "not_evaluated"
	if w.integrity != wordPass {
		proves, not = []string{"tamper_evidence_detected"}, slices.Concat(signed, doesNotProve)
	}
	if w.claim != "NOT_EVALUATED" {
		if claim = "ran"; r.Claims.Reexecuted {
			proves = append(proves, "claim_set_evaluated")
		}
		if w.claim == wordPass {
			proves = append(proves, "claim_set_satisfied")
		}
	}
	if w.trust != "NOT_EVALUATED" {
		trust = "ran"
		if w.trust == wordPass {
			proves = append(proves, "signer_trust_policy_satisfied")
		}
	}
	return jcs.Obj(
		jcs.M("schema", jcs.Str("assay.verify.scope.v1")),
		jcs.M("channels", object("integrity", "ran", "claim", claim, "replay", "not_run", "trust", trust)),
		jcs.M("extensions", jcs.Obj()),
		jcs.M("proves", list(proves)),
		jcs.M("does_not_prove", list(not)))
}

// errors are those of the integrity channel (verify.md §19); the others stand with their channels.
func (r *Report) errors() jcs.Value {
	v := jcs.Arr()
	for _, f := range r.Findings.In(manifest.ChannelIntegrity) {
		v.Items = append(v.Items, errorObject(f))
	}
	return v
}

func errorObject(f manifest.Finding) jcs.Value {
	v := object("code", f.Code, "message", f.Message)
	if f.Receipt >= 0 {
		v.Members = append(v.Members, jcs.M("receipt_index", jcs.Int(int64(f.Receipt))))
	}
	if f.Field != "" {
		v.Members = append(v.Members, jcs.M("field", jcs.Str(f.Field)))
	}
	if m := f.Mechanism(); m != "" {
		v.Members = append(v.Members, jcs.M("failure_mechanism", jcs.Str(m)))
	}
	return v
}

const unpinned = "The signature is valid for the key inside the pack; whose key that is, nobody here says. " +
	"Pin it with --lock or --trusted-signer."

func (r *Report) warnings() jcs.Value {
	v := jcs.Arr()
	for _, f := range r.Warnings {
		v.Items = append(v.Items, jcs.Str(f.String()))
	}
	if r.intact() && !r.Signer.Pinned && !r.Signer.Untrusted {
		v.Items = append(v.Items, jcs.Str(unpinned))
	}
	return v
}

func (r *Report) mechanisms() jcs.Value {
	counts := map[string]int64{}
	for _, f := range r.Findings.In(manifest.ChannelIntegrity) {
		if m := f.Mechanism(); m != "" {
			counts[m]++
		}
	}
	v := jcs.Obj()
	for _, m := range []string{"schema_mismatch", "stale_evidence", "tamper_detected", "witness_gap", "policy_conflict"} {
		if n := counts[m]; n > 0 {
			v.Members = append(v.Members, jcs.M(m, jcs.Int(n)))
		}
	}
	return v
}

// claimVerification is that of pack.md §7, and whether it was found out here or is the signer's word.
func (r *Report) claimVerification() jcs.Value {
	passed := 0
	for _, c := range r.Claims.Results {
		if c.Passed {
			passed++
		}
	}
	n := len(r.Claims.Results)
	return jcs.Obj(
		jcs.M("passed", jcs.Boolean(r.ClaimsHere() == pack.Pass)),
		jcs.M("reexecuted", jcs.Boolean(r.Claims.Reexecuted)),
		jcs.M("n_claims", jcs.Int(int64(n))), jcs.M("n_passed", jcs.Int(int64(passed))), jcs.M("n_failed", jcs.Int(int64(n-passed))),
		jcs.M("discrepancy_fingerprint", orNull(r.Manifest.Attestation.DiscrepancyFingerprint)),
		jcs.M("results", ClaimResults(r.Claims.Results)))
}

// ClaimResults is what each claim came to.
func ClaimResults(results []claim.Result) jcs.Value {
	v := jcs.Arr()
	for _, c := range results {
		falsifier := c.FalsifierStatus
		if falsifier == "" {
			falsifier = "not_required"
		}
		v.Items = append(v.Items, jcs.Obj(
			jcs.M("claim_id", jcs.Str(c.ClaimID)), jcs.M("passed", jcs.Boolean(c.Passed)),
			jcs.M("expected", jcs.Str(c.Expected)), jcs.M("actual", jcs.Str(c.Actual)),
			jcs.M("severity", jcs.Str(string(c.Severity))), jcs.M("evidence_receipt_ids", list(c.Evidence)),
			jcs.M("falsifier_status", jcs.Str(falsifier))))
	}
	return v
}

// ours are the members that the reference has only sometimes, or never.
func (r *Report) ours() []jcs.Member {
	members := []jcs.Member{jcs.M("claims_reexecuted", jcs.Boolean(r.Claims.Reexecuted)), jcs.M("signer", r.signerObject()), jcs.M("anchor", r.anchorObject())}
	if m := r.Manifest; m != nil {
		members = append(members, jcs.M("manifest_sha256", jcs.Str(m.Digest().String())))
	}
	if r.Claims.Reexecuted {
		members = append(members, jcs.M("cards", r.cardObjects()), jcs.M("claims_can_fail", jcs.Boolean(!r.cannotFail())))
	}
	if r.MaxAgeHours > 0 {
		members = append(members, jcs.M("max_age_hours", jcs.Float(r.MaxAgeHours)))
	}
	if r.Status() == pack.StatusOK {
		members = append(members, jcs.M("gaps", list(r.gaps())))
	}
	if r.Status() == pack.StatusClaims {
		members = append(members, jcs.M("claim_gate", jcs.Str(r.Sentence())))
	}
	if r.Lock != nil || len(r.Result.Lock.Findings) > 0 {
		drift := jcs.Arr()
		for _, f := range r.Result.Lock.Findings {
			drift.Items = append(drift.Items, errorObject(f))
		}
		members = append(members, jcs.M("lock_errors", drift))
	}
	if c := r.Coverage; c != nil {
		members = append(members, jcs.M("coverage", jcs.Obj(
			jcs.M("covered_ids", list(c.Covered)), jcs.M("uncovered_ids", list(c.Uncovered)), jcs.M("extra_ids", list(c.Extra)),
			jcs.M("extra_ids_complete", jcs.Boolean(!c.MoreExtra)),
			jcs.M("coverage_pct", jcs.Float(c.Share)), jcs.M("min_coverage", jcs.Float(r.MinCoverage)),
			jcs.M("covered_count", jcs.Int(int64(len(c.Covered)))), jcs.M("total_count", jcs.Int(int64(len(c.Covered)+len(c.Uncovered)))))))
	}
	if status := r.expiryStatus(); status != "" {
		members = append(members, jcs.M("expiry_status", jcs.Str(status)))
	}
	if by := r.Expectation("superseded").Actual; by != "" {
		members = append(members, jcs.M("superseded_by", jcs.Loose(by)))
	}
	if f := r.Result.Facts; len(f.Endings) > 0 {
		members = append(members, jcs.M("program_ended", tallyObject(f.Endings)), jcs.M("program_ended_badly", jcs.Int(int64(f.EndedBadly))))
	}
	members = append(members, jcs.M("expectation_results", r.expectationResults()))
	return append(members, jcs.M("findings", r.allFindings()))
}

// expectationResults are what the reader expects beyond integrity, claims, anchor and lock. The member
// expectations of v0.1 is another thing: what the signer declared.
func (r *Report) expectationResults() jcs.Value {
	v := jcs.Arr()
	for _, e := range r.Expectations.Results {
		if e.Verdict == pack.Skipped {
			e.Code = "" // nobody asked: no finding
		}
		v.Items = append(v.Items, jcs.Obj(jcs.M("name", jcs.Str(e.Name)), jcs.M("verdict", jcs.Str(string(e.Verdict))), jcs.M("asked", jcs.Boolean(e.Expected != "")),
			jcs.M("expected", orNull(strings.ToValidUTF8(e.Expected, "\ufffd"))), jcs.M("actual", orNull(e.Actual)), jcs.M("code", orNull(e.Code)), jcs.M("message", jcs.Str(e.Message))))
	}
	return v
}

// cardObjects are the cards whose claims were executed again, and whose each of them is.
func (r *Report) cardObjects() jcs.Value {
	v := jcs.Arr()
	for i, c := range r.Claims.Cards {
		v.Items = append(v.Items, jcs.Obj(jcs.M("id", jcs.Str(c.ID)), jcs.M("name", jcs.Str(c.Name)), jcs.M("source", jcs.Str(sourceWords[r.Claims.Sources[i]])),
			jcs.M("claim_set_hash", jcs.Str(claim.SetHash([]claim.Card{c}))), jcs.M("claims", jcs.Int(int64(len(c.Claims))))))
	}
	return v
}

var sourceWords = map[pack.CardSource]string{pack.SourceBuiltIn: "builtin", pack.SourceLock: "lock", pack.SourceGiven: "caller", pack.SourceSigner: "signer"}

func (r *Report) signerObject() jcs.Value {
	if r.Manifest == nil {
		return jcs.Value{}
	}
	c, key := r.signer(), r.Manifest.SignerFingerprint()
	return jcs.Obj(
		jcs.M("id", jcs.Str(r.Manifest.SignerID)),
		jcs.M("fingerprint", jcs.Str(key.String())),
		jcs.M("pinned", jcs.Boolean(c.Word == "PINNED")),
		jcs.M("trust", jcs.Str(strings.ToLower(c.Word))))
}

func (r *Report) anchorObject() jcs.Value {
	log := r.Anchor.Verdict
	if logged(r.Result) {
		log = pack.Pass
	}
	v := jcs.Obj(jcs.M("verdict", jcs.Str(string(r.Anchor.Verdict))), jcs.M("log_verdict", jcs.Str(string(log))), jcs.M("time_verdict", jcs.Str(string(r.Anchor.Timed))))
	if r.Anchor.Verdict == pack.Fail {
		var errors []jcs.Value
		for _, f := range r.Findings.In(manifest.ChannelAnchor) {
			errors = append(errors, errorObject(f))
		}
		v.Members = append(v.Members, jcs.M("errors", jcs.Arr(errors...)))
	}
	if !logged(r.Result) {
		return v
	}
	witnesses := jcs.Arr()
	for _, c := range r.Anchor.Checkpoint.Cosignatures {
		witnesses.Items = append(witnesses.Items, object("name", c.Witness, "time", c.Time.UTC().Format(time.RFC3339)))
	}
	v.Members = append(v.Members,
		jcs.M("log", jcs.Str(r.Anchor.Checkpoint.Origin)),
		jcs.M("index", jcs.Int(r.Anchor.Entry.Index)),
		jcs.M("tree_size", jcs.Int(r.Anchor.Checkpoint.Size)),
		jcs.M("submitted_at", jcs.Str(r.Anchor.Entry.Entry.SubmittedAt.UTC().Format(time.RFC3339Nano))),
		jcs.M("cosignatures", witnesses))
	if t := r.Anchor.Time; t != nil {
		accuracy := jcs.Value{} // not stated
		if t.Accuracy > 0 {
			accuracy = jcs.Str(t.Accuracy.String())
		}
		v.Members = append(v.Members, jcs.M("timestamp", jcs.Obj(jcs.M("time", jcs.Str(t.Time.UTC().Format(time.RFC3339Nano))),
			jcs.M("accuracy", accuracy), jcs.M("authority", jcs.Loose(t.Signer)))))
	} else {
		v.Members = append(v.Members, jcs.M("timestamp", jcs.Value{}))
	}
	return v
}

// allFindings is one list for machines, with the channel and weight of each.
func (r *Report) allFindings() jcs.Value {
	return jcs.Arr(slices.Concat(Findings("error", r.Findings, r.Result.Lock.Findings, r.ExpectationFindings()).Items, Findings("warning", r.Warnings).Items)...)
}

// Findings are findings of one weight, error or warning, each with its channel.
func Findings(weight string, lists ...[]manifest.Finding) jcs.Value {
	v := jcs.Arr()
	for _, f := range slices.Concat(lists...) {
		o := errorObject(f)
		o.Members = append([]jcs.Member{jcs.M("channel", jcs.Str(string(f.Channel))), jcs.M("weight", jcs.Str(weight))}, o.Members...)
		v.Items = append(v.Items, o)
	}
	return v
}

// ciObject repeats the binding as it stands in the manifest, in its order.
func ciObject(b *manifest.CIBinding) jcs.Value {
	v := jcs.Obj()
	if b == nil {
		return v
	}
	for _, m := range []struct{ name, value string }{{"provider", b.Provider}, {"commit_sha", b.CommitSHA}, {"repo", b.Repo}, {"ref", b.Ref},
		{"run_id", b.RunID}, {"run_attempt", b.RunAttempt}, {"workflow_ref", b.WorkflowRef}, {"actor", b.Actor}} {
		if m.value != "" {
			v.Members = append(v.Members, jcs.M(m.name, jcs.Str(m.value)))
		}
	}
	return v
}

// object is an object of strings, from pairs of name and value.
func object(pairs ...string) jcs.Value {
	v := jcs.Obj()
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Members = append(v.Members, jcs.M(pairs[i], jcs.Loose(pairs[i+1])))
	}
	return v
}

func list(texts []string) jcs.Value {
	v := jcs.Arr()
	for _, s := range texts {
		v.Items = append(v.Items, jcs.Loose(s))
	}
	return v
}

// text is a string that need not be UTF-8, such as a path.
func orNull(s string) jcs.Value {
	if s == "" {
		return jcs.Value{}
	}
	return jcs.Str(s)
}

func digest(v jcs.Value) string {
	canonical, _ := jcs.AppendPack(nil, v) // of strings that are UTF-8, and null, there is always one
	return trust.Digest(sha256.Sum256(canonical)).String()
}

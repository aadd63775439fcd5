package pack

import (
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// reportFile is verify_report.json as a verifier reads it: what the builder says of the pack,
// of use only to catch it in a contradiction (verify.md §9). Both shapes of the report (pack.md §7) have these members.
type reportFile struct {
	value    jcs.Value // null if it could not be read
	claims   bool      // there is a claim_verification
	results  []claim.Result
	evidence []jcs.Value // evidence_receipt_ids of results, null where there are none
	found    manifest.Findings
}

// judgement is what a report says that follows from the attestation: a builder judges before it signs, so
// nothing was replayed and no trust was evaluated.
type judgement struct {
	members []jcs.Member // of the report, in the order of pack.md §7
	ran     jcs.Value    // scope.channels
	proves  []string     // all that scope.proves may hold
}

func judgementOf(a manifest.Attestation, root string) judgement {
	j := judgement{proves: []string{"pack_integrity", "signature_validity", "receipt_sequence_integrity"}}
	required, optional := []string{"integrity"}, []string{"replay", "trust"}
	claim := "ran"
	if a.ClaimCheck == manifest.ClaimsNone {
		optional, claim = append([]string{"claim"}, optional...), "not_evaluated"
	} else {
		required, j.proves = append(required, "claim"), append(j.proves, "claim_set_evaluated")
	}
	overall, reason, blocking := "PASS", "required_channels_passed; optional_channels_not_evaluated="+strings.Join(optional, ","), jcs.Value{}
	switch a.ClaimCheck {
	case manifest.ClaimsFail:
		overall, reason, blocking = "HONEST_FAIL", "claim_verdict=HONEST_FAIL", jcs.Str("claim")
	case manifest.ClaimsPass:
		j.proves = append(j.proves, "claim_set_satisfied")
	}
	j.ran = form.Strs("integrity", "ran", "claim", claim, "replay", "not_run", "trust", "not_evaluated")
	j.members = []jcs.Member{
		jcs.M("pack_root_sha256", jcs.Str(root)),
		jcs.M("pack_manifest_sha256", jcs.Value{}), // the manifest holds the hash of the report
		jcs.M("integrity_verdict", jcs.Str(map[string]string{"PASS": "PASS", "FAIL": "TAMPERED"}[a.ReceiptIntegrity])),
		jcs.M("claim_verdict", jcs.Str(claimWords[a.ClaimCheck])),
		jcs.M("replay_verdict", jcs.Str("NOT_RUN")),
		jcs.M("trust_verdict", jcs.Str("NOT_EVALUATED")),
		jcs.M("evaluation_profile", jcs.Str(strings.Join(required, "_")+"_required")),
		jcs.M("required_channels", form.Texts(required)),
		jcs.M("optional_channels", form.Texts(optional)),
		jcs.M("unevaluated_channels", form.Texts(optional)),
		jcs.M("overall_verdict", jcs.Str(overall)),
		jcs.M("overall_reason", jcs.Str(reason)),
		jcs.M("blocking_channel", blocking),
	}
	return j
}

// reportID is the report_id of PCK-32, "" without a canonical form.
func reportID(root, verifiedAt, claimVerdict, version string) string {
	sum := form.CanonicalHash(form.Strs(
		"pack_root_sha256", root, "verified_at", verifiedAt, "integrity_verdict", "PASS", "claim_verdict", claimVerdict,
		"replay_verdict", "NOT_RUN", "trust_verdict", "NOT_EVALUATED", "verifier_version", version))
	return "vr_" + sum[:min(20, len(sum))]
}

func (v *verifier) readReport(text []byte) {
	r := &v.report
	at := r.found.At(manifest.StageReport)
	value, err := form.Parse(text, form.MaxFile)
	if err != nil {
		at.Add(manifest.JSONCode(err), manifest.ReportName, "not strict JSON: %s", form.OneLine(err))
		return
	}
	if value.Kind != jcs.Object {
		at.Add(manifest.CodeManifestTamper, manifest.ReportName, "not an object")
		return
	}
	r.value = value
	claims := form.Get(value, "claim_verification")
	r.claims = claims.Kind != jcs.Null
	for i, item := range form.Get(claims, "results").Items {
		result, ok := readResult(item)
		if !ok {
			at.Add(manifest.CodeManifestTamper, manifest.ReportName, "claim_verification.results[%d] is not a claim result", i)
			return
		}
		r.results = append(r.results, result)
		r.evidence = append(r.evidence, form.Get(item, "evidence_receipt_ids"))
	}
}

func readResult(v jcs.Value) (claim.Result, bool) {
	r := claim.Result{ClaimID: form.Str(v, "claim_id"), Expected: form.Str(v, "expected"), Actual: form.Str(v, "actual"), Severity: claim.Severity(form.Str(v, "severity"))}
	for _, name := range []string{"claim_id", "expected", "actual", "severity"} {
		if form.Get(v, name).Kind != jcs.String {
			return r, false
		}
	}
	passed := form.Get(v, "passed")
	r.Passed = passed.Bool
	for _, id := range form.Get(v, "evidence_receipt_ids").Items {
		if len(r.Evidence) < 5 && id.Kind == jcs.String {
			r.Evidence = append(r.Evidence, claim.EvidenceID(id.Text))
		}
	}
	return r, passed.Kind == jcs.Bool
}

// checkReport is verify.md §9.
func (v *verifier) checkReport() {
	value, a := v.report.value, v.m.Attestation
	if value.Kind != jcs.Object {
		return // there is a finding about it already
	}
	agree := func(field string, ok bool) {
		if !ok {
			v.found.At(manifest.StageReport).Add(manifest.CodeManifestTamper, "verify_report."+field, "%s: %s is not what the manifest says", manifest.ReportName, field)
		}
	}
	agree("pack_id", form.Str(value, "pack_id") == a.PackID)
	agree("run_id", form.Str(value, "run_id") == a.RunID)
	n, ok := form.ReadCount(form.Get(value, "receipt_count"))
	agree("receipt_count", ok && n == a.NReceipts)
	head, hasHead := value.Get("head_hash")
	agree("head_hash", hasHead && (head.Text == a.HeadHash && head.Kind == jcs.String || head.Kind == jcs.Null && a.NReceipts == 0))
	passed := form.Get(value, "passed")
	agree("passed", passed.Kind == jcs.Bool && passed.Bool == (a.ReceiptIntegrity == "PASS"))

	// The members of the newer shape, where they are there.
	equal := func(in jcs.Value, name, want string) {
		if got, ok := in.Get(name); ok {
			agree(name, got.Kind == jcs.String && got.Text == want)
		}
	}
	expectations := form.Get(value, "expectations")
	equal(expectations, "policy_sha256", a.PolicyHash)
	equal(expectations, "claim_set_id", a.ClaimSetID)
	equal(expectations, "claim_set_hash", a.ClaimSetHash)
	v.checkForm(agree)
	v.checkVerifierWords(agree)
	v.checkJudgement(agree)
	v.checkReportedClaims(agree)
}

// checkForm is about the JSON types of what is compared member by member: a list that is a text or an object
// says something to a reader, and would say nothing to a comparison of its items.
func (v *verifier) checkForm(agree func(string, bool)) {
	value := v.report.value
	is := func(in jcs.Value, at, name string, kind jcs.Kind) jcs.Value {
		got, ok := in.Get(name)
		agree(at+name, !ok || got.Kind == kind)
		return got
	}
	each := func(in jcs.Value, at, name string, kind jcs.Kind) (items []jcs.Value) {
		list := is(in, at, name, jcs.Array)
		agree(at+name, !slices.ContainsFunc(list.Items, func(v jcs.Value) bool { return v.Kind != kind }))
		return list.Items
	}
	is(value, "", "verifier", jcs.Object)
	is(value, "", "expectations", jcs.Object)
	each(value, "", "evidence_refs", jcs.Object)
	each(value, "", "warnings", jcs.String)
	for _, c := range each(value, "", "checks", jcs.Object) {
		is(c, "checks.", "name", jcs.String)
		is(c, "checks.", "verdict", jcs.String)
	}
	for _, s := range each(value, "", "stages", jcs.Object) {
		is(s, "stages.", "stage", jcs.String)
		is(s, "stages.", "status", jcs.String)
	}
	for _, m := range is(value, "", "summary", jcs.Object).Members {
		agree("summary."+m.Name, m.Value.Kind == jcs.String)
	}
	scope := is(value, "", "scope", jcs.Object)
	for _, m := range scope.Members { // VFY-29
		agree("scope."+m.Name, slices.Contains([]string{"schema", "channels", "extensions", "proves", "does_not_prove", "note"}, m.Name))
	}
	each(scope, "scope.", "proves", jcs.String)
	each(scope, "scope.", "does_not_prove", jcs.String)
	if v.report.claims {
		is(value, "", "claim_verification", jcs.Object)
		is(form.Get(value, "claim_verification"), "claim_verification.", "results", jcs.Array)
	}
	for _, ids := range v.report.evidence {
		agree("claim_verification.results", ids.Kind == jcs.Null || ids.Kind == jcs.Array)
	}
}

// verifierMembers are what verify-pack prints and no builder can know when it writes its report (report.JSON).
var verifierMembers = []string{"command", "status", "exit_code", "path", "channels", "claim_check_is", "claims_reexecuted", "signer", "anchor",
	"manifest_sha256", "cards", "claims_can_fail", "max_age_hours", "gaps", "claim_gate", "lock_errors", "coverage", "expiry_status",
	"expectation_results", "findings", "artifacts", "trust", "trust_gate", "witness_errors", "witness_sufficiency"}

// checkVerifierWords refuses a report that poses as the judgement of a verifier. What follows from the pack may
// be repeated, and must agree.
func (v *verifier) checkVerifierWords(agree func(string, bool)) {
	value, a := v.report.value, v.m.Attestation
	for _, name := range verifierMembers {
		_, there := value.Get(name)
		agree(name, !there)
	}
	verdict := "PASS"
	if a.ClaimCheck == manifest.ClaimsFail {
		verdict = "HONEST_FAIL"
	}
	for name, want := range map[string]jcs.Value{"claim_check": jcs.Str(string(a.ClaimCheck)), "verdict": jcs.Str(verdict), "superseded_by": form.StrOrNull(a.SupersededBy)} {
		if got, ok := value.Get(name); ok {
			agree(name, python.Equal(&got, &want))
		}
	}
	claims := form.Get(value, "claim_verification")
	for _, name := range []string{"reexecuted", "verdict"} {
		_, there := claims.Get(name)
		agree("claim_verification."+name, !there)
	}
}

// checkJudgement compares what the newer shape says in words of its own with what is attested: a reader of
// the report alone must not learn another verdict than the pack's. Members that are absent say nothing. What
// cannot be recomputed stays the signer's word (docs/TRUST.md).
func (v *verifier) checkJudgement(agree func(string, bool)) {
	value, a := v.report.value, v.m.Attestation
	root := form.Str(v.m.Value(), "attestation_sha256")
	j := judgementOf(a, root)
	same := func(in jcs.Value, at, name string, want jcs.Value) {
		if got, ok := in.Get(name); ok {
			agree(at+name, python.Equal(&got, &want))
		}
	}
	for _, m := range j.members {
		same(value, "", m.Name, m.Value)
	}
	same(value, "", "verification_inputs_sha256", jcs.Str(root))
	same(value, "", "verifier_version", jcs.Str(a.VerifierVersion))
	same(value, "", "errors", jcs.Arr())
	same(value, "", "failure_mechanisms", jcs.Obj())
	version := form.Get(form.Get(value, "verifier"), "version")
	same(form.Get(value, "verifier"), "verifier.", "version", jcs.Str(a.VerifierVersion))
	if id, ok := value.Get("report_id"); ok {
		agree("report_id", id.Kind == jcs.String && id.Text == reportID(root, form.Str(value, "verified_at"), claimWords[a.ClaimCheck], version.Text))
	}
	if told := form.Get(value, "provenance"); told.Kind != jcs.Null {
		binding, none := form.Get(form.Get(v.m.Value(), "attestation"), "ci_binding"), jcs.Obj()
		agree("provenance", python.Equal(&told, &none) || python.Equal(&told, &binding))
	}
	for _, ref := range form.Get(value, "evidence_refs").Items {
		path, known := refs[form.Str(ref, "kind")]
		agree("evidence_refs", known && form.Str(ref, "path") == path && (path != manifest.Name || form.Get(ref, "sha256").Kind == jcs.Null))
		if sum := form.Str(ref, "sha256"); path == manifest.ReceiptsName && sum != v.m.FileSum(manifest.ReceiptsName) {
			v.warned.At(manifest.StageReport).Add(manifest.WarnReport, "verify_report.evidence_refs", "%s names receipts with the SHA-256 %s, which are not those of this pack", manifest.ReportName, form.Quote(sum))
		}
	}
	for _, c := range form.Get(value, "checks").Items {
		agree("checks", checkAgrees(form.Str(c, "name"), form.Str(c, "verdict"), claimWords[a.ClaimCheck]))
	}
	for _, s := range form.Get(value, "stages").Items {
		agree("stages", slices.Contains([]string{"", "ok", "skipped"}, form.Str(s, "status")) && pyTruthOr(s, "passed"))
	}
	for _, m := range form.Get(value, "summary").Members {
		means, known := sentences[plainSentence(m.Value.Text)]
		agree("summary."+m.Name, !known || means == m.Name+" "+verdictOf(m.Name, a))
	}
	v.checkScope(form.Get(value, "scope"), j, agree)
}

// refs are the kinds of evidence_refs, and the files that they are. The hash of the receipts only warns: the
// specification has honest packs whose report was written for other receipts under the same root (VFY-35).
var refs = map[string]string{"pack_manifest": manifest.Name, "receipt_pack": manifest.ReceiptsName}

// checkAgrees is about a check of a report whose pack is intact.
func checkAgrees(name, verdict, claimWord string) bool {
	switch strings.ToLower(name) {
	case "claim_check", "claim", "claims":
		return verdict == claimWord
	case "replay":
		return verdict == "NOT_RUN"
	case "trust", "signer", "anchor", "lock", "expectations", "coverage": // a builder judges none of them
		return verdict == "NOT_EVALUATED"
	}
	return verdict == "PASS" || verdict == "NOT_EVALUATED" || verdict == "NOT_RUN"
}

func pyTruthOr(v jcs.Value, name string) bool {
	got, ok := v.Get(name)
	return !ok || python.Truth(&got)
}

func verdictOf(channel string, a manifest.Attestation) string {
	switch channel {
	case "claim":
		return claimWords[a.ClaimCheck]
	case "replay":
		return "NOT_RUN"
	case "trust":
		return "NOT_EVALUATED"
	}
	return "PASS"
}

// plainSentence is a sentence whatever its case, its spaces and the marks behind it.
func plainSentence(s string) string {
	return strings.TrimRight(strings.ToLower(strings.Join(strings.Fields(s), " ")), ".! ")
}

// sentences are those that builders and verifiers put into a summary, and the verdict of which channel each
// stands for. Other sentences are free.
var sentences = plainSentences(map[string]string{
	"Manifest, file hashes, and signatures verified.":        "integrity PASS",
	"Evidence object integrity failed.":                      "integrity TAMPERED",
	"Evidence satisfied the evaluated claim set.":            "claim PASS",
	"Evidence was intact but did not satisfy the claim set.": "claim HONEST_FAIL",
	"No claim set was evaluated.":                            "claim NOT_EVALUATED",
	claimSentences[manifest.ClaimsPass]:                      "claim PASS",
	claimSentences[manifest.ClaimsFail]:                      "claim HONEST_FAIL",
	"Replay matched prior trace.":                            "replay MATCH",
	"Replay diverged from prior trace.":                      "replay DIVERGE",
	"Replay was not run.":                                    "replay NOT_RUN",
	"Signer and policy trust checks passed.":                 "trust PASS",
	"Signer or workflow trust checks failed.":                "trust UNTRUSTED",
	"Trust policy was not evaluated.":                        "trust NOT_EVALUATED",

	"The pack is not what was signed.":                                 "integrity TAMPERED",
	"The claims were executed again, and the evidence satisfies them.": "claim PASS",
	"The evidence does not satisfy the claims.":                        "claim HONEST_FAIL",
	"No claims were executed.":                                         "claim NOT_EVALUATED",
	"The key that signed is one of those that may.":                    "trust PASS",
	"The key that signed is none of those that may.":                   "trust UNTRUSTED",
})

func plainSentences(list map[string]string) map[string]string {
	plain := make(map[string]string, len(list))
	for s, means := range list {
		plain[plainSentence(s)] = means
	}
	return plain
}

func (v *verifier) checkScope(scope jcs.Value, j judgement, agree func(string, bool)) {
	if scope.Kind == jcs.Null {
		return
	}
	ran := form.Get(scope, "channels")
	agree("scope.channels", python.Equal(&ran, &j.ran))
	for _, word := range form.Get(scope, "proves").Items {
		agree("scope.proves", word.Kind == jcs.String && slices.Contains(j.proves, word.Text))
	}
	not := form.Get(scope, "does_not_prove").Items
	for _, word := range doesNotProve {
		agree("scope.does_not_prove", slices.ContainsFunc(not, func(v jcs.Value) bool { return v.Text == word }))
	}
}

// checkEvidence compares the receipts that the report names for each result with those that were found
// here. They are in no hash of the attestation, and a reader follows them: it is the report that is wrong, not
// what the claims come to.
func (v *verifier) checkEvidence(results []claim.Result) {
	for i, r := range results {
		if i >= len(v.report.results) || i >= len(v.report.evidence) {
			return
		}
		told, ids := v.report.results[i], v.report.evidence[i]
		if r.ClaimID != told.ClaimID {
			v.found.At(manifest.StageReport).Add(manifest.CodeManifestTamper, "verify_report.claim_verification.results", "%s: results[%d] is of %s, the claim there is %s", manifest.ReportName, i, form.Quote(told.ClaimID), form.Quote(r.ClaimID))
			return
		}
		if ids.Kind == jcs.Null || v.claims.claims[i].Check == claim.CoverageCheck {
			continue // those of coverage_contract are call sites of a file that no pack holds
		}
		if !slices.EqualFunc(ids.Items, r.Evidence, func(a jcs.Value, b string) bool { return claim.EvidenceID(a.Text) == b }) {
			v.found.At(manifest.StageReport).Add(manifest.CodeManifestTamper, "verify_report.claim_verification.results", "%s: results[%d] names other receipts as evidence than claim %s has", manifest.ReportName, i, form.Quote(r.ClaimID))
		}
	}
}

// claimWords are the claim_verdicts of a report for each claim_check.
var claimWords = map[manifest.ClaimCheck]string{manifest.ClaimsPass: "PASS", manifest.ClaimsFail: "HONEST_FAIL", manifest.ClaimsNone: "NOT_EVALUATED"}

func (v *verifier) checkReportedClaims(agree func(string, bool)) {
	a, results := v.m.Attestation, v.report.results
	agree("claim_verification", v.report.claims == (a.ClaimCheck != manifest.ClaimsNone))
	if !v.report.claims {
		return
	}
	claims := form.Get(v.report.value, "claim_verification")
	passed := 0
	for _, r := range results {
		if r.Passed {
			passed++
		}
	}
	number := func(name string, want int) {
		n, ok := form.ReadCount(form.Get(claims, name))
		agree("claim_verification."+name, ok && n == int64(want))
	}
	number("n_claims", len(results))
	number("n_passed", passed)
	number("n_failed", len(results)-passed)
	said := form.Get(claims, "passed")
	agree("claim_verification.passed", said.Kind == jcs.Bool && said.Bool == (a.ClaimCheck == manifest.ClaimsPass))
	agree("claim_verification.results", claimCheck(results) == a.ClaimCheck)
	// VFY-27: the fingerprint follows from the results, whatever the claims were.
	agree("claim_verification.discrepancy_fingerprint",
		form.Str(claims, "discrepancy_fingerprint") == a.DiscrepancyFingerprint && fingerprint(a, results) == a.DiscrepancyFingerprint)
}

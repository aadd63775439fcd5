package pack

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// reportFile is verify_report.json as a verifier reads it: what the builder says of the pack,
// of use only to catch it in a contradiction (H12, H13). Both shapes of pack.md §3.8 have these members.
type reportFile struct {
	value    jcs.Value // null if it could not be read
	claims   bool      // there is a claim_verification
	results  []ClaimResult
	evidence []jcs.Value // evidence_receipt_ids of results, null where there are none
	found    findings
}

// judgement is what a report says that follows from the attestation: a builder judges before it signs, so
// nothing was replayed and no trust was evaluated.
type judgement struct {
	members []jcs.Member // of the report, in the order of pack.md §3.8
	ran     jcs.Value    // scope.channels
	proves  []string     // all that scope.proves may hold
}

func judgementOf(a Attestation, root string) judgement {
	j := judgement{proves: []string{"pack_integrity", "signature_validity", "receipt_sequence_integrity"}}
	required, optional := []string{"integrity"}, []string{"replay", "trust"}
	claim := "ran"
	if a.ClaimCheck == "N/A" {
		optional, claim = append([]string{"claim"}, optional...), "not_evaluated"
	} else {
		required, j.proves = append(required, "claim"), append(j.proves, "claim_set_evaluated")
	}
	overall, reason, blocking := "PASS", "required_channels_passed; optional_channels_not_evaluated="+strings.Join(optional, ","), jcs.Value{}
	switch a.ClaimCheck {
	case "FAIL":
		overall, reason, blocking = "HONEST_FAIL", "claim_verdict=HONEST_FAIL", jcs.Str("claim")
	case "PASS":
		j.proves = append(j.proves, "claim_set_satisfied")
	}
	j.ran = strs("integrity", "ran", "claim", claim, "replay", "not_run", "trust", "not_evaluated")
	j.members = []jcs.Member{
		jcs.M("pack_root_sha256", jcs.Str(root)),
		jcs.M("pack_manifest_sha256", jcs.Value{}), // the manifest holds the hash of the report
		jcs.M("integrity_verdict", jcs.Str(map[string]string{"PASS": "PASS", "FAIL": "TAMPERED"}[a.ReceiptIntegrity])),
		jcs.M("claim_verdict", jcs.Str(claimWords[a.ClaimCheck])),
		jcs.M("replay_verdict", jcs.Str("NOT_RUN")),
		jcs.M("trust_verdict", jcs.Str("NOT_EVALUATED")),
		jcs.M("evaluation_profile", jcs.Str(strings.Join(required, "_")+"_required")),
		jcs.M("required_channels", texts(required)),
		jcs.M("optional_channels", texts(optional)),
		jcs.M("unevaluated_channels", texts(optional)),
		jcs.M("overall_verdict", jcs.Str(overall)),
		jcs.M("overall_reason", jcs.Str(reason)),
		jcs.M("blocking_channel", blocking),
	}
	return j
}

// reportID is the report_id of pack.md §3.8, "" without a canonical form.
func reportID(root, verifiedAt, claimVerdict, version string) string {
	sum := canonicalHash(strs(
		"pack_root_sha256", root, "verified_at", verifiedAt, "integrity_verdict", "PASS", "claim_verdict", claimVerdict,
		"replay_verdict", "NOT_RUN", "trust_verdict", "NOT_EVALUATED", "verifier_version", version))
	return "vr_" + sum[:min(20, len(sum))]
}

func (v *verifier) readReport(text []byte) {
	r := &v.report
	value, err := parse(text, maxFile)
	if err != nil {
		r.found.add(jsonCode(err), reportName, "not strict JSON: %s", oneLine(err))
		return
	}
	if value.Kind != jcs.Object {
		r.found.add(eTamper, reportName, "not an object")
		return
	}
	r.value = value
	claims := get(value, "claim_verification")
	r.claims = claims.Kind != jcs.Null
	for i, item := range get(claims, "results").Items {
		result, ok := readResult(item)
		if !ok {
			r.found.add(eTamper, reportName, "claim_verification.results[%d] is not a claim result", i)
			return
		}
		r.results = append(r.results, result)
		r.evidence = append(r.evidence, get(item, "evidence_receipt_ids"))
	}
}

func readResult(v jcs.Value) (ClaimResult, bool) {
	r := ClaimResult{ClaimID: str(v, "claim_id"), Expected: str(v, "expected"), Actual: str(v, "actual"), Severity: str(v, "severity")}
	for _, name := range []string{"claim_id", "expected", "actual", "severity"} {
		if get(v, name).Kind != jcs.String {
			return r, false
		}
	}
	passed := get(v, "passed")
	r.Passed = passed.Bool
	for _, id := range get(v, "evidence_receipt_ids").Items {
		if len(r.Evidence) < 5 && id.Kind == jcs.String {
			r.Evidence = append(r.Evidence, evidenceID(id.Text))
		}
	}
	return r, passed.Kind == jcs.Bool
}

// checkReport is H12 and H13.
func (v *verifier) checkReport() {
	value, a := v.report.value, v.m.Attestation
	if value.Kind != jcs.Object {
		return // there is a finding about it already
	}
	agree := func(field string, ok bool) {
		if !ok {
			v.found.add(eTamper, "verify_report."+field, "%s: %s is not what the manifest says", reportName, field)
		}
	}
	agree("pack_id", str(value, "pack_id") == a.PackID)
	agree("run_id", str(value, "run_id") == a.RunID)
	n, ok := readCount(get(value, "receipt_count"))
	agree("receipt_count", ok && n == a.NReceipts)
	head, hasHead := value.Get("head_hash")
	agree("head_hash", hasHead && (head.Text == a.HeadHash && head.Kind == jcs.String || head.Kind == jcs.Null && a.NReceipts == 0))
	passed := get(value, "passed")
	agree("passed", passed.Kind == jcs.Bool && passed.Bool == (a.ReceiptIntegrity == "PASS"))

	// The members of the newer shape, where they are there.
	equal := func(in jcs.Value, name, want string) {
		if got, ok := in.Get(name); ok {
			agree(name, got.Kind == jcs.String && got.Text == want)
		}
	}
	expectations := get(value, "expectations")
	equal(expectations, "policy_sha256", a.PolicyHash)
	equal(expectations, "claim_set_id", a.ClaimSetID)
	equal(expectations, "claim_set_hash", a.ClaimSetHash)
	v.checkJudgement(agree)
	v.checkReportedClaims(agree)
}

// checkJudgement compares what the newer shape says in words of its own with what is attested: a reader of
// the report alone must not learn another verdict than the pack's. Members that are absent say nothing. What
// cannot be recomputed stays the signer's word (docs/TRUST.md).
func (v *verifier) checkJudgement(agree func(string, bool)) {
	value, a := v.report.value, v.m.Attestation
	root := str(v.m.value, "attestation_sha256")
	j := judgementOf(a, root)
	same := func(in jcs.Value, at, name string, want jcs.Value) {
		if got, ok := in.Get(name); ok {
			agree(at+name, pyEqual(&got, &want))
		}
	}
	for _, m := range j.members {
		same(value, "", m.Name, m.Value)
	}
	same(value, "", "verification_inputs_sha256", jcs.Str(root))
	same(value, "", "verifier_version", jcs.Str(a.VerifierVersion))
	same(value, "", "errors", jcs.Arr())
	same(value, "", "failure_mechanisms", jcs.Obj())
	version := get(get(value, "verifier"), "version")
	same(get(value, "verifier"), "verifier.", "version", jcs.Str(a.VerifierVersion))
	if id, ok := value.Get("report_id"); ok {
		agree("report_id", id.Kind == jcs.String && id.Text == reportID(root, str(value, "verified_at"), claimWords[a.ClaimCheck], version.Text))
	}
	if told := get(value, "provenance"); told.Kind != jcs.Null {
		binding, none := get(get(v.m.value, "attestation"), "ci_binding"), jcs.Obj()
		agree("provenance", pyEqual(&told, &none) || pyEqual(&told, &binding))
	}
	for _, ref := range get(value, "evidence_refs").Items {
		path, known := refs[str(ref, "kind")]
		agree("evidence_refs", known && str(ref, "path") == path && (path != manifestName || get(ref, "sha256").Kind == jcs.Null))
		if sum := str(ref, "sha256"); path == receiptsName && sum != v.m.fileSum(receiptsName) {
			v.warned.add(wReport, "verify_report.evidence_refs", "%s names receipts with the SHA-256 %s, which are not those of this pack", reportName, quote(sum))
		}
	}
	for _, c := range get(value, "checks").Items {
		agree("checks", checkAgrees(str(c, "name"), str(c, "verdict"), claimWords[a.ClaimCheck]))
	}
	for _, s := range get(value, "stages").Items {
		agree("stages", slices.Contains([]string{"", "ok", "skipped"}, str(s, "status")) && pyTruthOr(s, "passed"))
	}
	for _, m := range get(value, "summary").Members {
		means, known := sentences[m.Value.Text]
		agree("summary."+m.Name, !known || means == m.Name+" "+verdictOf(m.Name, a))
	}
	v.checkScope(get(value, "scope"), j, agree)
}

// refs are the kinds of evidence_refs, and the files that they are. The hash of the receipts only warns: the
// specification has honest packs whose report was written for other receipts under the same root (pack.md W1).
var refs = map[string]string{"pack_manifest": manifestName, "receipt_pack": receiptsName}

func (m *Manifest) fileSum(name string) string {
	for _, f := range m.Files {
		if f.Path == name {
			return hex.EncodeToString(f.SHA256[:])
		}
	}
	return ""
}

// checkAgrees is about a check of a report whose pack is intact.
func checkAgrees(name, verdict, claimWord string) bool {
	switch name {
	case "claim_check":
		return verdict == claimWord
	case "replay":
		return verdict == "NOT_RUN"
	case "trust":
		return verdict == "NOT_EVALUATED"
	}
	return verdict == "PASS" || verdict == "NOT_EVALUATED" || verdict == "NOT_RUN"
}

func pyTruthOr(v jcs.Value, name string) bool {
	got, ok := v.Get(name)
	return !ok || pyTruth(&got)
}

func verdictOf(channel string, a Attestation) string {
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

// sentences are those that builders put into a summary, and the verdict of which channel each stands for.
// Other sentences are free.
var sentences = map[string]string{
	"Manifest, file hashes, and signatures verified.":        "integrity PASS",
	"Evidence object integrity failed.":                      "integrity TAMPERED",
	"Evidence satisfied the evaluated claim set.":            "claim PASS",
	"Evidence was intact but did not satisfy the claim set.": "claim HONEST_FAIL",
	"No claim set was evaluated.":                            "claim NOT_EVALUATED",
	claimSentences["PASS"]:                                   "claim PASS",
	claimSentences["FAIL"]:                                   "claim HONEST_FAIL",
	"Replay matched prior trace.":                            "replay MATCH",
	"Replay diverged from prior trace.":                      "replay DIVERGE",
	"Replay was not run.":                                    "replay NOT_RUN",
	"Signer and policy trust checks passed.":                 "trust PASS",
	"Signer or workflow trust checks failed.":                "trust UNTRUSTED",
	"Trust policy was not evaluated.":                        "trust NOT_EVALUATED",
}

func (v *verifier) checkScope(scope jcs.Value, j judgement, agree func(string, bool)) {
	if scope.Kind == jcs.Null {
		return
	}
	ran := get(scope, "channels")
	agree("scope.channels", pyEqual(&ran, &j.ran))
	for _, word := range get(scope, "proves").Items {
		agree("scope.proves", word.Kind == jcs.String && slices.Contains(j.proves, word.Text))
	}
	not := get(scope, "does_not_prove").Items
	for _, word := range doesNotProve {
		agree("scope.does_not_prove", slices.ContainsFunc(not, func(v jcs.Value) bool { return v.Text == word }))
	}
}

// checkEvidence compares the receipts that the report names for each result with those that were found
// here. They are in no hash of the attestation, and a reader follows them.
func (v *verifier) checkEvidence(results []ClaimResult) {
	for i, r := range results {
		if i >= len(v.report.results) || i >= len(v.report.evidence) {
			return
		}
		told, ids := v.report.results[i], v.report.evidence[i]
		if r.ClaimID != told.ClaimID {
			v.found.add(eTamper, "verify_report.claim_verification.results", "%s: results[%d] is of %s, the claim there is %s", reportName, i, quote(told.ClaimID), quote(r.ClaimID))
			return
		}
		if ids.Kind == jcs.Null || v.claims.claims[i].Check == coverageCheck {
			continue // those of coverage_contract are call sites of a file that no pack holds
		}
		if !slices.EqualFunc(ids.Items, r.Evidence, func(a jcs.Value, b string) bool { return evidenceID(a.Text) == b }) {
			v.found.add(eTamper, "verify_report.claim_verification.results", "%s: results[%d] names other receipts as evidence than claim %s has", reportName, i, quote(r.ClaimID))
		}
	}
}

// claimWords are the claim_verdicts of a report for each claim_check.
var claimWords = map[string]string{"PASS": "PASS", "FAIL": "HONEST_FAIL", "N/A": "NOT_EVALUATED"}

func (v *verifier) checkReportedClaims(agree func(string, bool)) {
	a, results := v.m.Attestation, v.report.results
	agree("claim_verification", v.report.claims == (a.ClaimCheck != "N/A"))
	if !v.report.claims {
		return
	}
	claims := get(v.report.value, "claim_verification")
	passed := 0
	for _, r := range results {
		if r.Passed {
			passed++
		}
	}
	number := func(name string, want int) {
		n, ok := readCount(get(claims, name))
		agree("claim_verification."+name, ok && n == int64(want))
	}
	number("n_claims", len(results))
	number("n_passed", passed)
	number("n_failed", len(results)-passed)
	said := get(claims, "passed")
	agree("claim_verification.passed", said.Kind == jcs.Bool && said.Bool == (a.ClaimCheck == "PASS"))
	agree("claim_verification.results", claimVerdict(results) == a.ClaimCheck)
	// H13: the fingerprint follows from the results, whatever the claims were.
	agree("claim_verification.discrepancy_fingerprint",
		str(claims, "discrepancy_fingerprint") == a.DiscrepancyFingerprint && fingerprint(a, results) == a.DiscrepancyFingerprint)
}

package pack

import (
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// reportFile is verify_report.json as a verifier reads it: what the builder says of the pack,
// of use only to catch it in a contradiction (H12, H13). Both shapes of pack.md §3.8 have these members.
type reportFile struct {
	value   jcs.Value // null if it could not be read
	claims  bool      // there is a claim_verification
	results []ClaimResult
	found   findings
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
			r.Evidence = append(r.Evidence, id.Text)
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
	equal(value, "pack_root_sha256", str(v.m.value, "attestation_sha256"))
	equal(value, "integrity_verdict", map[string]string{"PASS": "PASS", "FAIL": "TAMPERED"}[a.ReceiptIntegrity])
	equal(value, "claim_verdict", claimWords[a.ClaimCheck])
	expectations := get(value, "expectations")
	equal(expectations, "policy_sha256", a.PolicyHash)
	equal(expectations, "claim_set_id", a.ClaimSetID)
	equal(expectations, "claim_set_hash", a.ClaimSetHash)
	v.checkReportedClaims(agree)
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

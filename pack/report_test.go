package pack

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// reporting is the pack with members of its report changed (path, value, path, value…), signed again, with a
// report_id that follows from the rest unless it is changed itself.
func reporting(t testing.TB, files memoryFS, changes ...any) memoryFS {
	t.Helper()
	report := jcstest.Parse(t, string(files[manifest.ReportName]))
	lied := false
	for i := 0; i < len(changes); i += 2 {
		report = put(report, changes[i].(string), changes[i+1].(jcs.Value))
		lied = lied || changes[i] == "report_id"
	}
	if !lied {
		seed := jcs.Obj()
		for _, name := range []string{"pack_root_sha256", "verified_at", "integrity_verdict", "claim_verdict", "replay_verdict", "trust_verdict"} {
			seed.Members = append(seed.Members, jcs.M(name, form.Get(report, name)))
		}
		seed.Members = append(seed.Members, jcs.M("verifier_version", form.Get(form.Get(report, "verifier"), "version")))
		report = jcstest.Set(report, "report_id", jcs.Str("vr_"+form.CanonicalHash(seed)[:20]))
	}
	files = maps.Clone(files)
	files[manifest.ReportName] = jcstest.Plain(report)
	return resign(t, files, jcstest.Parse(t, string(files[manifest.Name])), testSigner)
}

// put is set for a member that may not be there yet.
func put(v jcs.Value, path string, to jcs.Value) jcs.Value {
	name, rest, nested := strings.Cut(path, ".")
	old, there := v.Get(name)
	switch {
	case nested:
		return jcstest.Set(v, name, put(old, rest, to))
	case there:
		return jcstest.Set(v, name, to)
	}
	v.Members = append(slices.Clone(v.Members), jcs.M(name, to))
	return v
}

func words(list ...string) jcs.Value { return form.Texts(list) }

// A reader of the report alone must not learn another verdict than the pack's: each contradiction is
// tampering, and names its member.
// PCK-32, VFY-32, VFY-33, VFY-34, VFY-35, VFY-36, VFY-38, VFY-39, VFY-46
func TestAReportThatContradictsItsPackIsTampering(t *testing.T) {
	s := smallSpec(t)
	s.Receipts = s.Receipts[1:] // no guardian verdict: one claim fails
	failing := mustBuild(t, s).FS().(memoryFS)
	s = smallSpec(t)
	s.Cards = nil
	plainPack := mustBuild(t, s).FS().(memoryFS)
	result := form.Get(form.Get(jcstest.Parse(t, string(failing[manifest.ReportName])), "claim_verification"), "results").Items
	other := func(i int, name string, to jcs.Value) jcs.Value {
		items := slices.Clone(result)
		items[i] = jcstest.Set(items[i], name, to)
		return jcs.Arr(items...)
	}
	named := slices.IndexFunc(result, func(v jcs.Value) bool { return len(form.Get(v, "evidence_receipt_ids").Items) > 0 })
	pass, zeros := jcs.Str("PASS"), jcs.Str(strings.Repeat("0", 64))
	check := func(name, verdict string) jcs.Value { return jcs.Arr(form.Strs("name", name, "verdict", verdict)) }
	for _, c := range []struct {
		files memoryFS
		path  string
		to    jcs.Value
	}{
		{failing, "pack_root_sha256", jcs.Str("x")}, {failing, "pack_manifest_sha256", zeros},
		{failing, "integrity_verdict", jcs.Str("TAMPERED")}, {failing, "claim_verdict", pass}, {plainPack, "claim_verdict", pass},
		{failing, "replay_verdict", jcs.Str("MATCH")}, {failing, "trust_verdict", pass},
		{failing, "evaluation_profile", jcs.Str("integrity_claim_replay_trust_required")},
		{failing, "required_channels", words("integrity")}, {failing, "optional_channels", words()}, {failing, "unevaluated_channels", words()},
		{failing, "overall_verdict", pass}, {plainPack, "overall_verdict", jcs.Str("HONEST_FAIL")},
		{failing, "overall_reason", jcs.Str("required_channels_passed")}, {failing, "blocking_channel", jcs.Value{}},
		{failing, "report_id", jcs.Str("vr_00000000000000000000")}, {failing, "verifier.version", jcs.Str("9.9.9")},
		{failing, "verification_inputs_sha256", zeros}, {failing, "provenance", form.Strs("provider", "github_actions")},
		{failing, "evidence_refs", jcs.Arr(form.Strs("kind", "witness", "path", "x", "sha256", zeros.Text))},
		{failing, "evidence_refs", jcs.Arr(form.Strs("kind", "pack_manifest", "path", manifest.Name, "sha256", zeros.Text))},
		{failing, "evidence_refs", jcs.Arr(form.Strs("kind", "receipt_pack", "path", "../receipt_pack.jsonl", "sha256", zeros.Text))},
		{failing, "checks", check("claim_check", "PASS")}, {failing, "checks", check("replay", "MATCH")}, {failing, "checks", check("trust", "PASS")},
		{failing, "checks", check("receipt_pack_integrity", "TAMPERED")},
		{failing, "summary.claim", jcs.Str("Evidence satisfied the evaluated claim set.")}, {failing, "summary.claim", jcs.Str("The receipts satisfy the claim set.")},
		{failing, "summary.replay", jcs.Str("Replay matched prior trace.")}, {failing, "summary.trust", jcs.Str("Signer and policy trust checks passed.")},
		{failing, "summary.integrity", jcs.Str("Evidence object integrity failed.")},
		{failing, "scope.channels", form.Strs("integrity", "ran", "claim", "ran", "replay", "ran", "trust", "ran")},
		{failing, "scope.proves", words("claim_set_satisfied")}, {plainPack, "scope.proves", words("claim_set_evaluated")}, {failing, "scope.proves", words("output_correctness")},
		{failing, "scope.does_not_prove", words("output_safety")},
		{failing, "errors", words("x")}, {failing, "passed", jcs.Boolean(false)}, {failing, "receipt_count", jcs.Int(7)}, {failing, "head_hash", zeros},
		{failing, "claim_verification.results", other(named, "evidence_receipt_ids", words("r_elsewhere"))},
		{failing, "claim_verification.results", other(named, "evidence_receipt_ids", words())},
		{failing, "claim_verification.results", jcs.Arr(result[2], result[0], result[1])},
	} {
		r := wantTampered(t, c.path, reporting(t, c.files, c.path, c.to))
		top, _, _ := strings.Cut(c.path, ".")
		if c.path == "pack_root_sha256" || strings.Contains(c.path, "results") {
			top = c.path
		}
		if !slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return strings.HasPrefix(f.Field, "verify_report."+top) }) {
			t.Errorf("%s: no finding names it: %v", c.path, r.Findings)
		}
	}
}

// A member that is compared item by item says something to a reader whatever its JSON type: another type than the
// format's is a contradiction. And a builder's report does not speak as a verifier.
// VFY-28, VFY-29, VFY-30, VFY-31, VFY-37
func TestAReportOfOtherTypesOrWithAVerifiersWordsIsTampering(t *testing.T) {
	s := smallSpec(t)
	s.Receipts = s.Receipts[1:] // one claim fails
	failing, passing := mustBuild(t, s).FS().(memoryFS), mustBuild(t, smallSpec(t)).FS().(memoryFS)
	yes := jcs.Boolean(true)
	claims := jcs.Obj(jcs.M("claim_set_satisfied", yes), jcs.M("output_safety", yes))
	result := form.Get(form.Get(jcstest.Parse(t, string(failing[manifest.ReportName])), "claim_verification"), "results").Items
	none := slices.IndexFunc(result, func(v jcs.Value) bool { return len(form.Get(v, "evidence_receipt_ids").Items) == 0 })
	odd := slices.Clone(result)
	odd[none] = jcstest.Set(odd[none], "evidence_receipt_ids", form.Strs("x", "r_fake"))
	for path, list := range map[string][]jcs.Value{
		"checks":                        {form.Strs("claim_check", "PASS"), jcs.Str("claim_check PASS"), jcs.Arr(jcs.Arr(form.Strs("name", "claim_check", "verdict", "PASS"))), jcs.Arr(form.Strs("name", "Claim_check", "verdict", "PASS")), jcs.Arr(form.Strs("name", "claims", "verdict", "PASS")), jcs.Arr(form.Strs("name", "signer", "verdict", "PASS"))},
		"stages":                        {form.Strs("validate_schema", "fail"), jcs.Str("all ok"), jcs.Arr(jcs.Obj(jcs.M("stage", jcs.Str("x")), jcs.M("status", jcs.Arr(jcs.Str("fail")))))},
		"scope.proves":                  {claims, jcs.Str("claim_set_satisfied, output_safety"), jcs.Arr(words("claim_set_satisfied"))},
		"scope.does_not_prove":          {jcs.Str("nothing"), jcs.Obj()},
		"scope":                         {jcs.Str("all proven"), yes},
		"scope.proven":                  {words("output_safety")},
		"summary":                       {jcs.Str("PASS"), words("The receipts satisfy the claim set.")},
		"summary.claim":                 {form.Strs("text", "The receipts satisfy the claim set."), jcs.Str("The receipts satisfy the claim set. "), jcs.Str("the claims were executed again,  and the evidence satisfies them")},
		"summary.trust":                 {jcs.Str("The key that signed is one of those that may.")},
		"evidence_refs":                 {form.Strs(manifest.Name, "00"), jcs.Arr(jcs.Str(manifest.Name))},
		"errors":                        {jcs.Str("boom"), jcs.Obj()},
		"warnings":                      {jcs.Str("x"), jcs.Arr(jcs.Obj())},
		"verifier":                      {jcs.Str("assay")},
		"expectations":                  {jcs.Str("x")},
		"claim_verification.results":    {jcs.Arr(odd...), jcs.Obj()},
		"claim_verification.reexecuted": {yes},
		"claim_check":                   {jcs.Str("PASS"), yes},
		"verdict":                       {jcs.Str("PASS")},
		"channels":                      {form.Strs("integrity", "PASS", "claims", "PASS")},
		"claims_reexecuted":             {yes},
		"signer":                        {jcs.Obj(jcs.M("pinned", yes))},
		"anchor":                        {form.Strs("verdict", "PASS")},
		"status":                        {jcs.Str("ok")},
		"gaps":                          {jcs.Arr()},
		"superseded_by":                 {jcs.Str("pack_x")},
	} {
		for _, to := range list {
			wantTampered(t, path+" "+python.Repr(to), reporting(t, failing, path, to))
		}
	}
	for path, to := range map[string]jcs.Value{"claim_check": jcs.Str("PASS"), "verdict": jcs.Str("PASS"), "superseded_by": {}} {
		if r := mustVerify(t, reporting(t, passing, path, to), Options{Now: builtAt}); r.ExitCode() != 0 {
			t.Errorf("%s that agrees: %v", path, r.Findings)
		}
	}
}

// What cannot be recomputed is the signer's word, and so are sentences of his own.
func TestWhatAReportSaysBeyondItsPackIsTheSignersWord(t *testing.T) {
	files := mustBuild(t, smallSpec(t)).FS().(memoryFS)
	for path, to := range map[string]jcs.Value{
		"verified_at": jcs.Str("2030-01-01T00:00:00+00:00"), "verifier.name": jcs.Str("mine"), "summary.claim": jcs.Str("All is well."),
		"summary": jcs.Obj(), "warnings": words("x"), "schema_version": jcs.Str("v0.2"), "verifier_config_sha256": jcs.Str("x"),
		"scope.note": jcs.Str("x"), "checks": jcs.Arr(form.Strs("name", "mine", "verdict", "PASS")), "evidence_refs": jcs.Arr(),
	} {
		if r := mustVerify(t, reporting(t, files, path, to), Options{Now: builtAt, RequireClaims: true}); r.ExitCode() != 0 {
			t.Errorf("%s: exit %d, %v", path, r.ExitCode(), r.Findings)
		}
	}
	// The specification has honest packs like this: the hash of the receipts only warns.
	refs := jcs.Arr(form.Strs("kind", "receipt_pack", "path", manifest.ReceiptsName, "sha256", strings.Repeat("0", 64)))
	r := mustVerify(t, reporting(t, files, "evidence_refs", refs), Options{Now: builtAt})
	if r.ExitCode() != 0 || !slices.ContainsFunc(r.Warnings, func(f manifest.Finding) bool { return f.Code == manifest.WarnReport }) {
		t.Errorf("evidence_refs: exit %d, %v", r.ExitCode(), r.Warnings)
	}
}

package pack

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
)

// CLM-2: a claim_set_hash does not tell 1 from 1.0, so their results have one text.
func TestOneClaimSetHashHasOneResult(t *testing.T) {
	var of []manifest.Attestation
	for _, params := range []string{`{"min_count":1}`, `{"min_count":1.0}`, `{"min_count":10e-1}`} {
		s := smallSpec(t)
		s.Cards = []claim.Card{packtest.OneCard(t, "receipt_count_ge", params)}
		of = append(of, mustBuild(t, s).Manifest.Attestation)
	}
	for _, a := range of[1:] {
		if a.ClaimSetHash != of[0].ClaimSetHash || a.DiscrepancyFingerprint != of[0].DiscrepancyFingerprint {
			t.Errorf("%s has the results %s, and %s", a.ClaimSetHash, a.DiscrepancyFingerprint, of[0].DiscrepancyFingerprint)
		}
	}
}

// withFile is the pack with another file in the place of one.
func withFile(p *Pack, name, text string) *Pack {
	changed := &Pack{Manifest: p.Manifest, Files: slices.Clone(p.Files)}
	for i, f := range changed.Files {
		if f.Name == name {
			changed.Files[i].Data = []byte(text)
		}
	}
	return changed
}

// VFY-40
func TestAnotherSpellingOfTheSidecarChangesNoVerdict(t *testing.T) {
	s := smallSpec(t)
	s.Cards = []claim.Card{
		packtest.OneCard(t, "receipt_count_ge", `{"min_count":1.0}`),
		packtest.OneCard(t, "field_value_matches", `{"receipt_type":"model_call","field_name":"x","expected_value":{"b":[1,-0,1e16],"a":null}}`),
	}
	s.Receipts = []jcs.Value{jcstest.Parse(t, `{"receipt_id":"r","type":"model_call","timestamp":"2026-01-15T10:00:00+00:00","x":{"a":null,"b":[1,0,1e16]}}`)}
	p := mustBuild(t, s)
	const sidecar = `[{"card_id":"acme.card","name":"Acme","claims":[
		{"claim_id":"c","check":"receipt_count_ge","params":{"min_count":%s}},
		{"claim_id":"c","check":"field_value_matches","params":{"receipt_type":"model_call","expected_value":%s,"field_name":"x"}}]}]`
	for _, text := range []string{
		string(p.file(manifest.CardsName)),
		fmt.Sprintf(sidecar, "1", `{"a":null,"b":[1,0,10000000000000000]}`),
		fmt.Sprintf(sidecar, "1.0", `{"b":[1.0,-0.0,1e16],"a":null}`),
		fmt.Sprintf(sidecar, "10e-1", `{"a":null,"b":[1,0.0,1.0e16]}`),
	} {
		r := mustVerify(t, withFile(p, manifest.CardsName, text).FS(), Options{Now: builtAt, RequireClaims: true})
		if r.ExitCode() != 0 || !r.Claims.Reexecuted || len(r.Warnings) != 0 {
			t.Errorf("%s: exit %d, %+v %+v", text, r.ExitCode(), r.Findings, r.Warnings)
		}
	}
	other := fmt.Sprintf(sidecar, "1", `{"a":null,"b":[1,0,10000000000000002]}`)
	if r := mustVerify(t, withFile(p, manifest.CardsName, other).FS(), Options{Now: builtAt, RequireClaims: true}); r.ExitCode() != 1 || r.Claims.Reexecuted {
		t.Errorf("other claims: exit %d", r.ExitCode())
	}
}

// The reference keeps to the spelling of a card: with min_count 1.0 its results say ">= 1.0 receipts". Whoever
// gives the definitions may have spelled them otherwise, and the hash does not tell.
// CLM-27
func TestABuilderThatKeepsToTheSpellingOfItsCardsIsNoLiar(t *testing.T) {
	const matches = `{"receipt_type":"model_call","field_name":"x","expected_value":%s}`
	for _, test := range []struct {
		check, params, attested, given string
		problem                        bool
	}{
		{"receipt_count_ge", `{"min_count":%s}`, "1.0", "1.0", false},
		{"receipt_count_ge", `{"min_count":%s}`, "1", "1.0", false},
		{"receipt_count_ge", `{"min_count":%s}`, "1.0", "1", false},
		{"receipt_count_ge", `{"min_count":%s}`, "1e16", "10000000000000000", false},
		{"receipt_count_ge", `{"min_count":%s}`, "2.0", "1.0", true},
		{"field_value_matches", matches, `{"b":[1.0,"é"],"a":null}`, `{"a":null,"b":[1,"é"]}`, false},
		{"field_value_matches", matches, `{"b":1,"a":2}`, `{"a":1,"b":2}`, true},
		{"field_value_matches", matches, `"1.0"`, `"1"`, true},
		{"field_value_matches", matches, `true`, `1`, true},
		{"no_receipt_type", `{"receipt_type":%s}`, `1.0`, `1`, false},
	} {
		card := packtest.OneCard(t, test.check, fmt.Sprintf(test.params, test.attested))
		attested := claim.NewRun(card.Claims)
		card.Claims[0].Params = jcstest.Parse(t, fmt.Sprintf(test.params, test.given))
		d := newDefinition([]claim.Card{card})
		for _, run := range []*claim.Run{attested, d.run} {
			run.Add(jcstest.Parse(t, receiptOf(0)))
		}
		if found := contradictionOf(d, attested.Results()); (len(found) > 0) != test.problem {
			t.Errorf("%+v: %+v", test, found)
		}
	}
}

// contradictionOf is what reexecute finds of a pack that attests these results.
func contradictionOf(d *definition, attested []claim.Result) manifest.Findings {
	v := &verifier{r: &Result{}, m: &manifest.Manifest{}, claims: d}
	v.report.results = attested
	v.m.Attestation.ClaimCheck = claimCheck(attested)
	v.m.Attestation.DiscrepancyFingerprint = fingerprint(v.m.Attestation, attested)
	v.reexecute()
	return v.found
}

// What the reference attests (assay-ai 1.24.0, Python 3.11) of claims and receipts that nobody means and it
// takes all the same. Whoever signs that is honest: it must not be called tampered.
func TestWhatTheReferenceAttestsOfOddClaimsIsNoTampering(t *testing.T) {
	const calls = `{"receipt_id":"r0","type":"model_call","timestamp":"2026-01-15T10:00:00+00:00"}`
	snapshot := func(posture string) string {
		return `{"receipt_id":"r1","type":"governance_posture_snapshot","evaluated_at":"2026-01-15T10:00:00Z"` + posture + `}`
	}
	const none = "no governance_posture_snapshot found (pack predates posture embedding)"
	for _, test := range []struct {
		check, params, receipt, expected, actual string
		passed                                   bool
	}{
		{"posture_eligible", `{}`, snapshot(`,"posture":null`), "governance posture CLEAN (embedded in pack)", none, false},
		{"posture_eligible", `{}`, snapshot(``), "governance posture >= CLEAN", "governance posture UNKNOWN", false},
		{"posture_eligible", `{}`, snapshot(`,"posture":1`), "governance posture >= CLEAN", "governance posture 1.0", false},
		{"posture_eligible", `{}`, snapshot(`,"posture":true`), "governance posture >= CLEAN", "governance posture True", false},
		{"posture_eligible", `{"required_posture":null}`, snapshot(`,"posture":"CLEAN"`), "governance posture >= None", "governance posture CLEAN", true},
		{"posture_eligible", `{"required_posture":2}`, snapshot(`,"posture":"CLEAN"`), "governance posture >= 2.0", "governance posture CLEAN", true},
		{"posture_eligible", `{"required_posture":false}`, snapshot(`,"posture":"DEBT_OVERDUE"`), "governance posture >= False", "governance posture DEBT_OVERDUE", false},
		{"posture_eligible", `{"required_posture":["x",1]}`, calls, "governance posture ['x', 1.0] (embedded in pack)", none, false},
		{"field_value_matches", `{"receipt_type":"model_call","field_name":7,"expected_value":null}`, calls, "all 'model_call' receipts: 7=None", "0 mismatches out of 1", true},
		{"field_value_matches", `{"receipt_type":"model_call","field_name":null,"expected_value":1}`, calls, "all 'model_call' receipts: None=1", "1 mismatches out of 1", false},
		// Its releases before 1.18 do not know the check.
		{"posture_eligible", `{}`, snapshot(`,"posture":"CLEAN"`), "check function 'posture_eligible' exists", claim.UnknownCheck, false},
		// Python 3.11 does not know U+1FAE8 yet and escapes it.
		{"field_value_matches", `{"receipt_type":"model_call","field_name":"x","expected_value":"\ud83e\udee8"}`, calls, `all 'model_call' receipts: x='\U0001fae8'`, "1 mismatches out of 1", false},
		// It looks at a receipt before signatures and hashes are dropped from it.
		{"field_value_matches", `{"receipt_type":"model_call","field_name":"receipt_hash","expected_value":"h"}`, calls, "all 'model_call' receipts: receipt_hash='h'", "0 mismatches out of 1", true},
	} {
		d := newDefinition([]claim.Card{packtest.OneCard(t, test.check, test.params)})
		d.run.Add(jcstest.Parse(t, test.receipt))
		attested := claim.Result{ClaimID: "c", Severity: "critical", Expected: test.expected, Actual: test.actual, Passed: test.passed}
		if found := contradictionOf(d, []claim.Result{attested}); len(found) > 0 {
			t.Errorf("%s %s: %+v; here it comes to %+v", test.check, test.params, found, d.run.Results())
		}
		attested.Actual += "!"
		if found := contradictionOf(d, []claim.Result{attested}); len(found) == 0 && !d.claims[0].ReadsProjected() {
			t.Errorf("%s %s: other words than those are no tampering", test.check, test.params)
		}
	}
}

// Nothing signed covers the ids and names of cards, and locks are made of them.
func TestTheSidecarDoesNotCutAndRenameTheCardsThatWeKnow(t *testing.T) {
	p := mustBuild(t, smallSpec(t))
	var claims []jcs.Value
	for _, c := range smallSpec(t).Cards {
		claims = append(claims, form.Get(c.Definition(), "claims").Items...)
	}
	text, err := jcs.AppendPretty(nil, jcs.Arr(jcs.Obj(jcs.M("card_id", jcs.Str("evil")), jcs.M("name", jcs.Str("Evil")), jcs.M("claims", jcs.Arr(claims...)))))
	if err != nil {
		t.Fatal(err)
	}
	r := mustVerify(t, withFile(p, manifest.CardsName, string(text)).FS(), Options{Now: builtAt, RequireClaims: true})
	if r.ExitCode() != 0 || len(r.Claims.Cards) != 2 || r.Claims.Cards[0].ID != "receipt_completeness" || r.Claims.Cards[1].ID != "guardian_enforcement" {
		t.Errorf("exit %d, %+v", r.ExitCode(), r.Claims.Cards)
	}
}

// countingFile counts how often it is read.
type countingFile struct {
	*strings.Reader
	reads int
}

func (f *countingFile) ReadAt(p []byte, at int64) (int, error) {
	f.reads++
	return f.Reader.ReadAt(p, at)
}

func TestIDsThatBeginAlikeAreReadOnceForTheirOrder(t *testing.T) {
	const n = 500
	var x lineIndex
	var text strings.Builder
	for i := range n {
		id := strings.Repeat("p", maxKeptID) + fmt.Sprintf("%04d", i*7919%n)
		line := fmt.Sprintf("{\"receipt_id\":%q}\n", id)
		x.add(sortKey{at: uint32(i)}, id, len(line))
		text.WriteString(line)
	}
	file := &countingFile{Reader: strings.NewReader(text.String())}
	order, err := x.order(file)
	if err != nil || file.reads > n {
		t.Errorf("%d reads, %v", file.reads, err)
	}
	for i, k := range order {
		if int(k.at)*7919%n != i {
			t.Fatalf("place %d: line %d", i, k.at)
		}
	}
}

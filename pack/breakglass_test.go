package pack

import (
	"maps"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

func brokenGlass(t testing.TB, cards ...claim.Card) Spec {
	s := smallSpec(t)
	s.Receipts = append(s.Receipts, jcstest.Parse(t, `{"receipt_id":"r_9","type":"`+receipt.BreakglassType+`","timestamp":"2026-01-15T10:59:00.000000+00:00","seq":9}`))
	s.Cards = cards
	return s
}

// VFY-49
func TestNoBreakglassFailsHonestly(t *testing.T) {
	files := mustBuild(t, brokenGlass(t, packtest.Builtin("no_breakglass"))).FS()
	for require, exit := range map[bool]int{false: 0, true: 1} {
		r := mustVerify(t, files, Options{Now: builtAt, RequireClaims: require})
		if r.ExitCode() != exit || r.Integrity != Pass || r.Claims.Verdict != Fail || !r.Claims.Reexecuted || len(r.Warnings) > 0 {
			t.Errorf("required %v: exit %d: %+v", require, r.ExitCode(), r)
		}
		if c := r.Claims.Results[0]; c.Expected != "0 receipts of type 'breakglass'" || c.Actual != "found 1" || strings.Join(c.Evidence, " ") != "r_9" {
			t.Errorf("%+v", c)
		}
	}
	s := smallSpec(t)
	s.Cards = []claim.Card{packtest.Builtin("no_breakglass")}
	if r := mustVerify(t, mustBuild(t, s).FS(), Options{Now: builtAt, RequireClaims: true}); r.ExitCode() != 0 || r.Claims.Verdict != Pass {
		t.Errorf("a pack without one: %+v", r)
	}
}

// attesting makes the pack attest other results of its claims, as whoever signs can.
func attesting(t testing.TB, files memoryFS, change func(jcs.Value) jcs.Value) memoryFS {
	t.Helper()
	files = maps.Clone(files)
	text, report := jcstest.Parse(t, string(files[manifest.Name])), jcstest.Parse(t, string(files[manifest.ReportName]))
	var results []jcs.Value
	var read []claim.Result
	passed := int64(0)
	for _, v := range form.Get(form.Get(report, "claim_verification"), "results").Items {
		v = change(v)
		r, problem := readResult(v)
		if !problem {
			t.Fatalf("%+v", v)
		}
		if results, read = append(results, v), append(read, r); r.Passed {
			passed++
		}
	}
	fp, verdict := jcs.Str(fingerprint(attestationIn(t, text), read)), jcs.Str(string(claimCheck(read)))
	report = jcstest.Set(report, "claim_verification.results", jcs.Arr(results...))
	report = jcstest.Set(report, "claim_verification.discrepancy_fingerprint", fp)
	report = jcstest.Set(report, "claim_verification.passed", jcs.Boolean(claim.Holds(read)))
	report = jcstest.Set(report, "claim_verification.n_passed", jcs.Int(passed))
	report = jcstest.Set(report, "claim_verification.n_failed", jcs.Int(int64(len(read))-passed))
	text = jcstest.Set(jcstest.Set(text, "attestation.claim_check", verdict), "attestation.discrepancy_fingerprint", fp)
	report = rejudged(report, attestationIn(t, text))
	files[manifest.ReportName] = jcstest.Plain(report)
	return resign(t, files, text, testSigner)
}

// The reference knows no other name of breakglass: it builds such packs with PASS, or with FAIL if the
// claim is the opposite one.
// VFY-45
func TestWhatTheReferenceCallsNoBreakglassIsJudgedAnewAndIsNoTampering(t *testing.T) {
	wanted := claim.Card{ID: "c", Name: "c", Claims: []claim.Claim{{ID: "c", Check: "receipt_type_present", Severity: "critical",
		Params: jcs.Obj(jcs.M("receipt_type", jcs.Str("breakglass")))}}}
	for _, c := range []struct {
		card   claim.Card
		passed bool // of the reference
	}{{packtest.Builtin("no_breakglass"), true}, {wanted, false}} {
		files := mustBuild(t, brokenGlass(t, c.card)).FS().(memoryFS)
		files = attesting(t, files, func(v jcs.Value) jcs.Value {
			return jcstest.Set(jcstest.Set(jcstest.Set(v, "passed", jcs.Boolean(c.passed)), "actual", jcs.Str("found 0")), "evidence_receipt_ids", jcs.Arr())
		})
		for require, exit := range map[bool]int{false: 0, true: 1} {
			r := mustVerify(t, files, Options{Now: builtAt, RequireClaims: require})
			if r.ExitCode() != exit || r.Integrity != Pass || r.Claims.Verdict != Fail || !warns(r, manifest.WarnBreakglass) || r.Claims.Results[0].Passed {
				t.Errorf("%s, required %v: exit %d: %+v", c.card.ID, require, r.ExitCode(), r)
			}
		}
		// Any other lie is one.
		files = attesting(t, files, func(v jcs.Value) jcs.Value { return jcstest.Set(v, "actual", jcs.Str("found 7")) })
		wantTampered(t, "found 7", files)
	}
}

// A check that we do not know may be one of a later release: what it came to is the signer's word.
// VFY-43
func TestAnUnknownCheckIsTheSignersWordAndNoTampering(t *testing.T) {
	s := smallSpec(t)
	s.Cards = []claim.Card{{ID: "c", Name: "c", Claims: []claim.Claim{{ID: "later", Check: "of_a_later_release", Severity: "critical"}}}}
	built := mustBuild(t, s).FS().(memoryFS)
	if r := mustVerify(t, built, Options{Now: builtAt, RequireClaims: true}); r.ExitCode() != 1 || !r.Claims.Reexecuted || r.Claims.Verdict != Fail {
		t.Errorf("a pack of a release that does not know it: %+v", r)
	}
	files := attesting(t, built, func(v jcs.Value) jcs.Value {
		return jcstest.Set(jcstest.Set(v, "passed", jcs.Boolean(true)), "actual", jcs.Str("all well"))
	})
	for require, exit := range map[bool]int{false: 0, true: 1} {
		r := mustVerify(t, files, Options{Now: builtAt, RequireClaims: require})
		if r.ExitCode() != exit || r.Claims.Reexecuted || r.Claims.Verdict != Pass || !warns(r, manifest.WarnNotReexecuted) {
			t.Errorf("required %v: exit %d: %+v", require, r.ExitCode(), r)
		}
	}
}

func TestClaimsOfTheRelyingPartyAreJudgedBesides(t *testing.T) {
	files := mustBuild(t, brokenGlass(t)).FS().(memoryFS)
	r := mustVerify(t, files, Options{Now: builtAt, Ask: []claim.Card{packtest.Builtin("no_breakglass"), packtest.Builtin("receipt_completeness")}})
	if r.ExitCode() != 0 || r.Claims.Verdict != Skipped || len(r.Claims.Asked) != 3 || r.Claims.Asked[0].Passed || !r.Claims.Asked[1].Passed || !r.Claims.Asked[2].Passed {
		t.Errorf("%+v", r)
	}
	files[manifest.ReceiptsName] = append([]byte(nil), files[manifest.ReceiptsName][1:]...)
	if r := mustVerify(t, files, Options{Now: builtAt, Ask: claim.BuiltinCards()}); r.ExitCode() != 2 || r.Claims.Asked != nil {
		t.Errorf("a tampered pack: %+v", r)
	}
}

// The reference builds packs with checks of ours, and fails them.
func TestACheckThatTheBuilderDidNotKnowHasFailedThere(t *testing.T) {
	for _, count := range []string{"1", "100"} {
		s := smallSpec(t)
		s.Cards = []claim.Card{{ID: "c", Name: "c", Claims: []claim.Claim{{ID: "ours", Check: "receipt_count_le", Severity: "critical",
			Params: jcs.Obj(jcs.M("max_count", jcs.Value{Kind: jcs.Number, Text: count}))}}}}
		files := attesting(t, mustBuild(t, s).FS().(memoryFS), func(v jcs.Value) jcs.Value {
			return jcstest.Set(jcstest.Set(jcstest.Set(v, "passed", jcs.Boolean(false)), "expected", jcs.Str("check function 'receipt_count_le' exists")), "actual", jcs.Str(claim.UnknownCheck))
		})
		for require, exit := range map[bool]int{false: 0, true: 1} {
			r := mustVerify(t, files, Options{Now: builtAt, RequireClaims: require})
			if r.ExitCode() != exit || r.Integrity != Pass || r.Claims.Verdict != Fail || r.Claims.Reexecuted || !warns(r, manifest.WarnNotReexecuted) {
				t.Errorf("at most %s, required %v: exit %d: %+v", count, require, r.ExitCode(), r)
			}
		}
		// To pass a check that one does not know is a lie.
		wantTampered(t, "unknown, but passed", attesting(t, files, func(v jcs.Value) jcs.Value { return jcstest.Set(v, "passed", jcs.Boolean(true)) }))
	}
}

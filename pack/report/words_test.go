package report

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
)

// quiet is a judgement of a pack with nothing to find.
func quiet() *Report {
	r := reportOf("x", pack.Pass)
	r.Claims, r.ClaimResults = pack.Skipped, nil
	r.Anchor, r.Result.Lock, r.Expiry, r.Coverage = pack.Skipped, pack.Skipped, pack.Skipped, nil
	r.Findings, r.LockFindings, r.Warnings = nil, nil, nil
	return r
}

func lines(texts []Text) string {
	var list []string
	for _, t := range texts {
		list = append(list, t.String())
	}
	return strings.Join(list, "\n")
}

func textOf(t *testing.T, v jcs.Value) string {
	t.Helper()
	out, err := jcs.AppendPretty(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestASignerThatMayNotSignIsCalledUntrustedAndNotUnpinned(t *testing.T) {
	r := quiet()
	if c := r.signer(); c.Word != "UNPINNED" || !strings.Contains(textOf(t, r.warnings()), "whose key that is, nobody here says") {
		t.Errorf("nobody named keys: %+v, %s", c, textOf(t, r.warnings()))
	}
	r.LockFindings = []pack.Finding{{Code: "E_SIGNER_UNTRUSTED", Receipt: -1}}
	if c := r.signer(); c.Word != "UNTRUSTED" || c.Verdict != wordTampered || !c.asked || r.words().trust != "UNTRUSTED" {
		t.Errorf("another key: %+v, %+v", c, r.words())
	}
	if got := textOf(t, r.warnings()); strings.Contains(got, "nobody here says") {
		t.Errorf("somebody did say: %s", got)
	}
}

func TestALogWithoutWitnessesIsSaidToHaveNone(t *testing.T) {
	r := quiet()
	r.Anchor, r.Log = pack.Pass, &trust.Checkpoint{Origin: "log.example", Size: 3}
	if got := AnchorText(r.Result).String(); !strings.Contains(got, "cosigned by nobody") {
		t.Error(got)
	}
}

func TestTheTimeOfALogIsThatOfItsLastWitness(t *testing.T) {
	early, late := time.Unix(1_000_000, 0), time.Unix(2_000_000, 0)
	for _, order := range [][]time.Time{{early, late}, {late, early}} {
		r := quiet()
		r.Anchor, r.Log = pack.Pass, &trust.Checkpoint{Cosignatures: []trust.Cosignature{{Witness: "a", Time: order[0]}, {Witness: "b", Time: order[1]}}}
		if got := r.lastCosigned(); !got.Equal(late) {
			t.Errorf("%v of %v", got, order)
		}
	}
}

func TestALockProvesSomethingOnlyIfThePackAgreesWithIt(t *testing.T) {
	const sentence = "that the lock demands"
	r := quiet()
	for _, verdict := range []pack.Verdict{pack.Pass, pack.Fail, pack.Skipped} {
		r.Lock, r.Result.Lock = new(pack.Lock), verdict
		if got := lines(r.Proves()); strings.Contains(got, sentence) != (verdict == pack.Pass) {
			t.Errorf("lock %s: %s", verdict, got)
		}
	}
	r.Lock = nil
	if got := lines(r.Proves()); strings.Contains(got, sentence) {
		t.Errorf("no lock: %s", got)
	}
}

func TestTheScriptNamesNoKeyOfAPackThatIsNotIntact(t *testing.T) {
	for integrity, named := range map[pack.Verdict]bool{pack.Pass: true, pack.Fail: false} {
		r := quiet()
		r.Integrity = integrity
		if key := fmt.Sprintf("%x", r.Manifest.SignerFingerprint()); strings.Contains(r.Script(), key) != named {
			t.Errorf("integrity %s: %s", integrity, r.Script())
		}
	}
}

func TestARefusalThatIsNoTamperingIsNotCalledTampering(t *testing.T) {
	for _, test := range []struct {
		finding    pack.Finding
		unexpected bool
	}{
		{pack.Finding{Code: "E_PACK_STALE", Field: "timestamp_end", Receipt: -1}, true},
		{pack.Finding{Code: "E_CI_BINDING_MISSING", Field: "ci_binding", Receipt: -1}, true},
		{pack.Finding{Code: "E_CI_BINDING_MISMATCH", Field: "ci_binding.commit_sha", Receipt: -1}, true},
		{pack.Finding{Code: "E_TIMESTAMP_INVALID", Field: "timestamp_end", Receipt: -1}, true},
		{pack.Finding{Code: "E_TIMESTAMP_INVALID", Field: "timestamp", Receipt: 0}, false},
		{pack.Finding{Code: "E_PACK_SIG_INVALID", Receipt: -1}, false},
		{pack.Finding{Code: "E_MANIFEST_TAMPER", Field: "head_hash", Receipt: -1}, false},
	} {
		r := quiet()
		r.Integrity, r.Findings = pack.Fail, []pack.Finding{test.finding}
		scope := textOf(t, r.scope(r.words()))
		if r.onlyUnexpected() != test.unexpected || strings.HasPrefix(r.Sentence(), "refused: ") != test.unexpected ||
			strings.Contains(scope, "tamper_evidence_detected") == test.unexpected {
			t.Errorf("%+v: %s; %s", test.finding, r.Sentence(), scope)
		}
		r.Findings = append(r.Findings, pack.Finding{Code: "E_MANIFEST_TAMPER", Field: "files", Receipt: -1})
		if r.onlyUnexpected() {
			t.Errorf("%+v hides tampering", test.finding)
		}
	}
}

func TestThatThereAreMoreFindingsFailsNoStage(t *testing.T) {
	r := quiet()
	r.Integrity = pack.Fail
	r.Findings = []pack.Finding{{Code: "E_PACK_SIG_INVALID", Receipt: -1}, {Code: "W_MORE_FINDINGS", Receipt: -1}}
	if failed := r.failed(); len(failed) != 1 || !failed[stageSignature] {
		t.Errorf("%v", failed)
	}
}

func TestOneFindingIsCountedAsOneMechanism(t *testing.T) {
	r := quiet()
	r.Integrity, r.Findings = pack.Fail, []pack.Finding{{Code: "E_PACK_STALE", Receipt: -1}}
	if v, _ := r.mechanisms().Get("stale_evidence"); v.Text != "1" || len(r.mechanisms().Members) != 1 {
		t.Errorf("%s", textOf(t, r.mechanisms()))
	}
}

func TestTheAgeThatWasAskedForIsInTheJSON(t *testing.T) {
	r := quiet()
	if _, ok := r.JSON("verify-pack").Get("max_age_hours"); ok {
		t.Error("nobody asked for one")
	}
	r.MaxAgeHours = 1.5
	if v, _ := r.JSON("verify-pack").Get("max_age_hours"); v.Text != "1.5" {
		t.Errorf("max_age_hours %q", v.Text)
	}
}

func TestARowShowsTheFirstFinding(t *testing.T) {
	r := quiet()
	r.Findings = []pack.Finding{{Code: "E_FIRST", Receipt: -1, Message: "one"}, {Code: "E_SECOND", Receipt: -1}}
	r.LockFindings = []pack.Finding{{Code: "E_LOCK", Receipt: -1, Message: "drift"}}
	first := func() string {
		rows, err := csv.NewReader(strings.NewReader(string(CSV([]Row{{Path: "p", Report: r}})))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows[1][slices.Index(rows[0], "first_finding")]
	}
	if got := first(); got != "E_FIRST: one" {
		t.Error(got)
	}
	r.Findings = nil
	if got := first(); got != "E_LOCK: drift" {
		t.Error(got)
	}
}

func TestALongTextIsCutBetweenCharacters(t *testing.T) {
	for at := maxText - 4; at <= maxText; at++ {
		got := visible(strings.Repeat("x", at) + "界" + strings.Repeat("y", 100))
		if strings.Contains(got, "\ufffd") || !strings.HasSuffix(got, "bytes more)") {
			t.Errorf("a character at %d: …%s", at, got[maxText-10:])
		}
	}
}

func TestAClaimThatWasNotExecutedIsNotShownAsPassed(t *testing.T) {
	r := quiet()
	for _, test := range []struct {
		passed, again bool
		word          string
	}{{true, true, "PASS"}, {true, false, "NOT CHECKED"}, {false, true, "FAIL"}, {false, false, "FAIL"}} {
		r.ClaimsReexecuted = test.again
		if got := r.shownClaim(pack.ClaimResult{Passed: test.passed}); got.Word != test.word {
			t.Errorf("%+v: %s", test, got.Word)
		}
	}
}

func TestTokensOfOneKindAreToldAndRareKindsAreSummed(t *testing.T) {
	r := quiet()
	r.Result.Facts.OutputTokens = 7
	r.Result.Facts.Models = []pack.Tally{{Name: "gpt-4", N: 2}, {N: 5}}
	facts := map[string]string{}
	for _, f := range r.Facts() {
		facts[f.Name] = f.Value
	}
	if facts["tokens"] != "0 in, 7 out" || facts["models"] != "2 gpt-4, 5 others" {
		t.Errorf("%q, %q", facts["tokens"], facts["models"])
	}
}

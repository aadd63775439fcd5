package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// quiet is a judgement of a pack with nothing to find.
func quiet() *Report {
	r := reportOf("x", pack.Pass)
	r.Claims.Verdict, r.Claims.Results = pack.Skipped, nil
	r.Anchor.Verdict, r.Result.Lock.Verdict, r.Expectations.Verdict, r.Expectations.Results, r.Coverage = pack.Skipped, pack.Skipped, pack.Skipped, nil, nil
	r.Findings, r.Result.Lock.Findings, r.Warnings = nil, nil, nil
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
	r.Result.Lock.Findings, r.Signer.Untrusted = manifest.Findings{{Code: manifest.CodeSignerUntrusted, Channel: manifest.ChannelLock, Receipt: -1}}, true
	if c := r.signer(); c.Word != "UNTRUSTED" || c.Verdict != wordUnmet || !c.asked || r.words().trust != "UNTRUSTED" {
		t.Errorf("another key: %+v, %+v", c, r.words())
	}
	if got := textOf(t, r.warnings()); strings.Contains(got, "nobody here says") {
		t.Errorf("somebody did say: %s", got)
	}
}

func TestALogWithoutWitnessesIsSaidToHaveNone(t *testing.T) {
	r := quiet()
	r.Anchor.Verdict, r.Anchor.Checkpoint = pack.Pass, &trust.Checkpoint{Origin: "log.example", Size: 3}
	if got := AnchorText(r.Result).String(); !strings.Contains(got, "cosigned by nobody") {
		t.Error(got)
	}
}

func TestTheTimeOfALogIsThatOfItsLastWitness(t *testing.T) {
	early, late := time.Unix(1_000_000, 0), time.Unix(2_000_000, 0)
	for _, order := range [][]time.Time{{early, late}, {late, early}} {
		r := quiet()
		r.Anchor.Verdict, r.Anchor.Checkpoint = pack.Pass, &trust.Checkpoint{Cosignatures: []trust.Cosignature{{Witness: "a", Time: order[0]}, {Witness: "b", Time: order[1]}}}
		if got := r.lastCosigned(); !got.Equal(late) {
			t.Errorf("%v of %v", got, order)
		}
	}
}

func TestALockProvesSomethingOnlyIfThePackAgreesWithIt(t *testing.T) {
	const sentence = "that the lock demands"
	r := quiet()
	for _, verdict := range []pack.Verdict{pack.Pass, pack.Fail, pack.Skipped} {
		r.Lock, r.Result.Lock.Verdict = new(lock.Lock), verdict
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
		if key := r.Manifest.SignerFingerprint().String(); strings.Contains(r.Script(), key) != named {
			t.Errorf("integrity %s: %s", integrity, r.Script())
		}
	}
}

func TestARefusalThatIsNoTamperingIsNotCalledTampering(t *testing.T) {
	for _, test := range []struct {
		name, code, sentence, verdict, overall, badge string
		exit                                          int
	}{
		{"age", "E_PACK_STALE", "intact, and too old", "INSUFFICIENT_EVIDENCE", "UNTRUSTED", "UNMET", 2},
		{"age", "E_TIMESTAMP_INVALID", "intact, and from the future", "INSUFFICIENT_EVIDENCE", "UNTRUSTED", "UNMET", 2},
		{"ci_system", "E_CI_BINDING_MISSING", "bound to no CI run", "INSUFFICIENT_EVIDENCE", "UNTRUSTED", "UNMET", 2},
		{"commit", "E_CI_BINDING_MISSING", "bound to no CI run", "INSUFFICIENT_EVIDENCE", "UNTRUSTED", "UNMET", 2},
		{"commit", "E_CI_BINDING_MISMATCH", "of another commit", "INSUFFICIENT_EVIDENCE", "UNTRUSTED", "UNMET", 2},
		{"repository", "E_CI_BINDING_MISMATCH", "of another repository", "INSUFFICIENT_EVIDENCE", "UNTRUSTED", "UNMET", 2},
		{"expiry", "E_PACK_EXPIRED", "its time is over", "PASS", "HONEST_FAIL", "HONEST FAIL", 1},
		{"superseded", "E_PACK_SUPERSEDED", "a pack that replaces it", "HONEST_FAIL", "HONEST_FAIL", "HONEST FAIL", 1},
	} {
		r := quiet()
		r.Expectations.Verdict = pack.Fail
		r.Expectations.Results = []pack.Expectation{{Name: test.name, Verdict: pack.Fail, Expected: "x", Code: test.code, Message: "m"}}
		v := r.JSON("verify-pack")
		got := func(name string) string { m, _ := v.Get(name); return m.Text }
		if !strings.Contains(r.Sentence(), test.sentence) || r.ExitCode() != test.exit || got("integrity_verdict") != "PASS" || got("verdict") != test.verdict || got("overall_verdict") != test.overall {
			t.Errorf("%s %s: exit %d: %s; %s %s %s", test.name, test.code, r.ExitCode(), r.Sentence(), got("integrity_verdict"), got("verdict"), got("overall_verdict"))
		}
		page, err := r.HTML()
		if all := textOf(t, v) + string(page) + string(r.Badge()); err != nil || strings.Contains(strings.ReplaceAll(all, pageStyle, ""), "TAMPERED") || strings.Contains(all, "tamper_") {
			t.Errorf("%s %s: called tampered somewhere, %v", test.name, test.code, err)
		}
		if badge := string(r.Badge()); !strings.Contains(badge, "expectations "+test.badge+"<") {
			t.Errorf("%s: %s", test.name, badge)
		}
		channels, _ := v.Get("channels")
		if word, _ := channels.Get("expectations"); word.Text != "FAIL" || !strings.Contains(string(page), "not as expected: "+expectedWord(test.name, "").String()) {
			t.Errorf("%s: %s", test.name, textOf(t, channels))
		}
	}
}

func TestAVerdictOfZeroNamesItsGaps(t *testing.T) {
	whole := func() *Report {
		r := quiet()
		r.Signer.Pinned, r.Anchor.Verdict, r.Anchor.Timed = true, pack.Pass, pack.Pass
		r.Claims.Verdict, r.Claims.Reexecuted, r.Claims.Results = pack.Pass, true, []claim.Result{{ClaimID: "c", Passed: true}}
		r.Anchor.Time = &timestamp.Token{}
		return r
	}
	if got := whole().Verdict(); got != "exit 0: intact, signer pinned, anchored with a time, claims hold, 2 receipts" {
		t.Error(got)
	}
	// With these, what was asked for holds all the same, and that is not lost behind the gap.
	besides := []string{"1 failed warning", "expired", "its signer set no expiry date", "superseded", "its timestamp contradicts its own times", "the program was killed"}
	for gap, open := range map[string]func(r *Report){
		"the program was killed": func(r *Report) { r.Result.Facts.Killed, r.Result.Facts.EndedBadly = 1, 1 },
		"not anchored: there is no proof in it to check (--require-anchor)": func(r *Report) {
			r.Anchor.Verdict, r.Anchor.Timed, r.Anchor.Time, r.Anchor.NoProof = pack.Skipped, pack.Skipped, nil, true
		},
		"signer unpinned": func(r *Report) { r.Signer.Pinned = false },
		"not anchored":    func(r *Report) { r.Anchor.Verdict, r.Anchor.Timed, r.Anchor.Time = pack.Skipped, pack.Skipped, nil },
		"its proof not checked (--policy)": func(r *Report) {
			r.Anchor.Verdict, r.Anchor.Timed, r.Anchor.Time = pack.Skipped, pack.Skipped, nil
			r.Anchor.Unchecked = true
		},
		"anchored without a time that was checked": func(r *Report) { r.Anchor.Timed, r.Anchor.Time = pack.Skipped, nil },
		"no checks declared":                       func(r *Report) { r.Claims.Verdict, r.Claims.Results = pack.Skipped, nil },
		"claims not executed here":                 func(r *Report) { r.Claims.Reexecuted = false },
		"0 receipts":                               func(r *Report) { r.Receipts = 0 },
		"0 receipts ":                              func(r *Report) { r.AboutRun = r.Receipts },
		"1 failed warning":                         func(r *Report) { r.Claims.Results = append(r.Claims.Results, claim.Result{Severity: "warning"}) },
		"1 claim failed and not required to pass (--require-claim-pass)": func(r *Report) {
			r.Claims.Verdict, r.Claims.Results[0].Passed = pack.Fail, false
		},
		"its timestamp contradicts its own times": func(r *Report) { r.Anchor.TimeContradicts = true },
		"expired": func(r *Report) {
			r.Expectations.Results = []pack.Expectation{{Name: "expiry", Verdict: pack.Skipped, Code: "E_PACK_EXPIRED"}}
		},
		"its signer set no expiry date": func(r *Report) {
			r.Expectations.Results = []pack.Expectation{{Name: "expiry", Verdict: pack.Skipped, Expected: "not expired"}}
		},
		"superseded": func(r *Report) {
			r.Expectations.Results = []pack.Expectation{{Name: "superseded", Verdict: pack.Skipped, Code: "E_PACK_SUPERSEDED"}}
		},
	} {
		r := whole()
		open(r)
		holds := "exit 0: intact"
		if slices.Contains(besides, strings.TrimSpace(gap)) {
			holds = whole().Verdict()
		}
		if got := r.Verdict(); got != holds+"; "+strings.TrimSpace(gap) {
			t.Errorf("%s: %s", gap, got)
		}
		if v, _ := r.JSON("verify-pack").Get("gaps"); len(v.Items) != 1 || v.Items[0].Text != strings.TrimSpace(gap) {
			t.Errorf("%s: %s", gap, textOf(t, v))
		}
	}
	r := quiet()
	r.Receipts = 0
	if got := r.Verdict(); got != "exit 0: intact; signer unpinned, not anchored, no checks declared, 0 receipts" {
		t.Error(got)
	}
}

func TestAProgramThatWasKilledOrFailedIsNamedInEveryFormat(t *testing.T) {
	for _, test := range []struct {
		ending      string
		bad, killed int
		word, gap   string
	}{
		{"exit 0", 0, 0, "", ""},
		{"exit 3", 1, 0, "FAILED", "the program failed"},
		{"exit 137 (signal killed)", 1, 1, "KILLED", "the program was killed"},
	} {
		r := quiet()
		r.Result.Facts.Endings, r.Result.Facts.EndedBadly, r.Result.Facts.Killed = []pack.Tally{{Name: test.ending, N: 1}}, test.bad, test.killed
		word, text, there := r.EndedBadly()
		if word != test.word || there != (test.word != "") || there && text.String() != test.ending+", in the signer's words" {
			t.Errorf("%s: %s %s", test.ending, word, text)
		}
		if got := r.Verdict(); strings.Contains(got, "the program") != there || !strings.HasSuffix(got, test.gap) {
			t.Errorf("%s: %s", test.ending, got)
		}
		page, err := r.HTML()
		rows, csvErr := csv.NewReader(strings.NewReader(string(CSV([]Row{{Path: "p", Report: r}})))).ReadAll()
		if err != nil || csvErr != nil {
			t.Fatal(err, csvErr)
		}
		ended, _ := r.JSON("verify-pack").Get("program_ended")
		for format, got := range map[string]string{"HTML": string(page), "JSON": textOf(t, ended), "CSV": rows[1][slices.Index(rows[0], "program_ended")]} {
			if !strings.Contains(got, test.ending) {
				t.Errorf("%s does not say %q", format, test.ending)
			}
		}
		var explained strings.Builder
		for _, s := range r.Explain() {
			explained.WriteString(lines(s.Lines))
		}
		if want := "program ended: " + test.ending + " (in the signer's words)"; !strings.Contains(explained.String(), want) {
			t.Errorf("explain does not say %q", want)
		}
	}
}

func TestThatAPackIsNotSupersededDoesNotReadAsIfItWere(t *testing.T) {
	r := quiet()
	r.Expectations.Verdict, r.Expectations.Results = pack.Pass, []pack.Expectation{
		{Name: "expiry", Verdict: pack.Skipped, Expected: "not expired", Message: "no expiry date in the pack"},
		{Name: "superseded", Verdict: pack.Pass, Expected: "not superseded"}}
	if c, _ := r.expectations(); c.Text.String() != "as expected: not superseded; no expiry date in the pack" || c.Label() != "expected" {
		t.Errorf("%s: %s", c.Label(), c.Text)
	}
	for i := range r.Expectations.Results {
		r.Expectations.Results[i].Verdict = pack.Fail
	}
	if c, _ := r.expectations(); c.Text.String() != "not as expected: expired, superseded" {
		t.Error(c.Text)
	}
}

func TestAPackOfWhichAllReceiptsAreAboutTheRunSaysSoOnce(t *testing.T) {
	for receipts, want := range map[int]string{1: "1 receipt, about the run itself, hashes", 3: "3 receipts, 1 of them about the run itself, hashes"} {
		r := quiet()
		r.Receipts, r.AboutRun = receipts, 1
		if got := r.integrityText().String(); !strings.HasPrefix(got, want) {
			t.Error(got)
		}
	}
}

func TestTheDigestOfAManifestIsNotTakenForThatOfItsFile(t *testing.T) {
	const label = "manifest SHA-256 (canonical form, as logged)"
	page, err := quiet().HTML()
	if err != nil || !strings.Contains(string(page), "<dt>"+label+"</dt>") || !strings.Contains(string(quiet().Markdown()), label+": ") {
		t.Errorf("%v: %s", err, quiet().Markdown())
	}
	explained := textOf(t, quiet().ExplainJSON())
	if !strings.Contains(explained, `"manifest_SHA-256": "`) {
		t.Error("the member of the JSON has another name")
	}
}

func TestThePageSaysTheWordsOfTheText(t *testing.T) {
	for _, test := range []struct {
		change func(*Report)
		mark   string
		exit   int
	}{
		{func(*Report) {}, "✓", 0},
		{func(r *Report) {
			r.Expectations.Verdict, r.Expectations.Results = pack.Fail, []pack.Expectation{{Name: "superseded", Verdict: pack.Fail, Expected: "not superseded", Code: "E_PACK_SUPERSEDED"}}
		}, "!", 1},
		{func(r *Report) { r.Integrity, r.Claims.Verdict = pack.Fail, pack.Skipped }, "✗", 2},
	} {
		r := quiet()
		test.change(r)
		made, err := r.HTML()
		if err != nil {
			t.Fatal(err)
		}
		page := string(made)
		for _, c := range r.Channels() {
			if want := `<div class="name">` + c.Label() + `</div><div class="word">` + c.Word + `</div>`; !strings.Contains(page, want) {
				t.Errorf("exit %d: the page does not say %s %s", test.exit, c.Label(), c.Word)
			}
		}
		box := fmt.Sprintf(`<p class="outcome exit%d"><span class="mark">%s</span><b>exit %d:</b> %s</p>`, test.exit, test.mark, test.exit, r.Sentence())
		if !strings.Contains(page, box) || r.ExitCode() != test.exit || strings.Contains(page, "verified offline") || !strings.Contains(page, "judged offline") {
			t.Errorf("exit %d: the page has no %s", r.ExitCode(), box)
		}
	}
	if strings.Contains(pageStyle, "overflow-x: auto") || !strings.Contains(pageStyle, "white-space: pre-wrap") {
		t.Error("long lines scroll out of view")
	}
}

func TestMachinesAreToldThatNothingWasExpected(t *testing.T) {
	channels, _ := quiet().JSON("verify-pack").Get("channels")
	if word, _ := channels.Get("expectations"); word.Text != "SKIPPED" {
		t.Error(textOf(t, channels))
	}
	results, _ := quiet().JSON("verify-pack").Get("expectation_results")
	if results.Kind != jcs.Array || len(results.Items) != 0 {
		t.Error(textOf(t, results))
	}
}

// What v0.1 closes stays closed: a reader of its word lists meets no word that it does not know.
// VFY-86
func TestANewChannelEntersNoWordListOfTheReport(t *testing.T) {
	r := quiet()
	r.Expectations.Verdict = pack.Fail
	r.Expectations.Results = []pack.Expectation{{Name: "run", Verdict: pack.Fail, Expected: "7", Code: "E_CI_BINDING_MISSING", Message: "m"}}
	v := r.Public()
	for _, name := range []string{"required_channels", "optional_channels", "unevaluated_channels", "scope", "evaluation_profile"} {
		if m, ok := v.Get(name); !ok || strings.Contains(textOf(t, m), "expectation") {
			t.Errorf("%s: %s", name, textOf(t, m))
		}
	}
	if blocking, _ := v.Get("blocking_channel"); blocking.Text != "trust" {
		t.Errorf("blocking_channel %q", blocking.Text)
	}
	declared, _ := v.Get("expectations")
	if id, _ := declared.Get("policy_id"); id.Text != policy {
		t.Errorf("expectations is no longer what the signer declared: %s", textOf(t, declared))
	}
	if errors, _ := v.Get("errors"); len(errors.Items) != 0 {
		t.Errorf("errors are those of the integrity: %s", textOf(t, errors))
	}
}

func TestAnExpiredOrSupersededPackShowsUnasked(t *testing.T) {
	r := quiet()
	r.Manifest.Attestation.SupersededBy = "pack_next"
	r.Expectations.Results = []pack.Expectation{{Name: "expiry", Verdict: pack.Skipped, Actual: "2026-01-01T00:00:00Z", Code: "E_PACK_EXPIRED", Message: "was valid until 2026"},
		{Name: "superseded", Verdict: pack.Skipped, Actual: "pack_next", Code: "E_PACK_SUPERSEDED", Message: "superseded by pack_next"}}
	c, there := r.expectations()
	if want := "was valid until 2026, and nobody asked; superseded by pack_next, and nobody asked"; !there || c.Word != "SKIPPED" || c.Text.String() != want || r.ExitCode() != 0 {
		t.Errorf("%+v", c)
	}
	v := r.JSON("verify-pack")
	status, _ := v.Get("expiry_status")
	by, _ := v.Get("superseded_by")
	rows, err := csv.NewReader(strings.NewReader(string(CSV([]Row{{Path: "p", Report: r}})))).ReadAll()
	if err != nil || status.Text != "expired" || by.Text != "pack_next" {
		t.Fatalf("%q %q %v", status.Text, by.Text, err)
	}
	for name, want := range map[string]string{"expiry": "expired", "superseded_by": "pack_next", "expectations": "SKIPPED"} {
		if got := rows[1][slices.Index(rows[0], name)]; got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestThatThereAreMoreFindingsFailsNoStage(t *testing.T) {
	r := quiet()
	r.Integrity = pack.Fail
	r.Findings = []manifest.Finding{{Code: manifest.CodePackSignature, Channel: manifest.ChannelIntegrity, Stage: manifest.StageSignature, Receipt: -1}, {Code: manifest.WarnMore, Channel: manifest.ChannelIntegrity, Receipt: -1}}
	if failed := r.failed(); len(failed) != 1 || !failed[manifest.StageSignature] {
		t.Errorf("%v", failed)
	}
}

func TestOneFindingIsCountedAsOneMechanism(t *testing.T) {
	r := quiet()
	r.Integrity, r.Findings = pack.Fail, manifest.Findings{{Code: manifest.CodeTimestampInvalid, Channel: manifest.ChannelIntegrity, Receipt: -1}}
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
	r.Findings = []manifest.Finding{{Code: "E_FIRST", Receipt: -1, Message: "one"}, {Code: "E_SECOND", Receipt: -1}}
	r.Result.Lock.Findings = []manifest.Finding{{Code: "E_LOCK", Receipt: -1, Message: "drift"}}
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
	}{{true, true, "PASS"}, {true, false, "NOT EVALUATED"}, {false, true, "FAIL"}, {false, false, "FAIL"}} {
		r.Claims.Reexecuted = test.again
		if got := r.shownClaim(claim.Result{Passed: test.passed}); got.Word != test.word {
			t.Errorf("%+v: %s", test, got.Word)
		}
	}
}

// Who reads any one of the outputs must not learn that claims passed which nobody executed here.
// VFY-51
func TestNoOutputSaysPassOfClaimsThatWereNotExecuted(t *testing.T) {
	r := quiet()
	r.Claims.Verdict, r.Claims.Reexecuted, r.Claims.Results = pack.Pass, false, []claim.Result{{ClaimID: "c0", Passed: true, Severity: "critical", Expected: "x", Actual: "0 mismatches"}}
	r.Manifest.Attestation.ClaimCheck = "PASS"
	table, err := csv.NewReader(bytes.NewReader(CSV([]Row{{Path: "p", Report: r}}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cell := func(name string) string { return table[1][slices.Index(table[0], name)] }
	if cell("claims") != "NOT_EVALUATED" || !strings.Contains(cell("verdict"), "exit 0: intact; signer unpinned, not anchored, claims not executed here") {
		t.Errorf("%q", table[1])
	}
	v := r.JSON("verify-pack")
	get := func(path ...string) jcs.Value {
		at := v
		for _, name := range path {
			at, _ = at.Get(name)
		}
		return at
	}
	for want, path := range map[string][]string{"NOT_EVALUATED": {"channels", "claims"}, "NOT_EVALUATED ": {"claim_verdict"}, "INSUFFICIENT_EVIDENCE": {"verdict"},
		"PASS": {"claim_check"}, "attested": {"claim_check_is"}} {
		if got := get(path...).Text; got != strings.TrimSpace(want) {
			t.Errorf("%v is %s", path, got)
		}
	}
	if get("claim_verification", "passed").Bool || get("claim_verification", "reexecuted").Bool {
		t.Error(textOf(t, get("claim_verification")))
	}
	silent := quiet() // of which each PASS is that of integrity
	for what, show := range map[string]func(*Report) string{
		"explain": func(r *Report) string { return string(r.Markdown()) }, "badge": func(r *Report) string { return string(r.Badge()) },
		"page": func(r *Report) string { page, _ := r.HTML(); return strings.ReplaceAll(string(page), pageStyle, "") },
	} {
		if n := strings.Count(show(r), "PASS"); n != strings.Count(show(silent), "PASS") || !strings.Contains(show(r), "NOT EVALUATED") {
			t.Errorf("%s says %d times PASS: %s", what, n, show(r))
		}
	}
	r.Claims.Verdict, r.Claims.Results[0].Passed = pack.Fail, false // an admitted failure is believed
	if c := r.Channels()[1]; c.Word != "FAIL" || r.claimLine(r.Claims.Results[0]).String()[:4] != "FAIL" {
		t.Errorf("%+v", c)
	}
}

func TestACoverageContractWithoutCallSitesIsTold(t *testing.T) {
	r := quiet()
	r.Coverage = &pack.CoverageResult{Verdict: pack.Pass, Coverage: claim.Coverage{Share: 1}}
	told := ""
	for _, c := range r.Channels() {
		if c.Name == "coverage" {
			told = c.Text.String()
		}
	}
	if told != "the contract names no call sites: nothing was asked for" || !strings.Contains(r.Verdict(), "a coverage contract without call sites") {
		t.Errorf("%s; %s", told, r.Verdict())
	}
}

func TestATableSaysWhoseTheCardsAre(t *testing.T) {
	r := quiet()
	r.Claims.Verdict, r.Claims.Reexecuted = pack.Pass, true
	r.Claims.Cards, r.Claims.Sources = []claim.Card{{ID: "own", Claims: []claim.Claim{{Severity: "critical"}}}}, []pack.CardSource{pack.SourceSigner}
	table := string(CSV([]Row{{Path: "p", Report: r}}))
	if !strings.Contains(table, "cards: own (the signer's own)") || !strings.Contains(table, "1 card of the signer's own") {
		t.Error(table)
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
	r.Result.Facts.UnreadTokens = 5
	if got := r.tokens(); got != "0 in, 7 out, not counted: 5 receipts with a figure that cannot be read" {
		t.Error(got)
	}
	r.Result.Facts.OutputTokens = 0
	if got := r.tokens(); got != "not counted: 5 receipts with a figure that cannot be read" {
		t.Error(got)
	}
	if facts["tokens"] != "0 in, 7 out" || facts["models"] != "2 gpt-4, 5 others" {
		t.Errorf("%q, %q", facts["tokens"], facts["models"])
	}
}

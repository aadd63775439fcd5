package main

import (
	"fmt"
	"strings"

	"github.com/Haserjian/assay-ledger/conformance"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// open is where two verifiers that had read the same pages once differed. The pages say now what holds.
func (w *world) open() {
	w.openReports()
	w.openKeys()
	w.openCards()
	w.openBreakglass()

	entries := get(w.base.parsed(manifestFile), "files").Items
	second := jcstest.Set(entries[0], "sha256", jcs.Str(strings.Repeat("0", 64)))
	w.bad("open_second_entry", "P21", "files lists the receipts once more, with another digest",
		forged(w.base, "files", jcs.Arr(entries[0], entries[1], entries[2], second)), tamper)
	first, rest, _ := strings.Cut(string(w.plain[receipts]), "\n")
	empty := strings.Replace(first, "2026-01-15T11:00:00.000000+00:00", "", 1)
	w.bad("open_empty_timestamp", "P22", "the timestamp of a receipt is empty", withLines(w.plain, empty+"\n"+rest), unknown)
}

// openReports is what a report may leave out, and what of an empty pack it may say.
func (w *world) openReports() {
	r := w.base.parsed(report)
	refs := get(r, "evidence_refs").Items
	bare := jcstest.Set(r, "evidence_refs", jcs.Arr(refs[0], refs[1].Without("sha256")))
	w.add("open_evidence_without_digest", "", "the report names the receipts without their digest", resigned(w.base.with(report, pretty(bare)),
		w.base.parsed(manifestFile), signer), passes("PASS", "W_REPORT"), gate)

	undated := identified(jcstest.Set(r, "verified_at", jcs.Str(""))).Without("verified_at")
	w.add("open_report_undated", "", "the report does not say when, and its report_id follows from that", resigned(w.base.with(report, pretty(undated)),
		w.base.parsed(manifestFile), signer), passes("PASS"), gate)

	none := honest(pack.Spec{RunID: "corpus_open_empty"})
	head := get(none.parsed(manifestFile), "attestation.head_hash")
	w.add("open_empty_head", "", "a pack without receipts, and the report repeats its head_hash", reported(none, "head_hash", head), passes("SKIPPED"))
	w.bad("open_empty_other_head", "P23", "a pack without receipts, and the report has another head_hash", reported(none, "head_hash", jcs.Str(strings.Repeat("0", 64))), tamper)
}

// openKeys is the order of receipts whose keys are odd.
func (w *world) openKeys() {
	keyed := func(keys ...string) files {
		var lines []string
		for i, key := range keys {
			line, err := jcs.AppendPack(nil, parse(fmt.Sprintf(`{"receipt_id":"r_%d","type":"model_call","timestamp":"2026-01-15T11:00:0%d.000000+00:00",%s}`, i, i, key)))
			if err != nil {
				panic(err)
			}
			lines = append(lines, string(line)+"\n")
		}
		f := honest(pack.Spec{RunID: "corpus_open_keys"})
		m := f.parsed(manifestFile)
		m = jcstest.Set(m, "attestation.timestamp_start", jcs.Str("2026-01-15T11:00:00.000000+00:00"))
		m = jcstest.Set(m, "attestation.timestamp_end", jcs.Str(fmt.Sprintf("2026-01-15T11:00:0%d.000000+00:00", len(keys)-1)))
		return withLines(f.with(manifestFile, pretty(m)), strings.Join(lines, ""))
	}
	w.add("open_true_is_one", "", "a seq that is true stands where 1 does", keyed(`"seq":0`, `"seq":true`, `"seq":1`, `"seq":1.5`), passes("SKIPPED"))
	w.bad("open_true_is_not_two", "", "a seq that is true stands behind 2", keyed(`"seq":2`, `"seq":true`), tamper)
	w.bad("open_null_seq", "", "a seq of null has no order", keyed(`"seq":null`, `"seq":null`), tamper)
	w.add("open_false_traces", "", "traces that are false name no run, and are equal", keyed(`"_trace_id":false,"seq":1`, `"_trace_id":false,"seq":2`), passes("SKIPPED"))
	w.bad("open_false_and_zero", "", "traces that are false and 0 have no order", keyed(`"_trace_id":false,"seq":1`, `"_trace_id":0,"seq":2`), tamper)
}

// openCards is how far the definitions of claims are searched for, and patterns.
func (w *world) openCards() {
	counting := func(id string, n int64) claim.Card {
		return claim.Card{ID: id, Name: id, Claims: []claim.Claim{{ID: "count", Check: "receipt_count_ge", Severity: "critical", Params: jcs.Obj(jcs.M("min_count", jcs.Int(n)))}}}
	}
	one, two := counting("acme.one", 1), counting("acme.two", 2)
	found := func(last claim.Card) files {
		s := run("open_lists", "allow", 2)
		s.Cards = []claim.Card{two, one, one, one, one, one, last}
		return honest(s).with("_unsigned/run_cards.json", append(pretty(jcs.Arr(one.Definition(), two.Definition())), '\n'))
	}
	w.add("open_list_65", "", "of two cards with one claim id the 65th way to put seven together is the one that was signed", found(one), passes("PASS"), gate)
	w.add("open_list_66", "", "the 66th is not looked for", found(two),
		conformance.Expect{Exit: 1, Integrity: "PASS", Claims: "SKIPPED", Codes: []string{"W_CLAIMS_NOT_REEXECUTED", "W_RUN_CARDS_IGNORED"}}, gate)

	s := run("open_patterns", "allow", 2)
	var claims []claim.Claim
	for i, pattern := range []string{`gpt-(?:4|4o)(?:-mini)?`, `(?i)[[:alpha:]]{3}\W\pN+`, `(?s).{1,9}\b.*`, `(?:(g|gp|gpt)*-)+[^\D]`} {
		claims = append(claims, claim.Claim{ID: fmt.Sprintf("model_%d", i), Check: "field_matches", Severity: "critical",
			Params: jcs.Obj(jcs.M("field_name", jcs.Str("model_id")), jcs.M("pattern", jcs.Str(pattern)), jcs.M("receipt_type", jcs.Str("model_call")))})
	}
	s.Cards = []claim.Card{{ID: "acme.models", Name: "Models", Claims: claims}}
	w.add("open_patterns", "", "claims with patterns of RE2 are executed again", honest(s), passes("PASS"), gate)
	s.RunID = "corpus_open_patterns_fail"
	s.Cards = []claim.Card{{ID: "acme.models", Name: "Models", Claims: append(claims, claim.Claim{ID: "model_k", Check: "field_matches", Severity: "critical",
		Params: jcs.Obj(jcs.M("field_name", jcs.Str("model_id")), jcs.M("pattern", jcs.Str(`(?i)GPT-\p{Greek}`)), jcs.M("receipt_type", jcs.Str("model_call")))})}}
	w.add("open_patterns_fail", "", "honest failure: a pattern that does not match", honest(s), honestFailure, gate)
}

// openBreakglass is a pack whose claims were evaluated by who takes assay.breakglass/v1 for any type.
func (w *world) openBreakglass() {
	s := run("open_breakglass", "allow", 1)
	s.Receipts = append(s.Receipts, line("open_breakglass", 2, receipt.BreakglassType, `"reason":"on call"`))
	f := honest(spec{s}.cards("no_breakglass").Spec)
	read := func(named jcs.Value) files {
		result := get(f.parsed(report), "claim_verification.results").Items[0]
		result = jcstest.Set(jcstest.Set(result, "actual", jcs.Str("found 0")), "evidence_receipt_ids", named)
		return lie(f.with(report, pretty(jcstest.Set(f.parsed(report), "claim_verification.results", jcs.Arr(result)))))
	}
	w.add("open_breakglass", "", "a builder that does not know the other name of breakglass found none: the claims fail, and it is no tampering", read(jcs.Arr()),
		conformance.Expect{Exit: 1, Integrity: "PASS", Claims: "FAIL", Codes: []string{"W_BREAKGLASS"}}, gate)
	w.bad("open_breakglass_evidence", "P23", "the same, and its report names a receipt", read(jcs.Arr(jcs.Str("r_elsewhere"))), tamper)
}

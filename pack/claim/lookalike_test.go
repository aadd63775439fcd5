package claim

import "testing"

// VFY-48
func TestIdsThatReadLikeABuiltInOnesAreFound(t *testing.T) {
	for id, twin := range map[string]string{
		"guardian_enforcement": "", "guardian-enforcement": "guardian_enforcement", "guardian_enforcement ": "guardian_enforcement",
		" guardian enforcement": "guardian_enforcement", "Guardian_Enforcement": "guardian_enforcement", "guardian\u2010enforcement": "guardian_enforcement",
		"gu\u0430rdian_enforcement": "guardian_enforcement", "guard1an_enforcement": "guardian_enforcement", "guardianenforcement": "guardian_enforcement",
		"guardian_enforcment": "guardian_enforcement", "guardian_enforcements": "guardian_enforcement", "gaurdian_enforcement": "guardian_enforcement",
		"guardian_enforcement\u200b": "guardian_enforcement", "\uff47uardian_enforcement": "guardian_enforcement", "no-breakglass": "no_breakglass", "n0_breakglass": "no_breakglass",
		"acme.guardian_enforcement": "", "guardian": "", "acme.tokens": "", "my_card": "", "coverage": "", "": "",
		"guardian_enforcernent": "guardian_enforcement", "receipt_cornpleteness": "receipt_completeness", "receipt_completeness.v1": "receipt_completeness",
		"assay.receipt_completeness": "receipt_completeness", "Assay/receipt-completeness": "receipt_completeness", "guardian_enforcement_strict": "guardian_enforcement",
		"my_no_breakglass": "no_breakglass", "built-in.no_breakglass": "no_breakglass", "acme.no_breakglass.v2": "", "acme/no_breakglass": "",
		"receipt_completeness (built in), guardian_enforcement (built in), no_breakglass": "guardian_enforcement",
	} {
		if got := Lookalike(id); got != twin {
			t.Errorf("%q: %q, want %q", id, got, twin)
		}
	}
	for _, card := range BuiltinCards() {
		for i := range card.ID {
			if id := card.ID[:i] + "q" + card.ID[i+1:]; card.ID[i] != '_' && Lookalike(id) != card.ID {
				t.Errorf("%q is not seen to look like %s", id, card.ID)
			}
		}
	}
}

// CLM-17
func TestWarningsAloneCannotFail(t *testing.T) {
	warning, odd := always(t, "a", "WARNING"), always(t, "c", "unheard")
	for want, cards := range map[bool][][]Card{
		false: {nil, {warning}, {builtin("schema_consistency"), warning}, {always(t, "b", "critical")},
			{oneCard(t, "receipt_count_ge", `{"min_count":-1}`)}, {oneCard(t, "receipt_count_ge", `{"min_count":-0.0}`)}, {oneCard(t, "receipt_count_between", `{"min_count":0,"max_count":9007199254740991}`)},
			{oneCard(t, "receipt_count_le", `{"max_count":9007199254740991}`)}, {oneCard(t, "coverage_contract", `{"min_coverage":0}`)}},
		true: {{oneCard(t, "receipt_count_ge", `{"min_count":0.5}`)}, {oneCard(t, "receipt_count_le", `{"max_count":5}`)}, {oneCard(t, "receipt_count_ge", `{}`)}, {builtin("coverage_contract")}, {warning, builtin("no_breakglass")}, {odd}},
	} {
		for _, list := range cards {
			if CanFail(list) != want {
				t.Errorf("%v can fail: %t", list, !want)
			}
		}
	}
}

package claim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
)

func TestAPrefixIsFoundByOneLookWhateverTheOthersAre(t *testing.T) {
	words := []string{"", "a", "b", "aa", "ab", "ba", "aab", "abb", "b\xff", "ba\x00"}
	for set := range 1 << len(words) {
		var prefixes []string
		for i, w := range words[1:] {
			if set&(2<<i) != 0 {
				prefixes = append(prefixes, w)
			}
		}
		kept := shortest(slices.Clone(prefixes))
		for _, text := range append(words, "aabx", "abx", "bz", "b\xffx", "c") {
			want := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(text, p) })
			if got := beginsWithOne(text, kept); got != want {
				t.Fatalf("%q begins with one of %q: %t", text, prefixes, got)
			}
		}
	}
}

// CLM-24
func TestClaimsThatKeepTooMuchOfTheReceiptsGiveUpAndFail(t *testing.T) {
	for _, c := range []struct {
		check, params, actual string
		room                  int
	}{
		{"no_gap_in_seq", `{}`, "gave up after 3: the claims keep too much of the receipts", 2},
		{"latency_p95_le", `{"field_name":"seq","max_ms":9}`, "gave up after 3: the claims keep too much of the receipts", 2},
		{"every_has", `{"receipt_type":"model_call","has_type":"model_call","has_link_field":"self"}`, "gave up after 2: the claims keep too much of the receipts", 23},
		{"every_has", `{"receipt_type":"refusal","has_type":"model_call","has_link_field":"self","allow_none":true}`, "gave up after 0: the claims keep too much of the receipts", 23},
	} {
		for _, enough := range []bool{false, true} {
			run := NewRun(oneCard(t, c.check, c.params).Claims)
			var e *allowance
			switch check := run.canonical[0].(type) {
			case *sequenceCheck:
				e = check.effort
			case *latencyCheck:
				e = check.effort
			case *linkCheck:
				e = check.effort
			}
			if e.kept = maxKept - c.room; enough {
				e.kept = maxKept - 64
			}
			for i := range 4 {
				run.Add(jcstest.Parse(t, fmt.Sprintf(`{"receipt_id":"r%d","type":"model_call","seq":%d,"self":"r%d"}`, i, i, i)))
			}
			if got := run.Results()[0]; got.Passed != enough || !enough && got.Actual != c.actual {
				t.Errorf("%s, enough %t: %+v", c.check, enough, got)
			}
		}
	}
}

func TestEveryHasNamesThoseThatStillWaitInTheirOrder(t *testing.T) {
	run := NewRun(oneCard(t, "every_has", `{"receipt_type":"model_call","has_type":"refusal","link_field":"k","has_link_field":"k","order":"after"}`).Claims)
	add := func(typ, id string, k int) {
		run.Add(jcstest.Parse(t, fmt.Sprintf(`{"receipt_id":%q,"type":%q,"k":%d}`, id, typ, k)))
	}
	for i := range 2 * maxWaiting { // more than are remembered
		add("model_call", fmt.Sprint("early", i), i)
	}
	for i := range 2 * maxWaiting {
		add("refusal", "x", i)
	}
	add("model_call", "late", 7) // a key that was answered once waits again
	add("model_call", "later", 8)
	add("model_call", "latest", 7)
	if got := run.Results()[0]; got.Passed || got.Actual != "3 without out of 2051" || !slices.Equal(got.Evidence, []string{"late", "later", "latest"}) {
		t.Errorf("%+v", got)
	}
}

// CLM-19: a receipt that comes while 1,024 wait is counted and can be answered, and is named by nobody.
func TestEveryHasCountsAndAnswersWhatItDoesNotName(t *testing.T) {
	for answered, want := range map[int]Result{
		maxWaiting + 1: {Passed: true, Actual: "0 without out of 1025"},
		maxWaiting:     {Actual: "1 without out of 1025"},
		maxWaiting - 1: {Actual: "2 without out of 1025", Evidence: []string{"r1023"}},
	} {
		run := NewRun(oneCard(t, "every_has", `{"receipt_type":"model_call","has_type":"refusal","link_field":"k","has_link_field":"k"}`).Claims)
		for i := range maxWaiting + 1 {
			run.Add(jcstest.Parse(t, fmt.Sprintf(`{"receipt_id":"r%d","type":"model_call","k":%d}`, i, i)))
		}
		for i := range answered {
			run.Add(jcstest.Parse(t, fmt.Sprintf(`{"receipt_id":"x","type":"refusal","k":%d}`, i)))
		}
		if got := run.Results()[0]; got.Passed != want.Passed || got.Actual != want.Actual || !slices.Equal(got.Evidence, want.Evidence) {
			t.Errorf("%d answered: %+v", answered, got)
		}
	}
}

// A capital I with a dot is an i in the lowercase of Go, but not in that of Python.
// CLM-11
func TestASeverityIsOneToEveryVerifierOrToNone(t *testing.T) {
	for word, valid := range map[string]bool{"CRITICAL": true, "Warning": true, "cr\u0130tical": false, "warn\u0131ng": false, "warn\u0130ng": false} {
		claim := oneCard(t, "receipt_count_ge", `{"min_count":0}`).Claims[0]
		claim.Severity = Severity(word)
		if got := NewRun([]Claim{claim}).Results()[0]; got.Passed != valid || !valid && (got.Severity != "critical" || got.Actual != "invalid severity '"+word+"'") {
			t.Errorf("%q: %+v", word, got)
		}
	}
}

// VFY-41
func TestTheSearchForCardsHashesAsClaimSetHashDoesAndNotForEver(t *testing.T) {
	builtin := BuiltinCards()
	s := cardSearch{}
	for i, a := range builtin {
		for _, cards := range [][]Card{{a}, {a, a}, {a, {}, builtin[0]}, {{}}, builtin[:i]} {
			if got, want := s.hash(cards), SetHash(cards); got != want {
				t.Errorf("%d: %s, want %s", i, got, want)
			}
		}
	}
	// Cards that share their claim ids can be put together in many ways: each sequence is 4 MB here.
	long, pool := strings.Repeat("x", 1<<20), []Card(nil)
	var results []Result
	for i := range 4 {
		card := oneCard(t, "receipt_count_ge", `{"min_count":1}`)
		card.Claims[0].Description = fmt.Sprint(long, i)
		pool = append(pool, card)
		results = append(results, Result{ClaimID: "c"})
	}
	s = cardSearch{want: "none", budget: 1 << 20}
	for range 100 {
		s.byIDs(pool, results)
	}
	if s.hashed > maxHashed+5<<20 || s.hashed < maxHashed {
		t.Errorf("%d bytes hashed", s.hashed)
	}
}

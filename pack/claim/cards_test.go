package claim

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
)

// builtinHashes are those of claims.md §3.
var builtinHashes = map[string]string{
	"guardian_enforcement": "200503a9864b20739903ff8cc0816dfa989054b9aba41802b52f473beea50a71",
	"receipt_completeness": "0b9affe4a6e67d069cb3413aaf982fc05110dae0af8a0b4dce180e63e5d564dc",
	"no_breakglass":        "83409a8d647ddd43129e8c5017bcaa18f56ffa2cf00f79a651700a4af2ebb80f",
	"timestamp_ordering":   "717b621a1cb1ddf669712f53dea533fb6f913ff57dd8e4688647190467ce0d62",
	"schema_consistency":   "79db0a6c452a4134c1eeab9c73741062a0ad8bd2f6de3f95b4eae9d2eecfefe9",
	"coverage_contract":    "ecc0e258022ee817c4238435980d785cecc75fb1746d9b83f119be42bbef222f",
}

// CLM-1, CLM-8
func TestBuiltinCardsHaveTheirHashes(t *testing.T) {
	cards := BuiltinCards()
	if len(cards) != len(builtinHashes) {
		t.Errorf("%d cards, want %d", len(cards), len(builtinHashes))
	}
	for _, card := range cards {
		if got := SetHash([]Card{card}); got != builtinHashes[card.ID] {
			t.Errorf("%s: %s, want %s", card.ID, got, builtinHashes[card.ID])
		}
	}
	if got := SetHash(nil); got != "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945" {
		t.Errorf("no cards: %s", got)
	}
}

func TestBuiltinCardsAreTheReferences(t *testing.T) {
	cards := BuiltinCards()
	for i, want := range jcstest.Parse(t, string(sharedVector(t, "runcards.json"))).Items {
		got, err := CardOf(want.Without("claim_set_hash"))
		if err != nil {
			t.Fatal(err)
		}
		cards[i].Rationale = "" // ours
		if form.CanonicalHash(got.Definition()) != form.CanonicalHash(cards[i].Definition()) {
			t.Errorf("card %d is %+v, want %+v", i, cards[i], got)
		}
	}
}

// CLM-1: without a boundary between cards, in their order.
func TestTheOrderOfCardsIsPartOfTheHash(t *testing.T) {
	cards := BuiltinCards()
	a, b := SetHash([]Card{cards[0], cards[1]}), SetHash([]Card{cards[1], cards[0]})
	if a == b || a == SetHash([]Card{cards[0], cards[1], cards[1]}) {
		t.Error("another list of cards has the same hash")
	}
	if a != "5aac45a6cda9b190b586ccd51ab634e9a58c3c6fa3b4d7c2a053bc03df44732c" { // made by another implementation
		t.Errorf("the hash of two cards is %s", a)
	}
}

const fixtureCard = `{"card_id": "my_card", "name": "My card", "rationale": "why", "control": ["soc2/CC7.2"], "claims": [
  {"claim_id": "some_calls", "check": "receipt_count_ge", "params": {"min_count": 3}},
  {"claim_id": "no_override", "check": "no_receipt_type", "params": {"receipt_type": "breakglass"}}],
 "fixtures": {
  "pass": [{"name": "three", "receipts": [{}, {"seq": 2}, {"type": "refusal"}]}],
  "fail": [{"name": "two", "receipts": [{}, {"type": "breakglass"}], "fails": ["some_calls", "no_override"]}]}}`

const sampleCard = `{"card_id": "my_card", "name": "My card", "claims": [
  {"claim_id": "some_calls", "check": "receipt_count_ge", "params": {"min_count": 3}, "falsifier": {"description": "x"}},
  {"claim_id": "odd", "check": "nobody_knows", "description": "d", "severity": "Warning"}],
  "stochastic": true, "trials": 1}`

func TestCardsAreReadWithTheirDefaults(t *testing.T) {
	card, err := ParseCard([]byte(sampleCard))
	if err != nil {
		t.Fatal(err)
	}
	want := Card{ID: "my_card", Name: "My card", Claims: []Claim{
		{ID: "some_calls", Check: "receipt_count_ge", Severity: "critical", Params: jcs.Obj(jcs.M("min_count", jcs.Int(3)))},
		{ID: "odd", Description: "d", Check: "nobody_knows", Severity: "Warning", Params: jcs.Obj()},
	}}
	if SetHash([]Card{card}) != SetHash([]Card{want}) || card.Name != want.Name {
		t.Errorf("%+v, want %+v", card, want)
	}
}

// CLM-3, CLM-4
func TestDoubtfulCardsAreRefused(t *testing.T) {
	if _, err := ParseCard([]byte(sampleCard)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, says string }{
		{`"trials": 1`, `"trials": 2`, "trials"},
		{`"trials": 1`, `"trials": 0`, "trials"},
		{`"trials": 1`, `"trials": 1.0`, "trials"},
		{`"trials": 1`, `"trails": 1`, `unknown member "trails"`},
		{`"stochastic": true`, `"stochastic": 1`, "stochastic"},
		{`"card_id": "my_card"`, `"card_id": ""`, "card_id"},
		{`"card_id": "my_card"`, `"card_id": 7`, "card_id"},
		{`"card_id": "my_card"`, `"card_id": "my\u202ecard"`, "card_id"},
		{`"card_id": "my_card"`, `"card_id": "my_card\n"`, "card_id"},
		{`"card_id": "my_card", `, ``, "card_id"},
		{`"card_id": "my_card"`, `"card_id": "no_breakglass"`, "built-in"},
		{`"name": "My card", `, ``, "name"},
		{`"name": "My card"`, `"name": "My card", "name": "Yours"`, `second member named "name"`},
		{`"check": "nobody_knows"`, `"check": null`, "check"},
		{`"claim_id": "odd", `, ``, "claim_id"},
		{`"description": "d"`, `"description": null`, "description"},
		{`"severity": "Warning"`, `"severity": true`, "severity"},
		{`"severity"`, `"Severity"`, `unknown member "Severity"`},
		{`"params": {"min_count": 3}`, `"params": [3]`, "params"},
		{`"params": {"min_count": 3}`, `"params": {"min_count": 1e400}`, "canonical"},
	} {
		text := strings.Replace(sampleCard, c.old, c.new, 1)
		if text == sampleCard {
			t.Fatalf("%s: nothing to replace", c.old)
		}
		if _, err := ParseCard([]byte(text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected an error with %q", c.new, err, c.says)
		}
	}
	for _, text := range []string{``, `[]`, `{}`, `null`, `{"card_id":"a","name":"a","claims":[]}`, `{"card_id":"a","name":"a","claims":[1]}`,
		`{"card_id":"a","name":"a","claims":[` + strings.Repeat(`{"claim_id":"a","check":"a"},`, maxCardClaims) + `{"claim_id":"a","check":"a"}]}`} {
		if _, err := ParseCard([]byte(text)); err == nil {
			t.Errorf("%.40s was read", text)
		}
	}
}

func FuzzCard(f *testing.F) {
	f.Add([]byte(sampleCard))
	f.Add([]byte(fixtureCard))
	for _, card := range BuiltinCards() {
		text, err := jcs.AppendPython(nil, card.Definition())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		card, err := ParseCard(text)
		if err != nil {
			return
		}
		for _, v := range []jcs.Value{card.Value(), card.Definition()} {
			written, err := jcs.AppendPretty(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseCard(written)
			if len(written) <= maxCardBytes && (err != nil || SetHash([]Card{again}) != SetHash([]Card{card}) ||
				len(again.Pass) > 0 && form.CanonicalHash(again.Value()) != form.CanonicalHash(card.Value())) {
				t.Errorf("%s: written as %s, which reads as %+v, %v", text, written, again, err)
			}
		}
		card.Problems(false)
		for _, r := range card.Test() {
			if r.Err == nil && len(r.Results) != len(card.Claims) {
				t.Errorf("fixture %s: %+v", r.Name, r)
			}
		}
		run := NewRun(card.Claims)
		run.Add(card.Definition())
		if rs := run.Results(); len(rs) != len(card.Claims) || Fingerprint("", "", rs) == "" {
			t.Errorf("results %+v", rs)
		}
	})
}

func TestFixturesSayWhichClaimsFail(t *testing.T) {
	card, err := ParseCard([]byte(fixtureCard))
	if err != nil {
		t.Fatal(err)
	}
	if problems := card.Problems(false); len(problems) > 0 {
		t.Errorf("a good card: %q", problems)
	}
	for _, r := range card.Test() {
		if !r.OK() || r.ShouldPass != (r.Name == "three") || len(r.Results) != 2 {
			t.Errorf("%+v", r)
		}
	}
	for _, c := range []struct{ old, new, wrong string }{
		{`[{}, {"seq": 2}, {"type": "refusal"}]`, `[{}]`, "some_calls"},
		{`[{}, {"type": "breakglass"}]`, `[{}, {"type": "refusal"}]`, "no_override"},
		{`, "fails": ["some_calls", "no_override"]`, `, "fails": ["no_override"]`, "some_calls"},
	} {
		card := mustCard(t, fixtureCard, c.old, c.new)
		var wrong []string
		for _, r := range card.Test() {
			wrong = append(wrong, r.Wrong...)
		}
		if len(wrong) != 1 || wrong[0] != c.wrong {
			t.Errorf("%s: %q is wrong, want %s", c.new, wrong, c.wrong)
		}
	}
}

// mustCard reads the card with one thing changed.
func mustCard(t *testing.T, text, old, new string) Card {
	t.Helper()
	changed := strings.Replace(text, old, new, 1)
	if changed == text && old != "" {
		t.Fatalf("%s: nothing to replace", old)
	}
	card, err := ParseCard([]byte(changed))
	if err != nil {
		t.Fatalf("%s: %v", new, err)
	}
	return card
}

func TestACardToRelyOnLeavesNothingOpen(t *testing.T) {
	for _, c := range []struct {
		old, new, says string
		bare           bool // it is a problem for a bare card too
	}{
		{`"rationale": "why"`, `"rationale": " "`, "rationale", false},
		{`"rationale": "why"`, `"rationale": "TODO: x"`, "rationale", false},
		{`{"name": "three", "receipts": [{}, {"seq": 2}, {"type": "refusal"}]}`, ``, "no pass fixture", false},
		{`"some_calls", "no_override"]`, `"no_override"]`, `no fail fixture shows claim "some_calls" fail`, false},
		{`"claim_id": "no_override"`, `"claim_id": "some_calls"`, "earlier claim", true},
		{`"no_receipt_type"`, `"no_such"`, "no check is named", true},
		{`"min_count": 3`, `"min_count": "3"`, "not a number", true},
		{`"min_count": 3`, `"min_count": 3, "max_count": 4`, "unknown param 'max_count'", true},
		{`"params": {"min_count": 3}`, `"params": {"min_count": 3}, "severity": "fatal"`, "invalid severity", true},
		{`"receipt_count_ge", "params": {"min_count": 3}`, `"coverage_contract"`, "no pack carries", true},
		{`{"type": "refusal"}`, `{"type": "Refusal"}`, "not admitted", true},
		{`{"type": "refusal"}`, `{"Type": "refusal"}`, "only by case", true},
		{`{"type": "refusal"}`, `{"receipt_id": "r_0000"}`, "another receipt's", true},
		{`{"type": "refusal"}`, `{"timestamp": "now"}`, "ISO 8601", true},
		{`{"seq": 2}`, `{"seq": 2.5}`, "seq", true},
	} {
		text := strings.ReplaceAll(fixtureCard, c.old, c.new)
		if c.says == "earlier claim" {
			text = strings.Replace(text, `"fails": ["some_calls", "no_override"]`, `"fails": ["some_calls"]`, 1)
		}
		card := mustCard(t, text, "", "")
		if problems := strings.Join(card.Problems(false), "\n"); !strings.Contains(problems, c.says) {
			t.Errorf("%s: %q, want %q", c.new, problems, c.says)
		}
		if bare := strings.Join(card.Problems(true), "\n"); strings.Contains(bare, c.says) != c.bare {
			t.Errorf("%s: bare %q", c.new, bare)
		}
	}
}

// CLM-3: of fixtures.
func TestDoubtfulFixturesAreRefused(t *testing.T) {
	for _, c := range []struct{ old, new, says string }{
		{`"fails": ["some_calls", "no_override"]`, `"fails": []`, "fails"},
		{`, "fails": ["some_calls", "no_override"]`, ``, "fails"},
		{`"fails": ["some_calls", "no_override"]`, `"fails": ["some_calls", "some_calls"]`, "each once"},
		{`"fails": ["some_calls", "no_override"]`, `"fails": ["other"]`, "of this card"},
		{`{"name": "three", `, `{`, "name"},
		{`{"name": "three", `, `{"name": "three", "fails": ["some_calls"], `, `unknown member "fails"`},
		{`"pass":`, `"passes":`, `unknown member "passes"`},
		{`[{}, {"seq": 2}, {"type": "refusal"}]`, `[1]`, "objects"},
		{`[{}, {"seq": 2}, {"type": "refusal"}]`, `{}`, "receipts"},
		{`[{}, {"seq": 2}, {"type": "refusal"}]`, `[` + strings.Repeat(`{},`, maxFixture) + `{}]`, "receipts"},
		{`{"seq": 2}`, `{"seq": 1e400}`, "canonical"},
		{`"control": ["soc2/CC7.2"]`, `"control": "soc2/CC7.2"`, "control"},
		{`"control": ["soc2/CC7.2"]`, `"control": ["a\nb"]`, "control"},
		{`"rationale": "why"`, `"rationale": ["why"]`, "rationale"},
	} {
		text := strings.Replace(fixtureCard, c.old, c.new, 1)
		if text == fixtureCard {
			t.Fatalf("%s: nothing to replace", c.old)
		}
		if _, err := ParseCard([]byte(text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected an error with %q", c.new, err, c.says)
		}
	}
}

func TestTheHashCoversTheClaimsAlone(t *testing.T) {
	card := mustCard(t, fixtureCard, "", "")
	want := SetHash([]Card{card})
	bare := card
	bare.Rationale, bare.Control, bare.Pass, bare.Fail, bare.Name, bare.Description = "", nil, nil, nil, "x", "y"
	if SetHash([]Card{bare}) != want {
		t.Error("something besides the claims is hashed")
	}
	if v := card.Definition(); len(v.Members) != 6 {
		t.Errorf("what travels with a pack is %+v", v)
	} else if _, ok := v.Get("fixtures"); ok {
		t.Error("fixtures travel with a pack")
	}
}

func TestANewCardWorksOnceItHasARationale(t *testing.T) {
	card := NewCard("mine")
	problems := card.Problems(false)
	if len(problems) != 1 || !strings.Contains(problems[0], "rationale") {
		t.Errorf("%q", problems)
	}
	for _, r := range card.Test() {
		if !r.OK() {
			t.Errorf("%+v", r)
		}
	}
	text, err := jcs.AppendPretty(nil, card.Value())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseCard(text); err != nil || form.CanonicalHash(again.Value()) != form.CanonicalHash(card.Value()) {
		t.Errorf("%v: %+v", err, again)
	}
}

// Threat K07: no card names a file of the host.
// CLM-6
func TestAtk_K07_ACardThatReadsHostFilesIsRefused(t *testing.T) {
	for _, path := range []string{"../x", "a/../../x", "/etc/passwd", `..\\x`, `C:/x`, "a//b", ".", "", `x\u0000`} {
		text := `{"card_id":"a","name":"a","claims":[{"claim_id":"a","check":"coverage_contract","params":{"contract_path":"` + path + `"}}]}`
		if _, err := ParseCard([]byte(text)); err == nil || !strings.Contains(err.Error(), "leads out of the directory") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := ParseCard([]byte(`{"card_id":"a","name":"a","claims":[{"claim_id":"a","check":"coverage_contract","params":{"contract_path":"a/b.json"}}]}`)); err != nil {
		t.Error(err)
	}
}

// Threat K04: a card is its claims. One that has the id of a built-in and other claims is refused, and one
// with changed claims and an unchanged id has another hash.
// CLM-5
func TestAtk_K04_AChangedCardIsAnotherCard(t *testing.T) {
	card := mustCard(t, fixtureCard, "", "")
	for _, change := range []string{`"min_count": 2`, `"min_count": 3.5`, `"min_count": 3, "x": 1`} {
		if SetHash([]Card{mustCard(t, fixtureCard, `"min_count": 3`, change)}) == SetHash([]Card{card}) {
			t.Errorf("%s: the same hash", change)
		}
	}
	for id := range builtinHashes {
		if _, err := ParseCard([]byte(strings.Replace(fixtureCard, "my_card", id, 1))); err == nil || !strings.Contains(err.Error(), "built-in") {
			t.Errorf("%s is shadowed: %v", id, err)
		}
	}
}

// A check that looks at the order sees the order of a pack: by sequence number, then by id.
func TestFixturesStandInPackOrder(t *testing.T) {
	card := mustCard(t, `{"card_id":"a","name":"a","claims":[{"claim_id":"a","check":"timestamps_monotonic"}],"fixtures":{"pass":[{"name":"by seq","receipts":[
		{"seq":2,"timestamp":"2026-01-15T11:00:02Z"},{"seq":1,"timestamp":"2026-01-15T11:00:01Z"}]}],"fail":[]}}`, "", "")
	if r := card.Test()[0]; !r.OK() {
		t.Errorf("%+v", r)
	}
}

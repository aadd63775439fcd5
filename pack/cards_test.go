package pack

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// builtinHashes are those of pack.md §5.6.
var builtinHashes = map[string]string{
	"guardian_enforcement": "200503a9864b20739903ff8cc0816dfa989054b9aba41802b52f473beea50a71",
	"receipt_completeness": "0b9affe4a6e67d069cb3413aaf982fc05110dae0af8a0b4dce180e63e5d564dc",
	"no_breakglass":        "83409a8d647ddd43129e8c5017bcaa18f56ffa2cf00f79a651700a4af2ebb80f",
	"timestamp_ordering":   "717b621a1cb1ddf669712f53dea533fb6f913ff57dd8e4688647190467ce0d62",
	"schema_consistency":   "79db0a6c452a4134c1eeab9c73741062a0ad8bd2f6de3f95b4eae9d2eecfefe9",
	"coverage_contract":    "ecc0e258022ee817c4238435980d785cecc75fb1746d9b83f119be42bbef222f",
}

func TestBuiltinCardsHaveTheirHashes(t *testing.T) {
	cards := BuiltinCards()
	if len(cards) != len(builtinHashes) {
		t.Errorf("%d cards, want %d", len(cards), len(builtinHashes))
	}
	for _, card := range cards {
		if got := ClaimSetHash([]Card{card}); got != builtinHashes[card.ID] {
			t.Errorf("%s: %s, want %s", card.ID, got, builtinHashes[card.ID])
		}
	}
	if got := ClaimSetHash(nil); got != "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945" {
		t.Errorf("no cards: %s", got)
	}
}

func TestBuiltinCardsAreTheReferences(t *testing.T) {
	cards := BuiltinCards()
	for i, want := range parsed(t, string(sharedVector(t, "runcards.json"))).Items {
		got, err := cardOf(want.Without("claim_set_hash"))
		if err != nil {
			t.Fatal(err)
		}
		if canonicalHash(got.value()) != canonicalHash(cards[i].value()) {
			t.Errorf("card %d is %+v, want %+v", i, cards[i], got)
		}
	}
}

func TestTheOrderOfCardsIsPartOfTheHash(t *testing.T) {
	cards := BuiltinCards()
	a, b := ClaimSetHash([]Card{cards[0], cards[1]}), ClaimSetHash([]Card{cards[1], cards[0]})
	if a == b || a == ClaimSetHash([]Card{cards[0], cards[1], cards[1]}) {
		t.Error("another list of cards has the same hash")
	}
}

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
	if ClaimSetHash([]Card{card}) != ClaimSetHash([]Card{want}) || card.Name != want.Name {
		t.Errorf("%+v, want %+v", card, want)
	}
}

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
	for _, card := range BuiltinCards() {
		text, err := jcs.AppendPython(nil, card.value())
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
		written, err := jcs.AppendPack(nil, card.value())
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseCard(written)
		if err != nil || ClaimSetHash([]Card{again}) != ClaimSetHash([]Card{card}) {
			t.Errorf("%s: written as %s, which reads as %+v, %v", text, written, again, err)
		}
		run := newClaimRun(card.Claims)
		run.add(card.value())
		if rs := run.results(); len(rs) != len(card.Claims) || discrepancyFingerprint("", "", rs) == "" {
			t.Errorf("results %+v", rs)
		}
	})
}

// Package packtest has what tests of packs and of their rooms share: cards, a coverage contract and keys that everybody
// knows. Tests inside pack/claim have cards of their own, since this package imports that one.
package packtest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
)

// Builtin is the built-in card of an id.
func Builtin(id string) claim.Card {
	for _, card := range claim.BuiltinCards() {
		if card.ID == id {
			return card
		}
	}
	panic("no card " + id)
}

// OneCard is a card of one claim.
func OneCard(t testing.TB, check, params string) claim.Card {
	t.Helper()
	return claim.Card{ID: "acme.card", Name: "Acme", Claims: []claim.Claim{{ID: "c", Check: check, Severity: "critical", Params: jcstest.Parse(t, params)}}}
}

// Always is a card that no run can fail, under an id.
func Always(t testing.TB, id string, severity claim.Severity) claim.Card {
	t.Helper()
	card := OneCard(t, "receipt_count_ge", `{"min_count":0}`)
	card.ID, card.Claims[0].Severity = id, severity
	return card
}

// CallsCard is a card that nobody builds in.
func CallsCard(t testing.TB) claim.Card {
	t.Helper()
	card, err := claim.ParseCard([]byte(`{"card_id": "acme.calls", "name": "Calls", "claims": [
		{"claim_id": "two", "check": "receipt_count_ge", "params": {"min_count": 2}},
		{"claim_id": "calls", "description": "model calls", "check": "receipt_type_present", "params": {"receipt_type": "model_call"}, "severity": "warning"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return card
}

// ContractText is as the reference tool's scan writes it.
const ContractText = `{
  "contract_version": "1.0",
  "generated_at": "2026-11-21T11:40:20.559838+00:00",
  "generated_by": "assay-scan",
  "project_root": "/src/app",
  "call_sites": [
    {"callsite_id": "bab787e3d70d", "path": "app.py", "line": 3, "call": "c.chat.completions.create", "confidence": "high", "instrumented": false, "framework": "openai"},
    {"callsite_id": "bab787e3d70d", "path": "app.py", "line": 3, "call": "c.chat.completions.create", "confidence": "high", "instrumented": false, "framework": "openai"},
    {"callsite_id": "0c28b9b44d62", "path": "app.py", "line": 5, "call": "c.chat.completions.create", "confidence": "high", "instrumented": false, "framework": "openai"}
  ],
  "summary": {"total_sites": 3, "high": 3, "medium": 0, "low": 0},
  "contract_hash": "f2886071f1ca4452c37c18e6457f7c3899cca8f7af9c69d67a9afd48095d3ef1"
}`

// Contract is that text with call sites of these ids.
func Contract(t testing.TB, sites ...string) *claim.Contract {
	t.Helper()
	list := jcs.Arr()
	for i, id := range sites {
		list.Items = append(list.Items, jcs.Obj(jcs.M("callsite_id", jcs.Str(id)), jcs.M("path", jcs.Str("a.py")), jcs.M("line", jcs.Int(int64(i))),
			jcs.M("call", jcs.Str("f")), jcs.M("confidence", jcs.Str("high")), jcs.M("instrumented", jcs.Boolean(true))))
	}
	v := jcstest.Set(jcstest.Set(jcstest.Parse(t, ContractText), "call_sites", list), "contract_hash", jcs.Str(form.CanonicalHash(list)))
	c, err := claim.ParseContract(jcstest.Plain(jcstest.Set(v, "summary.total_sites", jcs.Int(int64(len(sites))))))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Key is a signer of packs whose secret key everybody knows.
type Key struct {
	Name    string
	Private ed25519.PrivateKey
}

// KeyFrom makes a key of a text.
func KeyFrom(id, seed string) Key {
	sum := sha256.Sum256([]byte(seed))
	return Key{id, ed25519.NewKeyFromSeed(sum[:])}
}

func (k Key) ID() string                          { return k.Name }
func (k Key) Public() ed25519.PublicKey           { return k.Private.Public().(ed25519.PublicKey) }
func (k Key) Sign(message []byte) ([]byte, error) { return ed25519.Sign(k.Private, message), nil }

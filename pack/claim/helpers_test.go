package claim

import (
	"os"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
)

func builtin(id string) Card {
	for _, card := range BuiltinCards() {
		if card.ID == id {
			return card
		}
	}
	panic("no card " + id)
}

// oneCard is a card of one claim.
func oneCard(t testing.TB, check, params string) Card {
	t.Helper()
	return Card{ID: "acme.card", Name: "Acme", Claims: []Claim{{ID: "c", Check: check, Severity: "critical", Params: jcstest.Parse(t, params)}}}
}

// contractText is as the reference tool's scan writes it.
const contractText = `{
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

// sharedVector reads a file of the shared vectors, which are not part of the repository.
func sharedVector(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../../shared/vectors/derived/" + name)
	if err != nil {
		t.Skipf("SKIPPED: the shared vectors are not here: %v", err)
	}
	return text
}

// always is a card that no run can fail, under an id.
func always(t testing.TB, id string, severity Severity) Card {
	t.Helper()
	card := oneCard(t, "receipt_count_ge", `{"min_count":0}`)
	card.ID, card.Claims[0].Severity = id, severity
	return card
}

package lock

import (
	"crypto/ed25519"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
)

func builtin(id string) claim.Card {
	for _, card := range claim.BuiltinCards() {
		if card.ID == id {
			return card
		}
	}
	panic("no card " + id)
}

var builtAt = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

var (
	testSigner = keyFrom("test-signer", "pack test signer")
)

// oneCard is a card of one claim.
func oneCard(t testing.TB, check, params string) claim.Card {
	t.Helper()
	return claim.Card{ID: "acme.card", Name: "Acme", Claims: []claim.Claim{{ID: "c", Check: check, Severity: "critical", Params: jcstest.Parse(t, params)}}}
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

func mustContract(t testing.TB, sites ...string) *claim.Contract {
	t.Helper()
	list := jcs.Arr()
	for i, id := range sites {
		list.Items = append(list.Items, jcs.Obj(jcs.M("callsite_id", jcs.Str(id)), jcs.M("path", jcs.Str("a.py")), jcs.M("line", jcs.Int(int64(i))),
			jcs.M("call", jcs.Str("f")), jcs.M("confidence", jcs.Str("high")), jcs.M("instrumented", jcs.Boolean(true))))
	}
	v := jcstest.Set(jcstest.Set(jcstest.Parse(t, contractText), "call_sites", list), "contract_hash", jcs.Str(form.CanonicalHash(list)))
	c, err := claim.ParseContract(jcstest.Plain(jcstest.Set(v, "summary.total_sites", jcs.Int(int64(len(sites))))))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const sharedLocks = sharedPacks + "/../locks"

func sharedLock(t testing.TB, name string) []byte {
	t.Helper()
	needShared(t)
	text, err := os.ReadFile(filepath.Join(sharedLocks, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// callsCard is a card that nobody builds in.
func callsCard(t testing.TB) claim.Card {
	t.Helper()
	card, err := claim.ParseCard([]byte(`{"card_id": "acme.calls", "name": "Calls", "claims": [
		{"claim_id": "two", "check": "receipt_count_ge", "params": {"min_count": 2}},
		{"claim_id": "calls", "description": "model calls", "check": "receipt_type_present", "params": {"receipt_type": "model_call"}, "severity": "warning"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return card
}

func mustLock(t testing.TB, s Spec) *Lock {
	t.Helper()
	if s.At.IsZero() {
		s.At = builtAt
	}
	l, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// sharedPacks is the folder of reference packs beside the repository.
const sharedPacks = "../../../shared/vectors/packs"

func needShared(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(sharedPacks); err != nil {
		t.Skipf("SKIPPED: the reference packs are not here: %v", err)
	}
}

// testKey is a pack signer from a seed string.
type testKey struct {
	id   string
	priv ed25519.PrivateKey
}

func keyFrom(id, seed string) testKey {
	sum := sha256.Sum256([]byte(seed))
	return testKey{id, ed25519.NewKeyFromSeed(sum[:])}
}

func (k testKey) ID() string                          { return k.id }
func (k testKey) Public() ed25519.PublicKey           { return k.priv.Public().(ed25519.PublicKey) }
func (k testKey) Sign(message []byte) ([]byte, error) { return ed25519.Sign(k.priv, message), nil }

// always is a card that no run can fail, under an id.
func always(t testing.TB, id string, severity claim.Severity) claim.Card {
	t.Helper()
	card := oneCard(t, "receipt_count_ge", `{"min_count":0}`)
	card.ID, card.Claims[0].Severity = id, severity
	return card
}

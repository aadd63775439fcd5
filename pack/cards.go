package pack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Card is a run card: claims under one id. ClaimSetHash is H(C([claims])).
type Card struct {
	ID, Name, Description string
	Claims                []Claim
}

// Claim is one statement about the receipts of a pack (pack.md §5.1):
//
//	{"check":"receipt_count_ge","claim_id":"min_receipt_count","description":"At least 1 receipt in the pack",
//	 "params":{"min_count":1},"severity":"critical"}
//
// Those five members, canonical, are what a claim_set_hash covers.
type Claim struct {
	ID, Description, Check, Severity string
	Params                           jcs.Value // object; the zero Value counts as {}
}

const (
	maxCardBytes  = 256 << 10
	maxCardDepth  = 32
	maxCardClaims = 256 // each is asked of every receipt
	maxCardText   = 128 // bytes of an id or a name
)

// BuiltinCards returns the six cards that every verifier knows (pack.md §5.6). Their texts are hash input.
func BuiltinCards() []Card {
	typ := func(t string) jcs.Value { return jcs.Obj(jcs.M("receipt_type", jcs.Str(t))) }
	return []Card{
		{"guardian_enforcement", "Guardian Enforcement", "Guardian is active and producing verdicts for unsafe actions.", []Claim{
			{"guardian_verdict_present", "At least one guardian_verdict receipt exists", "receipt_type_present", "critical", typ("guardian_verdict")},
		}},
		{"receipt_completeness", "Receipt Completeness", "Every significant action produces a receipt.", []Claim{
			{"min_receipt_count", "At least 1 receipt in the pack", "receipt_count_ge", "critical", jcs.Obj(jcs.M("min_count", jcs.Int(1)))},
			{"model_call_present", "At least one model_call receipt exists", "receipt_type_present", "critical", typ("model_call")},
		}},
		{"no_breakglass", "No Breakglass", "No breakglass receipts in shadow mode (override requires explicit escalation).", []Claim{
			{"no_breakglass", "No breakglass receipts present", "no_receipt_type", "critical", typ("breakglass")},
		}},
		{"timestamp_ordering", "Timestamp Ordering", "Receipt timestamps are non-decreasing (no clock manipulation).", []Claim{
			{"timestamps_monotonic", "Timestamps are monotonically non-decreasing", "timestamps_monotonic", "critical", jcs.Obj()},
		}},
		{"schema_consistency", "Schema Consistency", "All model_call receipts use the expected schema version.", []Claim{
			{"schema_version_consistent", "All model_call receipts use schema_version 3.0", "field_value_matches", "warning", jcs.Obj(
				jcs.M("receipt_type", jcs.Str("model_call")),
				jcs.M("field_name", jcs.Str("schema_version")),
				jcs.M("expected_value", jcs.Str("3.0")))},
		}},
		{"coverage_contract", "Coverage Contract", "Runtime receipts cover scanned call sites above the minimum threshold.", []Claim{
			{"callsite_coverage", "Receipt callsite_ids cover >= min_coverage of contract sites", "coverage_contract", "critical", jcs.Obj(
				jcs.M("contract_path", jcs.Str("assay.coverage.json")),
				jcs.M("min_coverage", jcs.Float(0.8)))},
		}},
	}
}

// ClaimSetHash is H(C(claims)) over the claims of all cards in the order given: order and repetition
// matter (pack.md §5.4). It is "" if a parameter has no canonical form, which ParseCard refuses.
func ClaimSetHash(cards []Card) string {
	var specs []jcs.Value
	for _, card := range cards {
		for _, claim := range card.Claims {
			specs = append(specs, claim.value())
		}
	}
	return canonicalHash(jcs.Arr(specs...))
}

// canonicalHash is H(C(v)), "" if v has no canonical form.
func canonicalHash(v jcs.Value) string {
	text, err := jcs.AppendPack(nil, v)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// value is the claim as it is hashed, and as a card file holds it.
func (c Claim) value() jcs.Value {
	params := c.Params
	if params.Kind == jcs.Null {
		params = jcs.Obj()
	}
	return jcs.Obj(
		jcs.M("claim_id", jcs.Str(c.ID)),
		jcs.M("description", jcs.Str(c.Description)),
		jcs.M("check", jcs.Str(c.Check)),
		jcs.M("params", params),
		jcs.M("severity", jcs.Str(c.Severity)))
}

// value is the card as ParseCard reads it.
func (c Card) value() jcs.Value {
	claims := make([]jcs.Value, len(c.Claims))
	for i, claim := range c.Claims {
		claims[i] = claim.value()
	}
	return jcs.Obj(
		jcs.M("card_id", jcs.Str(c.ID)),
		jcs.M("name", jcs.Str(c.Name)),
		jcs.M("description", jcs.Str(c.Description)),
		jcs.M("claims", jcs.Arr(claims...)))
}

// ParseCard reads a card file (pack.md §5.7):
//
//	{"card_id": "my_card", "name": "My card", "claims": [
//	   {"claim_id": "some_calls", "check": "receipt_count_ge", "params": {"min_count": 3}}]}
//
// It refuses unknown and duplicate members, a card without claims, more than 256 of them, cards that ask
// for several trials, and a built-in's id on other claims. A check or severity that nobody knows is no
// error: such a claim fails when it is asked. A claim's "falsifier" is read over, as the reference does:
// it is not part of the hash.
func ParseCard(text []byte) (Card, error) {
	v, err := jcs.Parse(text, jcs.Limits{Bytes: maxCardBytes, Depth: maxCardDepth})
	if err != nil {
		return Card{}, fmt.Errorf("run card: %w", err)
	}
	return cardOf(v)
}

// cardOf is ParseCard for a card inside another document.
func cardOf(v jcs.Value) (Card, error) {
	f := fields{of: "run card"}
	f.open(v, "card_id", "name", "description", "claims", "stochastic", "trials")
	card := Card{
		ID:          f.label("card_id"),
		Name:        f.label("name"),
		Description: f.text("description", ""),
	}
	f.oneTrial()
	claims := f.claims()
	if f.err != nil {
		return Card{}, f.err
	}
	for i, spec := range claims {
		claim, err := claimOf(spec)
		if err != nil {
			return Card{}, fmt.Errorf("run card %q claim %d: %w", card.ID, i+1, err)
		}
		card.Claims = append(card.Claims, claim)
	}
	hash := ClaimSetHash([]Card{card})
	if hash == "" {
		return Card{}, fmt.Errorf("run card %q: a parameter has no canonical form", card.ID)
	}
	for _, builtin := range BuiltinCards() {
		if builtin.ID == card.ID && ClaimSetHash([]Card{builtin}) != hash {
			return Card{}, fmt.Errorf("run card %q: the built-in card of that id has other claims", card.ID)
		}
	}
	return card, nil
}

func claimOf(v jcs.Value) (Claim, error) {
	f := fields{of: "claim"}
	f.open(v, "claim_id", "description", "check", "params", "severity", "falsifier")
	claim := Claim{
		ID:          f.label("claim_id"),
		Description: f.text("description", ""),
		Check:       f.label("check"),
		Severity:    f.text("severity", "critical"),
		Params:      jcs.Obj(),
	}
	if params, ok := v.Get("params"); ok {
		if params.Kind != jcs.Object {
			f.fail("params", "an object")
		}
		claim.Params = params
	}
	return claim, f.err
}

// fields reads the members of one object; the first error stays.
type fields struct {
	of    string
	value jcs.Value
	err   error
}

func (f *fields) open(v jcs.Value, known ...string) {
	if v.Kind != jcs.Object {
		f.err = errors.New(f.of + ": expected an object")
		return
	}
	f.value = v
members:
	for _, m := range v.Members {
		for _, name := range known {
			if m.Name == name {
				continue members
			}
		}
		f.err = fmt.Errorf("%s: unknown member %q", f.of, m.Name)
		return
	}
}

func (f *fields) fail(name, want string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s: expected %s", f.of, name, want)
	}
}

// label reads a required string that people see on one line.
func (f *fields) label(name string) string {
	v, _ := f.value.Get(name)
	if v.Kind != jcs.String || v.Text == "" || len(v.Text) > maxCardText || !isPrintable(v.Text) {
		f.fail(name, fmt.Sprintf("a printable text of 1 to %d bytes", maxCardText))
	}
	return v.Text
}

func (f *fields) text(name, absent string) string {
	v, ok := f.value.Get(name)
	if !ok {
		return absent
	}
	if v.Kind != jcs.String {
		f.fail(name, "a string")
	}
	return v.Text
}

// oneTrial refuses cards that pass if enough of several runs do: a pack holds one run.
func (f *fields) oneTrial() {
	stochastic, ok := f.value.Get("stochastic")
	if ok && stochastic.Kind != jcs.Bool {
		f.fail("stochastic", "true or false")
	}
	trials, ok := f.value.Get("trials")
	if !ok {
		return
	}
	n, isInt := trials.Int64()
	if !isInt || n < 1 {
		f.fail("trials", "an integer of at least 1")
	}
	if stochastic.Bool && n > 1 {
		f.fail("trials", "1: a card that needs several runs cannot be judged on one pack")
	}
}

func (f *fields) claims() []jcs.Value {
	v, _ := f.value.Get("claims")
	if v.Kind != jcs.Array || len(v.Items) == 0 || len(v.Items) > maxCardClaims {
		f.fail("claims", fmt.Sprintf("1 to %d claims", maxCardClaims))
		return nil
	}
	return v.Items
}

func isPrintable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// Package claim is what is claimed of the receipts of a pack: statements that anybody can execute again.
//
// A Claim names one check and its parameters, a Card is claims under one id, and a claim_set_hash (SetHash)
// stands for the claims of all cards of a pack in their order. ParseCard reads a card from a file, BuiltinCards
// are those that every verifier knows, Predicates lists the checks, and Card.Test runs a card on the fixtures
// in it. A Run is asked: Add shows it each receipt in the order of the pack, Results is what the claims came to.
// A Contract is the file of call sites that one of the checks compares receipts with.
package claim

import (
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// Card is a run card: claims under one id. SetHash is H(C([claims])): it covers the claims alone,
// so that why a card asks them, and what shows that they work, can be written later.
type Card struct {
	ID, Name, Description string
	Rationale             string   // why whoever relies on it wants these claims
	Control               []string // the controls elsewhere that it serves, such as "soc2/CC7.2"
	Claims                []Claim
	Pass, Fail            []Fixture
}

// Fixture is a handful of receipts and what the card's claims must come to on them. A receipt may leave
// out receipt_id, type (model_call) and timestamp; the receipts stand in the order that a pack gives them.
type Fixture struct {
	Name     string
	Receipts []jcs.Value // objects
	Fails    []string    // the ids of exactly the claims that fail; none in Card.Pass
}

// Claim is one statement about the receipts of a pack:
//
//	{"check":"receipt_count_ge","claim_id":"min_receipt_count","description":"At least 1 receipt in the pack",
//	 "params":{"min_count":1},"severity":"critical"}
//
// Those five members, canonical, are what a claim_set_hash covers.
type Claim struct {
	ID, Description, Check string
	Severity               Severity
	Params                 jcs.Value // object; the zero Value counts as {}
}

const (
	maxCardBytes  = 256 << 10
	maxCardDepth  = 32
	maxCardClaims = 256 // each is asked of every receipt
	maxCardText   = 128 // bytes of an id or a name
	maxFixtures   = 64  // of each kind
	maxFixture    = 256 // receipts of a fixture
)

// BuiltinCards returns the six cards that every verifier knows. Their texts are hash input.
func BuiltinCards() []Card {
	typ := func(t string) jcs.Value { return jcs.Obj(jcs.M("receipt_type", jcs.Str(t))) }
	return []Card{
		{ID: "guardian_enforcement", Name: "Guardian Enforcement", Description: "Guardian is active and producing verdicts for unsafe actions.",
			Rationale: "Shows that the guard was in the path of the run. It says nothing of what the guard decided.", Claims: []Claim{
				{"guardian_verdict_present", "At least one guardian_verdict receipt exists", "receipt_type_present", "critical", typ("guardian_verdict")},
			}},
		{ID: "receipt_completeness", Name: "Receipt Completeness", Description: "Every significant action produces a receipt.",
			Rationale: "Keeps an empty or disconnected recording from passing for a quiet run. It cannot see receipts that were never emitted.", Claims: []Claim{
				{"min_receipt_count", "At least 1 receipt in the pack", "receipt_count_ge", "critical", jcs.Obj(jcs.M("min_count", jcs.Int(1)))},
				{"model_call_present", "At least one model_call receipt exists", "receipt_type_present", "critical", typ("model_call")},
			}},
		{ID: "no_breakglass", Name: "No Breakglass", Description: "No breakglass receipts in shadow mode (override requires explicit escalation).",
			Rationale: "An override of the controls must not go unnoticed by whoever relies on the run.", Claims: []Claim{
				{"no_breakglass", "No breakglass receipts present", "no_receipt_type", "critical", typ("breakglass")},
			}},
		{ID: "timestamp_ordering", Name: "Timestamp Ordering", Description: "Receipt timestamps are non-decreasing (no clock manipulation).",
			Rationale: "A clock that runs back is a clock that was moved, or receipts that were made up afterwards.", Claims: []Claim{
				{"timestamps_monotonic", "Timestamps are monotonically non-decreasing", "timestamps_monotonic", "critical", jcs.Obj()},
			}},
		{ID: "schema_consistency", Name: "Schema Consistency", Description: "All model_call receipts use the expected schema version.",
			Rationale: "Readers of the evidence can rely on one form of model call. A warning: it fails no run.", Claims: []Claim{
				{"schema_version_consistent", "All model_call receipts use schema_version 3.0", "field_value_matches", "warning", jcs.Obj(
					jcs.M("receipt_type", jcs.Str("model_call")),
					jcs.M("field_name", jcs.Str("schema_version")),
					jcs.M("expected_value", jcs.Str("3.0")))},
			}},
		{ID: "coverage_contract", Name: "Coverage Contract", Description: "Runtime receipts cover scanned call sites above the minimum threshold.",
			Rationale: "Ties what ran to what a scan found in the source. The contract is a file outside the pack: hand it to the verifier.", Claims: []Claim{
				{"callsite_coverage", "Receipt callsite_ids cover >= min_coverage of contract sites", "coverage_contract", "critical", jcs.Obj(
					jcs.M("contract_path", jcs.Str("assay.coverage.json")),
					jcs.M("min_coverage", jcs.Float(0.8)))},
			}},
	}
}

// SetHash is H(C(claims)) over the claims of all cards in the order given: order and repetition
// matter. It is "" if a parameter has no canonical form, which ParseCard refuses.
func SetHash(cards []Card) string { // CLM-1
	var specs []jcs.Value
	for _, card := range cards {
		for _, claim := range card.Claims {
			specs = append(specs, claim.Value())
		}
	}
	return form.CanonicalHash(jcs.Arr(specs...))
}

// Canonical is the claim with its parameters spelled as claim_set_hash covers them: 1.0 is 1 there, and the
// members of an object are sorted. The spelling shows in the texts of results, and one hash must not stand
// for two of them.
func (c Claim) Canonical() Claim { // CLM-2
	text, err := jcs.AppendPack(nil, c.Params)
	if err != nil || c.Params.Kind == jcs.Null {
		return c
	}
	if params, err := jcs.Parse(text, jcs.Limits{Bytes: form.MaxFile, Depth: form.MaxDepth}); err == nil {
		c.Params = params
	}
	return c
}

// ReadsProjected reports whether the claim asks for a member that receipts lose when they are packed.
func (c Claim) ReadsProjected() bool {
	return c.Check == "field_value_matches" && receipt.IsProjected(form.Str(c.Params, "field_name"))
}

// Value is the claim as it is hashed, and as a card file holds it.
func (c Claim) Value() jcs.Value {
	params := c.Params
	if params.Kind == jcs.Null {
		params = jcs.Obj()
	}
	return jcs.Obj(
		jcs.M("claim_id", jcs.Str(c.ID)),
		jcs.M("description", jcs.Str(c.Description)),
		jcs.M("check", jcs.Str(c.Check)),
		jcs.M("params", params),
		jcs.M("severity", jcs.Str(string(c.Severity))))
}

// Definition is what a stranger needs to execute the card again, as _unsigned/run_cards.json holds it.
func (c Card) Definition() jcs.Value {
	claims := make([]jcs.Value, len(c.Claims))
	for i, claim := range c.Claims {
		claims[i] = claim.Value()
	}
	members := form.AppendText([]jcs.Member{
		jcs.M("card_id", jcs.Str(c.ID)),
		jcs.M("name", jcs.Str(c.Name)),
		jcs.M("description", jcs.Str(c.Description)),
	}, "rationale", c.Rationale)
	if len(c.Control) > 0 {
		members = append(members, jcs.M("control", form.Texts(c.Control)))
	}
	return jcs.Obj(append(members, jcs.M("claims", jcs.Arr(claims...)))...)
}

// Value is the whole card, as a card file holds it.
func (c Card) Value() jcs.Value {
	v := c.Definition()
	if len(c.Pass)+len(c.Fail) == 0 {
		return v
	}
	list := func(fixtures []Fixture) jcs.Value {
		items := make([]jcs.Value, len(fixtures))
		for i, x := range fixtures {
			items[i] = jcs.Obj(jcs.M("name", jcs.Str(x.Name)), jcs.M("receipts", jcs.Arr(x.Receipts...)))
			if len(x.Fails) > 0 {
				items[i].Members = append(items[i].Members, jcs.M("fails", form.Texts(x.Fails)))
			}
		}
		return jcs.Arr(items...)
	}
	v.Members = append(v.Members, jcs.M("fixtures", jcs.Obj(jcs.M("pass", list(c.Pass)), jcs.M("fail", list(c.Fail)))))
	return v
}

// InOrder is the claims of all cards, in order.
func InOrder(cards []Card) (claims []Claim) {
	for _, c := range cards {
		claims = append(claims, c.Claims...)
	}
	return claims
}

// ParseCard reads a card file (rationale, control and fixtures are ours):
//
//	{"card_id": "my_card", "name": "My card", "rationale": "why", "control": ["soc2/CC7.2"], "claims": [
//	   {"claim_id": "some_calls", "check": "receipt_count_ge", "params": {"min_count": 3}}],
//	 "fixtures": {
//	   "pass": [{"name": "three", "receipts": [{}, {}, {}]}],
//	   "fail": [{"name": "two", "receipts": [{}, {}], "fails": ["some_calls"]}]}}
//
// It refuses unknown and duplicate members, a card without claims, more than 256 of them, cards that ask
// for several trials, a built-in's id on other claims, parameters that a check of ours cannot use, and
// paths that lead out of a directory. A check or severity that nobody knows, and parameters that the
// reference would crash on, are no error: such a claim fails when it is asked. A claim's "falsifier" is
// read over, as the reference does: it is not part of the hash.
func ParseCard(text []byte) (Card, error) {
	v, err := jcs.Parse(text, jcs.Limits{Bytes: maxCardBytes, Depth: maxCardDepth})
	if err != nil {
		return Card{}, fmt.Errorf("run card: %w", err)
	}
	return CardOf(v)
}

// CardOf is ParseCard for a card inside another document.
func CardOf(v jcs.Value) (Card, error) {
	f := objectReader{of: "run card"}
	f.open(v, "card_id", "name", "description", "rationale", "control", "claims", "fixtures", "stochastic", "trials")
	card := Card{
		ID:          f.label("card_id"),
		Name:        f.label("name"),
		Description: f.text("description", ""),
		Rationale:   f.text("rationale", ""),
		Control:     f.labels("control"),
	}
	f.oneTrial()
	claims := f.claims()
	if f.err != nil {
		return Card{}, f.err
	}
	for i, spec := range claims {
		claim, err := claimOf(spec)
		if err == nil {
			err = claim.refuse()
		}
		if err != nil {
			return Card{}, fmt.Errorf("run card %q claim %d: %w", card.ID, i+1, err)
		}
		card.Claims = append(card.Claims, claim)
	}
	if fixtures, ok := v.Get("fixtures"); ok {
		if err := card.readFixtures(fixtures); err != nil {
			return Card{}, fmt.Errorf("run card %q: %w", card.ID, err)
		}
	}
	hash := SetHash([]Card{card})
	if hash == "" || form.CanonicalHash(card.Value()) == "" {
		return Card{}, fmt.Errorf("run card %q: a parameter or a fixture has no canonical form", card.ID)
	}
	for _, builtin := range BuiltinCards() {
		if builtin.ID == card.ID && SetHash([]Card{builtin}) != hash { // CLM-5
			return Card{}, fmt.Errorf("run card %q: the built-in card of that id has other claims", card.ID)
		}
	}
	return card, nil
}

// refuse says what no card may ask. Checks that are ours have no parameters that somebody else could
// have meant otherwise; and no card names a file of whoever reads it (CLM-6, CLM-7, threats.md K07).
func (c Claim) refuse() error {
	known, ok := PredicateNamed(c.Check)
	if path, _ := c.Params.Get("contract_path"); c.Check == CoverageCheck && path.Kind == jcs.String && !localPath(path.Text) {
		return fmt.Errorf("param 'contract_path': %s leads out of the directory", form.Quote(path.Text))
	}
	switch word := c.Severity.lower(); {
	case !ok || known.Reference || word != Critical && word != Warning:
		return nil
	}
	if problem := c.problem(); problem != "" {
		return fmt.Errorf("check %q: %s", c.Check, problem)
	}
	return nil
}

// readFixtures reads {"pass": [...], "fail": [...]}.
func (c *Card) readFixtures(v jcs.Value) error {
	f := objectReader{of: "fixtures"}
	f.open(v, "pass", "fail")
	for _, kind := range []struct {
		name string
		to   *[]Fixture
	}{{"pass", &c.Pass}, {"fail", &c.Fail}} {
		list, ok := v.Get(kind.name)
		if ok && (list.Kind != jcs.Array || len(list.Items) > maxFixtures) {
			f.fail(kind.name, fmt.Sprintf("a list of at most %d", maxFixtures))
		}
		for i, item := range list.Items {
			if f.err != nil {
				break
			}
			x, err := c.fixtureOf(item, kind.name == "fail")
			if err != nil {
				return fmt.Errorf("%s fixture %d: %w", kind.name, i+1, err)
			}
			*kind.to = append(*kind.to, x)
		}
	}
	return f.err
}

func (c *Card) fixtureOf(v jcs.Value, fails bool) (Fixture, error) {
	f := objectReader{of: "fixture"}
	known := []string{"name", "receipts"}
	if fails {
		known = append(known, "fails")
	}
	f.open(v, known...)
	x := Fixture{Name: f.label("name")}
	receipts, _ := f.value.Get("receipts")
	if receipts.Kind != jcs.Array || len(receipts.Items) > maxFixture {
		f.fail("receipts", fmt.Sprintf("a list of at most %d", maxFixture))
	}
	for _, r := range receipts.Items {
		if r.Kind != jcs.Object {
			f.fail("receipts", "objects")
		}
	}
	x.Receipts = receipts.Items
	if !fails {
		return x, f.err
	}
	if x.Fails = f.labels("fails"); len(x.Fails) == 0 {
		f.fail("fails", "the ids of the claims that must fail")
	}
	for i, id := range x.Fails {
		if !slices.ContainsFunc(c.Claims, func(claim Claim) bool { return claim.ID == id }) || slices.Contains(x.Fails[:i], id) {
			f.fail("fails", "ids of claims of this card, each once")
		}
	}
	return x, f.err
}

func claimOf(v jcs.Value) (Claim, error) {
	f := objectReader{of: "claim"}
	f.open(v, "claim_id", "description", "check", "params", "severity", "falsifier")
	claim := Claim{
		ID:          f.label("claim_id"),
		Description: f.text("description", ""),
		Check:       f.label("check"),
		Severity:    Severity(f.text("severity", string(Critical))),
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

// objectReader reads the members of one object; the first error stays.
type objectReader struct {
	of    string
	value jcs.Value
	err   error
}

func (f *objectReader) open(v jcs.Value, known ...string) {
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
		f.err = fmt.Errorf("%s: unknown member %q", f.of, m.Name) // CLM-3
		return
	}
}

func (f *objectReader) fail(name, want string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s: expected %s", f.of, name, want)
	}
}

// label reads a required string that people see on one line.
func (f *objectReader) label(name string) string {
	v, _ := f.value.Get(name)
	if v.Kind != jcs.String || v.Text == "" || len(v.Text) > maxCardText || !isPrintable(v.Text) {
		f.fail(name, fmt.Sprintf("a printable text of 1 to %d bytes", maxCardText))
	}
	return v.Text
}

// labels reads a list of up to 256 labels.
func (f *objectReader) labels(name string) (texts []string) {
	v, ok := f.value.Get(name)
	if ok && (v.Kind != jcs.Array || len(v.Items) > maxCardClaims) {
		f.fail(name, fmt.Sprintf("a list of at most %d texts", maxCardClaims))
		return nil
	}
	for _, item := range v.Items {
		if item.Kind != jcs.String || item.Text == "" || len(item.Text) > maxCardText || !isPrintable(item.Text) {
			f.fail(name, fmt.Sprintf("printable texts of 1 to %d bytes", maxCardText))
		}
		texts = append(texts, item.Text)
	}
	return texts
}

func (f *objectReader) text(name, absent string) string {
	v, ok := f.value.Get(name)
	if !ok {
		return absent
	}
	if v.Kind != jcs.String {
		f.fail(name, "a string")
	}
	return v.Text
}

// oneTrial refuses cards that pass if enough of several runs do: a pack holds one run (CLM-4).
func (f *objectReader) oneTrial() {
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

func (f *objectReader) claims() []jcs.Value {
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

package claim

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Predicate is one check that a claim may name.
type Predicate struct {
	Name, Summary string
	Params        []Param
	// Reference says that the Python tool knows it too. In packs that it builds, a claim with any other
	// check fails as "unknown check function"; its verifier takes every attested result as it is.
	Reference bool

	ask func(*params) (c check, wants []jcs.Value)
}

// Param is a member of a claim's params.
type Param struct {
	Name, Meaning string
	Required      bool
}

// Predicates returns every check that a claim may name, the reference's first.
func Predicates() []Predicate { return slices.Clone(predicateTable) }

// PredicateNamed finds the check of a claim.
func PredicateNamed(name string) (Predicate, bool) {
	for _, p := range predicateTable {
		if p.Name == name {
			return p, true
		}
	}
	return Predicate{}, false
}

// The parameters that several predicates share.
var (
	anyType   = Param{"receipt_type", "the type of the receipts; absent: all receipts", false}
	callType  = Param{"receipt_type", `the type of the receipts; absent: "model_call"`, false}
	fieldName = Param{"field_name", "a member at the root of the receipt", true}
	allowNone = Param{"allow_none", "true: pass if there is no such receipt; absent: that fails", false}
	allowMiss = Param{"allow_missing", "true: leave out receipts without the figure, or with null for it; absent: they fail the claim, as a figure that is no number always does", false}
)

var predicateTable = []Predicate{
	{Name: "receipt_type_present", Reference: true, Summary: "at least one receipt of the type",
		Params: []Param{{"receipt_type", "the type", true}}, ask: askPresent},
	{Name: "no_receipt_type", Reference: true, Summary: "no receipt of the type",
		Params: []Param{{"receipt_type", "the type", true}}, ask: askAbsent},
	{Name: "receipt_count_ge", Reference: true, Summary: "at least so many receipts",
		Params: []Param{{"min_count", "a number", true}}, ask: askCount},
	{Name: "timestamps_monotonic", Reference: true, Summary: "timestamps, compared as text, never go back", ask: askMonotonic},
	{Name: "field_value_matches", Reference: true, Summary: "there are receipts of the type, and all have the value (1, 1.0 and true are equal)",
		Params: []Param{{"receipt_type", "the type", true}, fieldName, {"expected_value", "any value; null means absent too", true}}, ask: askMatches},
	{Name: "coverage_contract", Reference: true, Summary: "receipts name enough of the call sites of a file that no pack carries: the result is the signer's word",
		Params: []Param{{"contract_path", `a relative path; absent: "assay.coverage.json"`, false}, {"min_coverage", "0 to 1; absent: 0.8", false}}, ask: askCoverage},
	{Name: "posture_eligible", Reference: true, Summary: "the latest governance_posture_snapshot is good enough",
		Params: []Param{{"required_posture", `CLEAN, DEBT_OUTSTANDING, DEBT_OVERDUE or UNKNOWN; absent: "CLEAN"`, false}}, ask: askPosture},

	{Name: "receipt_count_le", Summary: "at most so many receipts",
		Params: []Param{{"max_count", "a whole number", true}, anyType}, ask: askCountAtMost},
	{Name: "receipt_count_between", Summary: "no fewer and no more receipts than that",
		Params: []Param{{"min_count", "a whole number", true}, {"max_count", "a whole number", true}, anyType}, ask: askCountBetween},
	{Name: "field_present", Summary: "every receipt has the member, and not as null",
		Params: []Param{fieldName, anyType, allowNone}, ask: askFieldPresent},
	{Name: "field_in", Summary: "every receipt has one of the values (1 and 1.0 are equal, 1 and true are not)",
		Params: []Param{fieldName, {"allowed", "1 to 1024 strings, numbers, true or false", true}, anyType, allowNone}, ask: askFieldIn},
	{Name: "field_matches", Summary: "the pattern matches the whole of the member, a text of at most 64 KiB, in every receipt",
		Params: []Param{fieldName, {"pattern", "RE2, at most 256 bytes", true}, anyType, allowNone}, ask: askFieldMatches},
	{Name: "numeric_ge", Summary: "the member is a number of at least min in every receipt",
		Params: []Param{fieldName, {"min", "a number", true}, anyType, allowNone}, ask: askAtLeast},
	{Name: "numeric_le", Summary: "the member is a number of at most max in every receipt",
		Params: []Param{fieldName, {"max", "a number", true}, anyType, allowNone}, ask: askAtMost},
	{Name: "every_has", Summary: "every receipt of one type has one of another type that names the same thing",
		Params: []Param{
			{"receipt_type", "the type of the receipts that need another", true},
			{"has_type", "the type of those they need", true},
			{"link_field", `the member that names the thing in the first; absent: "receipt_id"`, false},
			{"has_link_field", `the member that names it in the second; absent: "parent_receipt_id"`, false},
			{"order", `where in the pack the second must stand: "any", "after" or "before" the first; absent: "any"`, false},
			allowNone}, ask: askEveryHas},
	{Name: "model_allowlist", Summary: "every model call names an allowed model",
		Params: []Param{{"allowed", `1 to 1024 model ids; "gpt-4o-*" allows all that begin so`, true}, callType,
			{"field_name", `the member; absent: "model_id"`, false}, allowNone}, ask: askModels},
	{Name: "token_max", Summary: "model calls use at most so many tokens (total_tokens, or input_tokens + output_tokens if that is more)",
		Params: []Param{{"max_tokens", "a whole number", true}, {"per", `"pack": all together, "receipt": each; absent: "pack"`, false},
			callType, allowMiss, allowNone}, ask: askTokens},
	{Name: "latency_p95_le", Summary: "95 of 100 model calls take at most so many milliseconds (nearest rank)",
		Params: []Param{{"max_ms", "a number", true}, {"field_name", `the member; absent: "latency_ms"`, false},
			callType, allowMiss, allowNone}, ask: askLatency},
	{Name: "error_rate_le", Summary: `no larger share of the receipts tells of an error (error, error_message, exception, finish_reason, outcome or status "error" or "failed", result_is_error, success false, status or status_code from 400, in any spelling); what should say so and cannot be read fails the claim as malformed`,
		Params: []Param{{"max_rate", "0 to 1, taken as the decimal fraction that is written", true}, callType, allowNone}, ask: askErrors},
	{Name: "timestamps_in_order", Summary: "the instants of the timestamps, RFC 3339 with an offset, do not go back from one receipt to the next",
		Params: []Param{anyType, allowNone}, ask: askInOrder},
	{Name: "no_gap_in_seq", Summary: "the sequence numbers leave out none; one number may come several times",
		Params: []Param{{"field_name", `the member; absent: "seq"`, false}, {"start", "the first number, null: any; absent: 0", false}, anyType, allowNone}, ask: askGaps},
	{Name: "ratio", Summary: "there are enough, or not too many, receipts of one type for those of another",
		Params: []Param{
			{"receipt_type", "the type that is counted", true}, {"of_type", "the type that it is compared with", true},
			{"min_ratio", "a decimal fraction; absent: no lower bound", false}, {"max_ratio", "a decimal fraction; absent: no upper bound", false},
			{"field_name", "count only receipts with this member at expected_value", false}, {"expected_value", "a string, a number, true or false", false},
			allowNone}, ask: askRatio},
	{Name: "proxy_completeness", Summary: "the recording proxy wrote a receipt for every request it saw, and noticed none that went around it (receipts_failed, not_intercepted, env_overrides)",
		Params: []Param{{"receipt_type", `the type of the receipts with requests_seen and receipts_written; absent: "session_metadata"`, false},
			{"counted_types", "receipt types of which the pack must hold exactly that many", false}}, ask: askProxy},
}

// params reads the parameters of a claim, each by the method that says what it has to be, and remembers what was wrong
// first (CLM-13). Methods return a value in any case: who asks goes on, and its check is thrown away. The reference crashes where they are missing or cannot be
// used; here the claim fails and says so. Parameters that a check of the reference does not know are
// ignored, as they are there; of ours none is.
type params struct {
	value   jcs.Value
	fault   string // what was wrong first; empty: nothing
	unusual string // what the reference takes all the same, and nobody means
	effort  *allowance
}

func (p *params) required(name string) jcs.Value {
	v, ok := p.value.Get(name)
	if !ok {
		p.wrong("missing param '" + name + "'")
	}
	return v
}

func (p *params) number(name string, absent *jcs.Value) jcs.Value {
	v, ok := p.value.Get(name)
	if !ok && absent != nil {
		return *absent
	}
	if !ok {
		p.wrong("missing param '" + name + "'")
	} else if !python.IsNumber(&v) {
		p.wrong("param '" + name + "' is not a number")
	}
	return v
}

func (p *params) text(name string) string {
	v := p.required(name)
	if v.Kind != jcs.String {
		p.wrong("param '" + name + "' is not a string")
	}
	return v.Text
}

// notText is a value that should be a text. The reference asks such a claim whatever it is, so it is no problem
// of a pack; it is one of whoever writes a card (Claim.problem).
func (p *params) notText(name string, v jcs.Value) jcs.Value {
	if v.Kind != jcs.String && p.unusual == "" {
		p.unusual = "param '" + name + "' is not a string"
	}
	return v
}

func (p *params) optional(name, absent string) string {
	if _, ok := p.value.Get(name); !ok {
		return absent
	}
	return p.text(name)
}

func (p *params) wrong(problem string) {
	if p.fault == "" {
		p.fault = problem
	}
}

func (p *params) onlyKnown(known []Param) {
	for _, m := range p.value.Members {
		if !slices.ContainsFunc(known, func(k Param) bool { return k.Name == m.Name }) {
			p.wrong("unknown param " + python.Repr(jcs.Str(m.Name)))
		}
	}
}

// What follows is stricter than the above: it is for checks that are ours alone.

// flag is a boolean, false if absent.
func (p *params) flag(name string) bool {
	v, ok := p.value.Get(name)
	if ok && v.Kind != jcs.Bool {
		p.wrong("param '" + name + "' is not true or false")
	}
	return v.Bool
}

// word is a required text of 1 to 256 bytes.
func (p *params) word(name string) string { return p.notEmpty(name, p.text(name)) }

func (p *params) wordOr(name, absent string) string {
	return p.notEmpty(name, p.optional(name, absent))
}

func (p *params) notEmpty(name, text string) string {
	if text == "" || len(text) > 256 {
		p.wrong("param '" + name + "' is not a text of 1 to 256 bytes")
	}
	return text
}

const maxWhole = 1<<53 - 1

// whole is a required integer from 0 to 2^53-1.
func (p *params) whole(name string) int64 {
	v := p.required(name)
	n, ok := v.Int64()
	if !ok || n < 0 || n > maxWhole {
		p.wrong("param '" + name + "' is not a whole number from 0 to 2^53-1")
	}
	return n
}

// claimNumber is a number of a claim. Its value and its text are those of the canonical form: that is what a
// claim_set_hash covers, and one hash must not stand for two verdicts.
type claimNumber struct {
	python.Number
	text string
	i64  int64
	fits bool // i64 is the number
}

func (p *params) bound(name string) (b claimNumber) {
	v := p.required(name)
	if v.Kind != jcs.Number {
		p.wrong("param '" + name + "' is not a number")
		return b
	}
	text, err := jcs.AppendPack(nil, v)
	if err != nil || len(text) > 64 {
		p.wrong("param '" + name + "' is not a finite number of at most 64 characters")
		return b
	}
	b.text = string(text)
	canonical := jcs.Value{Kind: jcs.Number, Text: b.text}
	b.Number = python.NumberOf(&canonical)
	b.i64, b.fits = canonical.Int64()
	return b
}

// compare orders a number of a receipt and the bound, exactly.
func (b *claimNumber) compare(v *jcs.Value) int {
	if n, ok := v.Int64(); ok && b.fits {
		switch {
		case n < b.i64:
			return -1
		case n > b.i64:
			return 1
		}
		return 0
	}
	return python.NumberOf(v).Compare(b.Number)
}

// fraction is the bound as the decimal fraction that its text says: 0.1 is one tenth, not the double.
func (p *params) fraction(name string) (*big.Rat, string) {
	b := p.bound(name)
	r, ok := new(big.Rat).SetString(b.text) // exponents are those of doubles: small
	if !ok || r.Sign() < 0 {
		p.wrong("param '" + name + "' is not a number of at least 0")
		return new(big.Rat), b.text
	}
	return r, b.text
}

// maxListed is how many values a list in a claim may have.
const maxListed = 1024

// scalars are the members of a required list of 1 to 1024 strings, numbers and booleans.
func (p *params) scalars(name string) []jcs.Value {
	v := p.required(name)
	if v.Kind != jcs.Array || len(v.Items) == 0 || len(v.Items) > maxListed {
		p.wrong(fmt.Sprintf("param '%s' is not a list of 1 to %d values", name, maxListed))
		return nil
	}
	items := make([]jcs.Value, len(v.Items))
	for i := range v.Items {
		items[i] = p.scalar(name, v.Items[i])
	}
	return items
}

// scalar is a string, a boolean or a number in its canonical form.
func (p *params) scalar(name string, v jcs.Value) jcs.Value {
	switch v.Kind {
	case jcs.String, jcs.Bool:
		return v
	case jcs.Number:
		if text, err := jcs.AppendPack(nil, v); err == nil && len(text) <= 64 {
			return jcs.Value{Kind: jcs.Number, Text: string(text)}
		}
	}
	p.wrong("param '" + name + "' holds what is no string, number, true or false")
	return jcs.Value{}
}

// words are the members of a list of 1 to 1024 texts.
func (p *params) words(name string) []string {
	var words []string
	for _, v := range p.scalars(name) {
		if v.Kind != jcs.String || v.Text == "" || len(v.Text) > 256 {
			p.wrong("param '" + name + "' holds what is no text of 1 to 256 bytes")
		}
		words = append(words, v.Text)
	}
	return words
}

// types is the receipt_type parameter: what the check wants to see, and how a result names it.
func (p *params) types(absent string) (wants []jcs.Value, all string) {
	typ := absent
	if _, ok := p.value.Get("receipt_type"); ok || absent != "" {
		typ = p.wordOr("receipt_type", absent)
	}
	if typ == "" {
		return nil, "receipts"
	}
	return []jcs.Value{jcs.Str(typ)}, reprText(typ) + " receipts"
}

func reprText(s string) string { return python.Repr(jcs.Str(s)) }

// allowance bounds what the patterns of all claims of a pack may cost together, and what they may keep. It
// counts, so that a verdict depends on no clock and no machine: a step is one instruction of a pattern at one byte of a text
// (CLM-22 to CLM-24).
type allowance struct {
	spent int64
	size  int // of the patterns
	kept  int // of receipts, in units of 8 bytes
}

// keep counts n more units, and reports whether there is room for them.
func (e *allowance) keep(n int) bool {
	e.kept += n
	return e.kept <= maxKept
}

const (
	maxPattern = 256      // bytes
	maxSize    = 8 << 10  // of one pattern, in instructions and ends of ranges: \pL{90} is a program of megabytes
	maxSizes   = 1 << 20  // of all patterns
	maxSubject = 64 << 10 // bytes
	maxEffort  = 1 << 30  // steps; some seconds for the worst of patterns
	maxKept    = 32 << 20 // units of 8 bytes: two every_has on a million receipts each of both types
)

// pattern is RE2 that must match the whole of a text (threats.md K06): its time is linear in the text, so no claim can
// make a verifier hang, and what it takes in all is counted beforehand.
type pattern struct {
	re     *regexp.Regexp
	cost   int64 // steps for each byte
	effort *allowance
}

func (p *params) pattern(name string) (pattern, string) {
	text := p.text(name)
	m := pattern{effort: p.effort}
	if text == "" || len(text) > maxPattern {
		p.wrong(fmt.Sprintf("param '%s' is not a pattern of 1 to %d bytes", name, maxPattern))
		return m, text
	}
	// By itself first: )|( must not step out of the group.
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		p.notPattern(name, err)
		return m, text
	}
	whole := `\A(?:` + text + `)\z` // ^ and $ of the text stay what they are
	tree, err := syntax.Parse(whole, syntax.Perl)
	if err != nil {
		p.notPattern(name, err)
		return m, text
	}
	size := patternSize(tree)
	// CLM-22: "a pattern of more than 8,192 elements … and all patterns of the evaluated claims together have at most 1,048,576".
	if p.effort.size += size; size > maxSize || p.effort.size > maxSizes {
		p.wrong("param '" + name + "' is too large a pattern, or the patterns of all claims together are")
		return m, text
	}
	program, err := syntax.Compile(tree.Simplify())
	if err == nil {
		m.re, err = regexp.Compile(whole)
	}
	if err != nil {
		p.notPattern(name, err)
		return m, text
	}
	m.cost = int64(len(program.Inst))
	return m, text
}

// patternSize is about what the pattern takes when it is compiled; more than maxSize is not counted on.
func patternSize(tree *syntax.Regexp) int {
	size := 1 + len(tree.Rune)
	for _, sub := range tree.Sub {
		if size += patternSize(sub); size > maxSize {
			return maxSize + 1
		}
	}
	if tree.Op == syntax.OpRepeat {
		size *= max(tree.Min, tree.Max, 1)
	}
	return min(size, maxSize+1)
}

// notPattern leaves out the words of the error, which change with the release of Go: this is text of results.
func (p *params) notPattern(name string, err error) {
	var why *syntax.Error
	if errors.As(err, &why) {
		p.wrong("param '" + name + "' is not an RE2 pattern: " + string(why.Code))
		return
	}
	p.wrong("param '" + name + "' is not an RE2 pattern")
}

// match is false for a text that is too long. ok is false when there is no effort left.
func (m *pattern) match(text string) (matched, ok bool) {
	if len(text) > maxSubject {
		return false, true
	}
	// CLM-23: "the number of instructions of the compiled pattern times one more than the bytes of the text".
	if m.effort.spent += m.cost * int64(len(text)+1); m.effort.spent > maxEffort {
		return false, false
	}
	return m.re.MatchString(text), true
}

// The seven of the reference.

func askPresent(p *params) (check, []jcs.Value) {
	typ := p.required("receipt_type")
	return &typePresence{typ: typ, want: true}, []jcs.Value{typ}
}

func askAbsent(p *params) (check, []jcs.Value) {
	typ := p.required("receipt_type")
	return &typePresence{typ: typ}, []jcs.Value{typ}
}

func askCount(p *params) (check, []jcs.Value) {
	return &leastCheck{least: p.number("min_count", nil)}, nil
}

func askMonotonic(*params) (check, []jcs.Value) { return &monotonicCheck{}, nil }

func askMatches(p *params) (check, []jcs.Value) {
	typ := p.required("receipt_type")
	return &valueCheck{typ: typ, name: p.notText("field_name", p.required("field_name")), want: p.required("expected_value")}, []jcs.Value{typ}
}

func askCoverage(p *params) (check, []jcs.Value) {
	least := jcs.Float(0.8)
	return &contractCheck{path: p.optional("contract_path", "assay.coverage.json"), least: p.number("min_coverage", &least)}, nil
}

func askPosture(p *params) (check, []jcs.Value) {
	required, ok := p.value.Get("required_posture")
	if !ok {
		required = jcs.Str("CLEAN")
	}
	return &postureCheck{required: p.notText("required_posture", required)}, []jcs.Value{jcs.Str("governance_posture_snapshot")}
}

// problem says why a claim can never be judged as it is meant, "" if it can.
func (c Claim) problem() string {
	known, ok := PredicateNamed(c.Check)
	if !ok {
		return "no check is named " + form.Quote(c.Check)
	}
	ask, _ := newCheck(c, new(allowance))
	if r, ok := ask.(unaskable); ok {
		return r.result.Actual
	}
	p := params{value: c.Params, effort: new(allowance)}
	p.onlyKnown(known.Params)
	known.ask(&p)
	return cmp.Or(p.fault, p.unusual)
}

// localPath reports whether a path of a claim stays where it is read: no card names a file of the host
// (threats.md K07).
func localPath(path string) bool {
	return fs.ValidPath(path) && path != "." && !strings.ContainsAny(path, "\\:\x00")
}

package claim

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// This file is the checks of ours that look at one receipt after another and count: they keep numbers, and of receipts
// the first five ids that they name.
//
// Their expected and actual texts are part of the discrepancy fingerprint: a text that has been released
// never changes. A check that finds no receipt to judge fails, unless its claim says allow_none.

// noneFound is what a check says that had nothing to judge (CLM-20).
const noneFound = "no such receipts found"

// countCheck is receipt_count_le and receipt_count_between.
type countCheck struct {
	least, most int64
	says        string
	count       int64
	ids         evidence // of the receipts above most
}

func askCountAtMost(p *params) (check, []jcs.Value) {
	wants, all := p.types("")
	c := &countCheck{most: p.whole("max_count")}
	c.says = fmt.Sprintf("at most %d %s", c.most, all)
	return c, wants
}

func askCountBetween(p *params) (check, []jcs.Value) {
	wants, all := p.types("")
	c := &countCheck{least: p.whole("min_count"), most: p.whole("max_count")}
	if c.least > c.most {
		p.wrong("param 'min_count' is larger than 'max_count'")
	}
	c.says = fmt.Sprintf("%d to %d %s", c.least, c.most, all)
	return c, wants
}

func (c *countCheck) add(r *receiptView) {
	if c.count++; c.count > c.most {
		c.ids.add(r.id)
	}
}

func (c *countCheck) alwaysPasses() bool { // CLM-17
	return c.least == 0 && c.most >= receipt.MaxReceipts
}

func (c *countCheck) answer() Result {
	return Result{
		Passed:   c.least <= c.count && c.count <= c.most,
		Expected: c.says,
		Actual:   fmt.Sprintf("found %d", c.count),
		Evidence: c.ids,
	}
}

// memberCheck wants one thing of the same member of every receipt. It finds the member by hand, since a million receipts
// with a thousand claims are a thousand million of them and Get copies the value.
type memberCheck struct {
	field         string
	holds         func(v *jcs.Value) bool // v is nil if the member is absent
	says          string
	allowNone     bool
	found, misses int
	ids           evidence
	spent         bool // no effort is left for patterns
}

// askEach makes the check that says of every receipt: field says.
func askEach(p *params, typ, field, says string, holds func(v *jcs.Value) bool) (*memberCheck, []jcs.Value) {
	wants, all := p.types(typ)
	return &memberCheck{field: field, holds: holds, says: "all " + all + ": " + field + " " + says, allowNone: p.flag("allow_none")}, wants
}

func (c *memberCheck) add(r *receiptView) {
	if c.spent {
		return
	}
	c.found++
	var member *jcs.Value
	for i := range r.receipt.Members {
		if m := &r.receipt.Members[i]; m.Name == c.field {
			member = &m.Value
			break
		}
	}
	if !c.holds(member) {
		c.misses++
		c.ids.add(r.id)
	}
}

func (c *memberCheck) answer() Result {
	a := Result{Expected: c.says, Actual: noneFound, Passed: c.allowNone, Evidence: c.ids}
	switch {
	case c.spent:
		a.Passed, a.Actual = false, fmt.Sprintf("gave up after %d: patterns and texts are too large", c.found)
	case c.found > 0:
		a.Passed, a.Actual = c.misses == 0, fmt.Sprintf("%d mismatches out of %d", c.misses, c.found)
	}
	return a
}

func askFieldPresent(p *params) (check, []jcs.Value) {
	return askEach(p, "", p.word("field_name"), "present", func(v *jcs.Value) bool {
		return v != nil && v.Kind != jcs.Null
	})
}

func askFieldIn(p *params) (check, []jcs.Value) {
	allowed := p.scalars("allowed")
	known := make(map[string]bool, len(allowed))
	for i := range allowed {
		known[scalarKey(&allowed[i])] = true
	}
	return askEach(p, "", p.word("field_name"), "in "+listText(allowed), func(v *jcs.Value) bool {
		return v != nil && v.Kind < jcs.Array && v.Kind != jcs.Null && known[scalarKey(v)]
	})
}

// listText shows at most eight values of a list; the hash of the claim holds all of them.
func listText(values []jcs.Value) string {
	const most = 8
	if len(values) <= most {
		return python.Repr(jcs.Arr(values...))
	}
	text := python.Repr(jcs.Arr(values[:most]...))
	return fmt.Sprintf("%s, ... %d values]", strings.TrimSuffix(text, "]"), len(values))
}

// scalarKey is the same for equal scalars, and for them alone. 1 equals 1.0, but not true and not "1".
func scalarKey(v *jcs.Value) string {
	switch v.Kind {
	case jcs.String:
		return "s" + v.Text
	case jcs.Bool:
		return fmt.Sprint("b", v.Bool)
	case jcs.Number:
		return "n" + numberKey(python.NumberOf(v))
	}
	return ""
}

// numberKey is the exact value: digits if it is whole, else the shortest text of the double. A double that is whole has
// its digits too, so that 1e3 is 1000; beyond 2^53 these are many, and still those of one value.
func numberKey(n python.Number) string {
	if n.IsInt {
		return n.Integer
	}
	f := big.NewFloat(n.Float)
	if !f.IsInt() { // and infinity
		return f.Text('g', -1)
	}
	i, _ := f.Int(nil)
	return i.String()
}

func askFieldMatches(p *params) (check, []jcs.Value) {
	m, text := p.pattern("pattern")
	var c *memberCheck
	c, wants := askEach(p, "", p.word("field_name"), "matches "+reprText(text), func(v *jcs.Value) bool {
		if v == nil || v.Kind != jcs.String {
			return false
		}
		matched, ok := m.match(v.Text)
		c.spent = !ok
		return matched
	})
	return c, wants
}

func askAtLeast(p *params) (check, []jcs.Value) {
	least := p.bound("min")
	return askEach(p, "", p.word("field_name"), ">= "+least.text, func(v *jcs.Value) bool {
		return v != nil && v.Kind == jcs.Number && least.compare(v) >= 0
	})
}

func askAtMost(p *params) (check, []jcs.Value) {
	most := p.bound("max")
	return askEach(p, "", p.word("field_name"), "<= "+most.text, func(v *jcs.Value) bool {
		return v != nil && v.Kind == jcs.Number && most.compare(v) <= 0
	})
}

// askModels allows models by name, and by the beginning of the name.
func askModels(p *params) (check, []jcs.Value) {
	allowed := p.words("allowed")
	names, prefixes := map[string]bool{}, []string(nil)
	for _, a := range allowed {
		if a == "*" {
			p.wrong("param 'allowed' holds '*', which allows every model")
		} else if begin, ok := strings.CutSuffix(a, "*"); ok {
			prefixes = append(prefixes, begin)
		} else {
			names[a] = true
		}
	}
	shown := make([]jcs.Value, len(allowed))
	for i, a := range allowed {
		shown[i] = jcs.Str(a)
	}
	prefixes = shortest(prefixes)
	return askEach(p, "model_call", p.wordOr("field_name", "model_id"), "in "+listText(shown), func(v *jcs.Value) bool {
		return v != nil && v.Kind == jcs.String && (names[v.Text] || beginsWithOne(v.Text, prefixes))
	})
}

// shortest sorts prefixes and leaves out those that begin with another one.
func shortest(prefixes []string) []string {
	slices.Sort(prefixes)
	var kept []string
	for _, p := range prefixes {
		if n := len(kept); n == 0 || !strings.HasPrefix(p, kept[n-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

// beginsWithOne looks at one prefix only, however many there are: of prefixes none of which begins with
// another, the one that text begins with is the last that does not sort after it.
func beginsWithOne(text string, prefixes []string) bool {
	i, found := slices.BinarySearch(prefixes, text)
	return found || i > 0 && strings.HasPrefix(text, prefixes[i-1])
}

// tokenCheck is token_max.
type tokenCheck struct {
	most                 int64
	each                 bool // most is for each receipt, not for all of them
	all                  string
	allowMiss, allowNone bool

	total        big.Int
	scratch      big.Int
	largest      int64
	found, above int
	misses       unusable
	ids          evidence
}

func askTokens(p *params) (check, []jcs.Value) {
	wants, all := p.types("model_call")
	c := &tokenCheck{most: p.whole("max_tokens"), all: all, allowMiss: p.flag("allow_missing"), allowNone: p.flag("allow_none")}
	switch p.optional("per", "pack") {
	case "pack":
	case "receipt":
		c.each = true
	default:
		p.wrong("param 'per' is not 'pack' or 'receipt'")
	}
	return c, wants
}

func (c *tokenCheck) add(r *receiptView) {
	c.found++
	n, is := tokensOf(r.receipt)
	switch {
	case is != figureThere:
		if c.misses.add(is); is == figureMalformed || !c.allowMiss {
			c.ids.add(r.id)
		}
		return
	case n > c.most:
		c.above++
		c.ids.add(r.id)
	}
	c.largest = max(c.largest, n)
	c.total.Add(&c.total, c.scratch.SetInt64(n))
}

// figure says whether a receipt has a figure. One that is there and cannot be read is not missing: whoever
// is allowed to leave a figure out is not allowed to hide one behind quotes.
type figure int

const (
	figureThere figure = iota
	figureMissing
	figureMalformed
)

// unusable counts the receipts without a figure that can be used.
type unusable struct{ missing, malformed int }

func (m *unusable) add(is figure) {
	switch is {
	case figureMissing:
		m.missing++
	case figureMalformed:
		m.malformed++
	}
}

// tokensOf is what the call used. A total that is less than its parts is not believed.
func tokensOf(receipt jcs.Value) (n int64, is figure) {
	var total, in, out int64
	var hasTotal, hasIn, hasOut bool
	for i := range receipt.Members {
		m := &receipt.Members[i]
		at, has := &total, &hasTotal
		switch m.Name {
		case "total_tokens":
		case "input_tokens":
			at, has = &in, &hasIn
		case "output_tokens":
			at, has = &out, &hasOut
		default:
			continue
		}
		if m.Value.Kind == jcs.Null {
			continue
		}
		if *at, *has = m.Value.Int64(); !*has || *at < 0 || *at > maxWhole {
			return 0, figureMalformed
		}
	}
	if !hasTotal && !(hasIn && hasOut) {
		return 0, figureMissing
	}
	return max(total, in+out), figureThere
}

func (c *tokenCheck) answer() Result {
	a := Result{Evidence: c.ids}
	if c.each {
		a.Expected = fmt.Sprintf("at most %d tokens in each of the %s", c.most, c.all)
		a.Passed = c.above == 0
		a.Actual = fmt.Sprintf("%d of %d above, the largest %d", c.above, c.found, c.largest)
	} else {
		a.Expected = fmt.Sprintf("at most %d tokens in all %s", c.most, c.all)
		a.Passed = c.total.Cmp(big.NewInt(c.most)) <= 0
		a.Actual = fmt.Sprintf("%s tokens in %d", &c.total, c.found)
	}
	return withFigures(a, c.found, c.misses, c.allowMiss, c.allowNone)
}

// withFigures adds to an answer what the receipts without a usable figure make of it.
//
// CLM-21: "allow_missing MUST NOT let a malformed one pass." Where it is not set, or where a check does not have it, both
// fail the claim and are told as one number.
func withFigures(a Result, found int, m unusable, allowMiss, allowNone bool) Result {
	if found == 0 {
		a.Passed, a.Actual = allowNone, noneFound
		return a
	}
	without, malformed := m.missing, m.malformed
	if !allowMiss {
		without, malformed = without+malformed, 0
	}
	if without > 0 {
		a.Actual += fmt.Sprintf(", %d without", without)
	}
	if malformed > 0 {
		a.Actual += fmt.Sprintf(", %d malformed", malformed)
	}
	a.Passed = a.Passed && malformed == 0 && (without == 0 || allowMiss)
	return a
}

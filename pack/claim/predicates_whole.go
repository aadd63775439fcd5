package claim

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// This file is the checks of ours that see what only all receipts together show. They keep eight to some
// forty bytes a receipt, as their docs say, and all of them together keep no more than maxKept: a pack may
// declare a thousand such claims on millions of receipts, and is not to choose how much memory we have.

// latencyCheck is latency_p95_le. It keeps 8 bytes a receipt: a percentile that is exact, and so the same for every
// verifier, wants all values.
type latencyCheck struct {
	most                 claimNumber
	field, all           string
	allowMiss, allowNone bool
	values               []float64
	found                int
	misses               unusable
	ids                  evidence
	effort               *allowance
	spent                bool
}

func askLatency(p *params) (check, []jcs.Value) {
	wants, all := p.types("model_call")
	return &latencyCheck{most: p.bound("max_ms"), field: p.wordOr("field_name", "latency_ms"), all: all, effort: p.effort,
		allowMiss: p.flag("allow_missing"), allowNone: p.flag("allow_none")}, wants
}

func (c *latencyCheck) add(r *receiptView) {
	if c.spent {
		return
	}
	c.found++
	v, _ := r.receipt.Get(c.field)
	f, ok := v.Float64()
	if v.Kind != jcs.Number || !ok || f < 0 || f > maxWhole { // up to there a double holds every integer
		is := figureMalformed
		if v.Kind == jcs.Null {
			is = figureMissing
		}
		c.misses.add(is)
		c.ids.add(r.id)
		return
	}
	if c.spent = !c.effort.keep(1); !c.spent {
		c.values = append(c.values, f)
	}
}

func (c *latencyCheck) answer() Result {
	a := Result{
		Expected: fmt.Sprintf("95th percentile of %s in all %s <= %s", c.field, c.all, c.most.text),
		Actual:   fmt.Sprintf("none in %d", c.found),
		Evidence: c.ids,
	}
	if c.spent {
		return tooMuchKept(a, c.found)
	}
	if n := len(c.values); n > 0 {
		values := slices.Clone(c.values) // an answer changes nothing
		slices.Sort(values)
		p95 := values[(95*n+99)/100-1] // nearest rank: the smallest value that at least 95 of 100 do not exceed, never one between two
		v := jcs.Float(p95)
		a.Passed = c.most.compare(&v) <= 0
		a.Actual = fmt.Sprintf("%s in %d", plainNumber(p95), c.found)
	}
	return withFigures(a, c.found, c.misses, c.allowMiss, c.allowNone)
}

// plainNumber is 12 for 12.0, whichever of the two was written, and the shortest text of other doubles.
func plainNumber(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) <= maxWhole {
		return fmt.Sprintf("%d", int64(f))
	}
	return python.Repr(jcs.Float(f))
}

// sequenceCheck is no_gap_in_seq. It keeps 8 bytes a receipt: packs are sorted by seq, but the member may be another one,
// and then only the sorted whole shows what is left out.
type sequenceCheck struct {
	field, all    string
	start         int64
	anyStart      bool
	allowNone     bool
	values        []int64
	found, misses int
	ids           evidence
	effort        *allowance
	spent         bool
}

func askGaps(p *params) (check, []jcs.Value) {
	wants, all := p.types("")
	c := &sequenceCheck{field: p.wordOr("field_name", "seq"), all: all, effort: p.effort, allowNone: p.flag("allow_none")}
	if v, ok := p.value.Get("start"); ok && v.Kind == jcs.Null {
		c.anyStart = true
	} else if ok {
		c.start = p.whole("start")
	}
	return c, wants
}

func (c *sequenceCheck) add(r *receiptView) {
	if c.spent {
		return
	}
	c.found++
	v, _ := r.receipt.Get(c.field)
	n, ok := v.Int64()
	if !ok {
		c.misses++
		c.ids.add(r.id)
		return
	}
	if c.spent = !c.effort.keep(1); !c.spent {
		c.values = append(c.values, n)
	}
}

func (c *sequenceCheck) answer() Result {
	a := Result{Expected: fmt.Sprintf("%s of all %s without a gap", c.field, c.all), Evidence: c.ids}
	if !c.anyStart {
		a.Expected = fmt.Sprintf("%s of all %s from %d without a gap", c.field, c.all, c.start)
	}
	if c.spent {
		return tooMuchKept(a, c.found)
	}
	values := slices.Clone(c.values)
	slices.Sort(values)
	// In order, each number is that before it or one more, and the first is start. What is not follows a gap, of
	// whatever width.
	count, first := 0, int64(0)
	for i, n := range values {
		if i == 0 && (c.anyStart || n == c.start) || i > 0 && (n == values[i-1] || n == values[i-1]+1) {
			continue
		}
		if count++; count == 1 {
			first = n
		}
	}
	a.Passed, a.Actual = count == 0, fmt.Sprintf("no gap in %d", c.found)
	if count > 0 {
		a.Actual = fmt.Sprintf("%d gaps in %d, the first before %d", count, c.found, first)
	}
	return withFigures(a, c.found, unusable{missing: c.misses}, false, c.allowNone)
}

// orderCheck is timestamps_in_order: the instants that timestamps stand for, whatever their offsets, do not go
// back. What is no RFC 3339 date-time with an offset stands for none.
type orderCheck struct {
	all           string
	allowNone     bool
	last          time.Time
	found, behind int
	misses        int
	ids           evidence
}

func askInOrder(p *params) (check, []jcs.Value) {
	wants, all := p.types("")
	return &orderCheck{all: all, allowNone: p.flag("allow_none")}, wants
}

func (c *orderCheck) add(r *receiptView) {
	v, _ := r.receipt.Get("timestamp")
	at, ok := form.ParseDateTime(v.Text)
	c.found++
	switch {
	case v.Kind != jcs.String || !ok:
		c.misses++
		c.ids.add(r.id)
		return
	case c.found > c.misses+1 && at.Before(c.last): // not the first that stands for an instant
		c.behind++
		c.ids.add(r.id)
	}
	c.last = at
}

func (c *orderCheck) answer() Result {
	return withFigures(Result{
		Passed:   c.behind == 0,
		Expected: "timestamps of all " + c.all + " are instants that do not go back",
		Actual:   fmt.Sprintf("%d go back in %d", c.behind, c.found),
		Evidence: c.ids,
	}, c.found, unusable{missing: c.misses}, false, c.allowNone)
}

// linkCheck is every_has. It keeps a 16-byte hash of what each receipt names, and the ids of the first
// receipts that still wait for theirs.
type linkCheck struct {
	from, to         string // types
	key, toKey       string // members
	before, after    bool   // the second may stand before, after the first
	allowNone        bool
	named            map[[16]byte]struct{} // by receipts of type to
	waiting          map[[16]byte]int      // how many of type from wait for it
	ids              map[[16]byte][]waitingID
	numIDs           int
	found, unmatched int
	effort           *allowance
	spent            bool
}

type waitingID struct {
	at int // its place among the receipts of type from
	id string
}

// maxWaiting bounds the ids that may become evidence; more are counted, but not named.
const maxWaiting = 1024

func askEveryHas(p *params) (check, []jcs.Value) {
	c := &linkCheck{
		from: p.word("receipt_type"), to: p.word("has_type"),
		key: p.wordOr("link_field", "receipt_id"), toKey: p.wordOr("has_link_field", "parent_receipt_id"),
		allowNone: p.flag("allow_none"),
		named:     map[[16]byte]struct{}{}, waiting: map[[16]byte]int{}, ids: map[[16]byte][]waitingID{}, effort: p.effort,
	}
	switch p.optional("order", "any") {
	case "any":
		c.before, c.after = true, true
	case "before":
		c.before = true
	case "after":
		c.after = true
	default:
		p.wrong("param 'order' is not 'any', 'after' or 'before'")
	}
	if c.from == c.to && c.key == c.toKey {
		p.wrong("every receipt would be linked to itself")
	}
	return c, []jcs.Value{jcs.Str(c.from), jcs.Str(c.to)}
}

// linkKey hashes what a member names; null, lists and objects name nothing.
func linkKey(r *receiptView, field string) (key [16]byte, ok bool) {
	v, _ := r.receipt.Get(field)
	if v.Kind != jcs.String && v.Kind != jcs.Number || v.Text == "" {
		return key, false
	}
	sum := sha256.Sum256([]byte(scalarKey(&v)))
	return [16]byte(sum[:16]), true
}

func (c *linkCheck) add(r *receiptView) {
	if !c.spent && r.is(c.from) {
		c.need(r)
	}
	if !c.spent && r.is(c.to) {
		c.offer(r)
	}
}

// keep counts what a map has grown by, and gives up when that is too much.
func (c *linkCheck) keep(before, after int) {
	const units = 8 // CLM-24: "eight for each new link": a key of 16 bytes, what it maps to, and what a map leaves free
	c.spent = c.spent || after > before && !c.effort.keep(units)
}

// need is given a receipt that has to have another one. If that has come already and may come before, all is well; if
// not, this one waits for it, where it may come after.
func (c *linkCheck) need(r *receiptView) {
	c.found++
	key, ok := linkKey(r, c.key)
	if ok && c.before {
		if _, there := c.named[key]; there {
			return
		}
	}
	c.unmatched++
	if ok && c.after {
		before := len(c.waiting)
		c.waiting[key]++
		c.keep(before, len(c.waiting))
	}
	// Those that name nothing have the zero key, which is the hash of no value that anyone finds.
	if c.numIDs < maxWaiting && r.id != "" {
		c.ids[key] = append(c.ids[key], waitingID{c.found, strings.Clone(r.id)})
		c.numIDs++
	}
}

// offer is given a receipt that others may need: it serves all that wait for it, and, if it may stand before them, all
// that come later.
func (c *linkCheck) offer(r *receiptView) {
	key, ok := linkKey(r, c.toKey)
	if !ok {
		return
	}
	if c.before {
		before := len(c.named)
		c.named[key] = struct{}{}
		c.keep(before, len(c.named))
	}
	n := c.waiting[key]
	if n == 0 {
		return
	}
	delete(c.waiting, key)
	c.unmatched -= n
	c.numIDs -= len(c.ids[key])
	delete(c.ids, key)
}

func (c *linkCheck) answer() Result {
	where := ""
	if !c.before {
		where = " after it"
	} else if !c.after {
		where = " before it"
	}
	var waiting []waitingID
	for _, some := range c.ids {
		waiting = append(waiting, some...)
	}
	slices.SortFunc(waiting, func(v, w waitingID) int { return v.at - w.at })
	var ids evidence
	for _, w := range waiting {
		ids.add(w.id)
	}
	a := Result{
		Passed: c.unmatched == 0,
		Expected: fmt.Sprintf("every %s receipt has a %s receipt%s whose %s is its %s",
			reprText(c.from), reprText(c.to), where, c.toKey, c.key),
		Actual:   fmt.Sprintf("%d without out of %d", c.unmatched, c.found),
		Evidence: ids,
	}
	if c.spent {
		return tooMuchKept(a, c.found)
	}
	return withFigures(a, c.found, unusable{}, false, c.allowNone)
}

// tooMuchKept is the answer of a check that could not keep what it needs to know.
func tooMuchKept(a Result, found int) Result {
	a.Passed, a.Actual = false, fmt.Sprintf("gave up after %d: the claims keep too much of the receipts", found)
	return a
}

// ratioCheck is ratio.
type ratioCheck struct {
	typ, of             string
	least, most         *big.Rat // nil: no bound
	leastText, mostText string
	field               string // "": every receipt of typ counts
	want                jcs.Value
	allowNone           bool
	count, total        int64
}

func askRatio(p *params) (check, []jcs.Value) {
	c := &ratioCheck{typ: p.word("receipt_type"), of: p.word("of_type"), allowNone: p.flag("allow_none")}
	if _, ok := p.value.Get("min_ratio"); ok {
		c.least, c.leastText = p.fraction("min_ratio")
	}
	if _, ok := p.value.Get("max_ratio"); ok {
		c.most, c.mostText = p.fraction("max_ratio")
	}
	_, hasField := p.value.Get("field_name")
	_, hasValue := p.value.Get("expected_value")
	if hasField || hasValue {
		c.field, c.want = p.word("field_name"), p.scalar("expected_value", p.required("expected_value"))
	}
	switch {
	case c.least == nil && c.most == nil:
		p.wrong("neither 'min_ratio' nor 'max_ratio' is there")
	case c.least != nil && c.most != nil && c.least.Cmp(c.most) > 0:
		p.wrong("param 'min_ratio' is larger than 'max_ratio'")
	case c.typ == c.of && !hasField:
		p.wrong("the ratio of a type to itself is 1: name a field_name")
	}
	return c, []jcs.Value{jcs.Str(c.typ), jcs.Str(c.of)}
}

func (c *ratioCheck) add(r *receiptView) {
	if r.is(c.of) {
		c.total++
	}
	if !r.is(c.typ) {
		return
	}
	if c.field != "" {
		if v, ok := r.receipt.Get(c.field); !ok || !sameScalar(&v, &c.want) {
			return
		}
	}
	c.count++
}

// sameScalar makes no key of two texts: they may be long, and receipts many.
func sameScalar(a, b *jcs.Value) bool {
	if a.Kind != b.Kind || a.Kind == jcs.Null || a.Kind >= jcs.Array {
		return false
	}
	return a.Kind == jcs.String && a.Text == b.Text || a.Kind != jcs.String && scalarKey(a) == scalarKey(b)
}

func (c *ratioCheck) answer() Result {
	what := reprText(c.typ) + " receipts"
	if c.field != "" {
		what += " with " + c.field + "=" + python.Repr(c.want)
	}
	var limits []string
	if c.least != nil {
		limits = append(limits, ">= "+c.leastText)
	}
	if c.most != nil {
		limits = append(limits, "<= "+c.mostText)
	}
	a := Result{
		Expected: fmt.Sprintf("ratio of %s to %s receipts %s", what, reprText(c.of), strings.Join(limits, " and ")),
		Actual:   fmt.Sprintf("%d to %d", c.count, c.total),
	}
	if c.total == 0 { // a ratio to nothing: told in numbers, and good only where both are nothing and that is allowed
		a.Passed = c.allowNone && c.count == 0
		return a
	}
	share := big.NewRat(c.count, c.total)
	a.Passed = (c.least == nil || share.Cmp(c.least) >= 0) && (c.most == nil || share.Cmp(c.most) <= 0)
	return a
}

// proxyCheck is proxy_completeness (claims.md §6.12): what a recording proxy says of its own work. It cannot see
// what never came to it, and this check does not say otherwise.
type proxyCheck struct {
	typ                   string
	types                 []string        // of the receipts that must be as many as were written
	typed                 map[string]bool // of types, by every name
	counts                bool
	found, bad, unequal   int // receipts of typ: all, without numbers, with different ones
	bypasses              int
	requests, written, in big.Int // sums over all sessions; in: receipts of types in the pack
	one, scratch          big.Int
	ids                   evidence
}

func askProxy(p *params) (check, []jcs.Value) {
	c := &proxyCheck{typ: p.wordOr("receipt_type", "session_metadata")}
	c.one.SetInt64(1)
	wants := []jcs.Value{jcs.Str(c.typ)}
	if _, c.counts = p.value.Get("counted_types"); c.counts {
		c.types, c.typed = p.words("counted_types"), map[string]bool{}
		for _, typ := range c.types {
			wants = append(wants, jcs.Str(typ))
			c.typed[typ] = true
		}
		if c.typed[receipt.Breakglass] {
			c.typed[receipt.BreakglassType] = true
		}
	}
	return c, wants
}

func (c *proxyCheck) add(r *receiptView) {
	if r.receiptType.Kind == jcs.String && c.typed[r.receiptType.Text] {
		c.in.Add(&c.in, &c.one)
	}
	if !r.is(c.typ) {
		return
	}
	requests, ok1 := r.receipt.Get("requests_seen")
	written, ok2 := r.receipt.Get("receipts_written")
	if !ok1 && !ok2 {
		return // some other session's
	}
	c.found++
	n, ok1 := requests.Int64()
	m, ok2 := written.Int64()
	if !ok1 || !ok2 || n < 0 || m < 0 || n > maxWhole || m > maxWhole {
		c.bad++
		c.ids.add(r.id)
		return
	}
	c.requests.Add(&c.requests, c.scratch.SetInt64(n))
	c.written.Add(&c.written, c.scratch.SetInt64(m))
	// What says that something went around the proxy, or was lost in it: empty, 0, false or null if not.
	for _, name := range []string{"receipts_failed", "not_intercepted", "env_overrides"} {
		if v, _ := r.receipt.Get(name); python.Truth(&v) {
			c.bypasses++
			c.ids.add(r.id)
		}
	}
	if n != m {
		c.unequal++
		c.ids.add(r.id)
	}
}

func (c *proxyCheck) answer() Result {
	a := Result{
		Expected: fmt.Sprintf("requests_seen = receipts_written and no bypass in %s receipts", reprText(c.typ)),
		Actual:   noneFound,
		Evidence: slices.Compact(slices.Clone(c.ids)),
	}
	if c.counts {
		shown := make([]jcs.Value, len(c.types))
		for i, typ := range c.types {
			shown[i] = jcs.Str(typ)
		}
		a.Expected += ", as many as receipts of types " + listText(shown)
	}
	if c.found == 0 {
		return a
	}
	a.Passed = c.bad == 0 && c.unequal == 0 && c.bypasses == 0
	a.Actual = fmt.Sprintf("seen %s, written %s, %d of %d unequal, %d bypasses", &c.requests, &c.written, c.unequal, c.found, c.bypasses)
	if c.bad > 0 {
		a.Actual += fmt.Sprintf(", %d without numbers", c.bad)
	}
	if c.counts {
		a.Passed = a.Passed && c.in.Cmp(&c.written) == 0
		a.Actual += fmt.Sprintf(", in the pack %s", &c.in)
	}
	return a
}

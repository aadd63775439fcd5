package claim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// The claims of a pack are judged again by whoever verifies it, and one claim can be read in four ways:
//
//	reading      what is asked                                 where               why, and what it decides
//	canonical    the claim as claim_set_hash spells it         Run.canonical       one hash stands for one result (CLM-2):
//	                                                                               this is our verdict
//	as written   the same, told in the builder's words         Run.InWordsOf       no hash tells 1 from 1.0, so texts that
//	                                                                               say the same are no contradiction (CLM-27)
//	reference    a breakglass receipt by its admitted name     Run.reference       the reference tool takes it so, and signs it;
//	             is any receipt                                                    not tampered, but failed if either fails (CLM-10)
//	extra        the relying party's own cards                 a Run of their own  shown beside the pack's; no exit code
//	                                                                               follows them (claims.md §8)
//
// A claim that nobody can judge from the pack alone (its check is not known here, or reads a file or a member that no
// pack holds) is not judged by any of them: package pack then says that its result is the signer's word.

// Result is what one claim came to. Expected and Actual are normative texts:
// with ClaimID, Passed and Severity they make the discrepancy fingerprint.
type Result struct {
	ClaimID, Expected, Actual string
	Severity                  Severity
	Passed                    bool
	Evidence                  []string // at most 5 receipt ids
	FalsifierStatus           string   // "not_required": no falsifier is read
}

// Holds reports whether no critical claim failed.
func Holds(rs []Result) bool {
	return !slices.ContainsFunc(rs, func(r Result) bool { return !r.Passed && r.Severity == Critical })
}

// Fingerprint is H(C({policy_hash, suite_hash, results})), results sorted by claim id and
// without their evidence.
func Fingerprint(policyHash, suiteHash string, rs []Result) string { // CLM-16
	sorted := slices.Clone(rs)
	slices.SortStableFunc(sorted, func(a, b Result) int { return cmp.Compare(a.ClaimID, b.ClaimID) })
	results := make([]jcs.Value, len(sorted))
	for i, r := range sorted {
		results[i] = jcs.Obj(
			jcs.M("claim_id", jcs.Str(r.ClaimID)),
			jcs.M("passed", jcs.Boolean(r.Passed)),
			jcs.M("expected", jcs.Str(r.Expected)),
			jcs.M("actual", jcs.Str(r.Actual)),
			jcs.M("severity", jcs.Str(string(r.Severity))))
	}
	return form.CanonicalHash(jcs.Obj(
		jcs.M("policy_hash", jcs.Str(policyHash)),
		jcs.M("suite_hash", jcs.Str(suiteHash)),
		jcs.M("results", jcs.Arr(results...))))
}

// Run asks claims of a stream of receipts: add each receipt in pack order, then take the results.
// It keeps no receipt: counters, at most 5 evidence ids a claim, and what the doc of a predicate names.
type Run struct {
	claims     []Claim
	canonical  []check // canonical[i] judges claims[i]
	reference  []check // reference[i] does so as the reference tool would; nil: that is the same
	everyType  []check // those that want to see every receipt
	byType     map[string][]check
	otherTypes []otherTypeCheck
	current    receiptView // the receipt being added; kept here so that adding does not allocate
}

// A check is one question. Once made it cannot fail: what is wrong with its parameters is its answer.
// What it is shown is valid only during add.
type check interface {
	add(r *receiptView)
	answer() Result // Passed, Expected, Actual, Evidence
}

// A rewordable check shows values of its parameters or of a receipt, which another builder may spell
// otherwise (python.Phrase.Says). phrases are Expected and Actual of its answer.
type rewordable interface {
	phrases() (expected, actual python.Phrase)
}

// otherTypeCheck wants receipts whose type is no string: the claim has such a parameter. No intact pack holds one; the
// reference compares with ==, to which 1 and true are equal, and what is asked of a broken pack is answered likewise.
type otherTypeCheck struct {
	typ jcs.Value
	check
}

// receiptView is one receipt and what every check needs of it.
type receiptView struct {
	id          string // "" if it is no string; shares the receipt's memory
	receiptType jcs.Value
	receipt     jcs.Value
}

// is reports whether a claim about receipts of type typ is about r.
//
// CLM-10: "about receipts of type breakglass MUST also be about those of type assay.breakglass/v1".
func (r *receiptView) is(typ string) bool {
	return r.receiptType.Kind == jcs.String && (r.receiptType.Text == typ || typ == receipt.Breakglass && r.receiptType.Text == receipt.BreakglassType)
}

// maxEvidence is how many receipt ids a result carries at most.
const maxEvidence = 5

// NewRun makes the checks of the claims, which share the bounds of what patterns may cost and what may be kept.
func NewRun(claims []Claim) *Run {
	run := &Run{claims: claims, byType: map[string][]check{}, reference: make([]check, len(claims))}
	effort := new(allowance)
	for i, claim := range claims {
		c, wants := newCheck(claim, effort)
		run.canonical = append(run.canonical, c)
		run.subscribe(c, wants)
		// Only claims that the reference knows have a reading of the reference.
		if known, _ := PredicateNamed(claim.Check); known.Reference && slices.ContainsFunc(wants, isBreakglass) {
			run.reference[i], _ = newCheck(claim, effort)
			run.byType[receipt.Breakglass] = append(run.byType[receipt.Breakglass], run.reference[i])
		}
	}
	return run
}

func isBreakglass(typ jcs.Value) bool {
	return typ.Kind == jcs.String && typ.Text == receipt.Breakglass
}

// subscribe lets the check see the receipts of the types that it wants, all of them if it names none.
func (run *Run) subscribe(c check, wants []jcs.Value) {
	if _, ok := c.(unaskable); ok {
		return
	}
	if len(wants) == 0 {
		run.everyType = append(run.everyType, c)
	}
	var types []string
	for _, typ := range wants {
		switch {
		case isBreakglass(typ):
			types = append(types, receipt.Breakglass, receipt.BreakglassType)
		case typ.Kind == jcs.String:
			types = append(types, typ.Text)
		default:
			run.otherTypes = append(run.otherTypes, otherTypeCheck{typ, c})
		}
	}
	slices.Sort(types)
	for _, typ := range slices.Compact(types) {
		run.byType[typ] = append(run.byType[typ], c)
	}
}

// Add shows the next receipt to every claim.
func (run *Run) Add(receipt jcs.Value) {
	r := &run.current
	*r = receiptView{receipt: receipt}
	r.receiptType, _ = receipt.Get("type")
	if id, ok := receipt.Get("receipt_id"); ok && id.Kind == jcs.String {
		r.id = EvidenceID(id.Text)
	}
	for _, c := range run.everyType {
		c.add(r)
	}
	if r.receiptType.Kind == jcs.String {
		for _, c := range run.byType[r.receiptType.Text] {
			c.add(r)
		}
	}
	for i := range run.otherTypes {
		if python.Equal(&run.otherTypes[i].typ, &r.receiptType) {
			run.otherTypes[i].add(r)
		}
	}
	*r = receiptView{}
}

// Results judges every claim on the receipts so far, in the order of the claims.
func (run *Run) Results() []Result {
	rs := make([]Result, len(run.claims))
	for i, c := range run.canonical {
		rs[i] = run.resultOf(i, c)
	}
	return rs
}

// ReferenceResults is the results as the reference finds them, to which a breakglass receipt by its other
// name is any receipt. ok is false if no claim is about such receipts, so that both readings are one.
func (run *Run) ReferenceResults(results []Result) (rs []Result, ok bool) {
	rs = slices.Clone(results)
	for i, c := range run.reference {
		if c != nil {
			rs[i], ok = run.resultOf(i, c), true
		}
	}
	return rs, ok
}

func (run *Run) resultOf(i int, c check) Result {
	r := c.answer()
	r.ClaimID, r.FalsifierStatus = run.claims[i].ID, "not_required"
	if r.Severity == "" {
		r.Severity = run.claims[i].Severity.lower()
	}
	return r
}

// InWordsOf puts the attested words into results of either reading that say the same, so that a builder which spells a number
// or orders members otherwise is not taken for one that attests something else.
func (run *Run) InWordsOf(attested, results []Result) {
	for i := range results {
		if i >= len(attested) || attested[i].ClaimID != results[i].ClaimID {
			return
		}
		for _, c := range []check{run.canonical[i], run.reference[i]} {
			if c, ok := c.(rewordable); ok {
				results[i].reword(c, attested[i])
			}
		}
	}
}

// reword puts the words of told into r, if r is in those of c and they say the same.
func (r *Result) reword(c rewordable, told Result) {
	expected, actual := c.phrases()
	if expected.String() != r.Expected || actual.String() != r.Actual {
		return // r is the other reading's
	}
	if expected.Says(told.Expected) && actual.Says(told.Actual) { // CLM-27
		r.Expected, r.Actual = told.Expected, told.Actual
	}
}

// newCheck makes the check of a claim. wants are the receipt types it is to see; none means all receipts. A claim that
// cannot be asked is no error: it has failed, with a text that says why and that other verifiers find too. The order of
// the three reasons is fixed (claims.md §4.3), since only the first is told.
func newCheck(claim Claim, e *allowance) (c check, wants []jcs.Value) {
	switch claim.Severity.lower() { // CLM-11: "neither critical nor warning MUST fail with severity critical"
	case Critical, Warning:
	default:
		return unaskable{Result{
			Expected: "severity in {'critical','warning'}",
			Actual:   "invalid severity '" + string(claim.Severity) + "'",
			Severity: Critical,
		}}, nil
	}
	known, ok := PredicateNamed(claim.Check)
	if !ok { // CLM-12
		return unaskable{Result{
			Expected: "check function '" + claim.Check + "' exists",
			Actual:   UnknownCheck,
		}}, nil
	}
	p := &params{value: claim.Params, effort: e}
	if !known.Reference { // first: what is misspelled is also missing
		p.onlyKnown(known.Params)
	}
	c, wants = known.ask(p)
	if p.fault != "" { // CLM-13: "the first problem in the order in which the check reads them"
		return unaskable{Result{Expected: "valid params for check '" + claim.Check + "'", Actual: p.fault}}, nil
	}
	return c, wants
}

// Severity says whether a claim that does not hold fails the claims. A card may spell it in any case, and a result
// never does.
type Severity string

const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
)

// lower is the word in lowercase, as Python has it: to Go the capital I with a dot (U+0130) is an i in
// lowercase, and to Python two characters.
func (s Severity) lower() Severity {
	if !form.IsASCII(string(s)) {
		return s
	}
	return Severity(strings.ToLower(string(s)))
}

// UnknownCheck is the Actual of a claim whose check nobody here knows.
const UnknownCheck = "unknown check function"

// unaskable is the answer to a claim that cannot be asked.
type unaskable struct{ result Result }

func (unaskable) add(*receiptView) {}
func (c unaskable) answer() Result { return c.result }

// evidence is the first few receipt ids. Ids are copied: they share the memory of their receipt.
type evidence []string

// EvidenceID is the id of a receipt as evidence holds it. An id may be a megabyte long and be evidence of
// every one of a thousand claims; evidence is for people and in no hash, so 256 bytes of it will do.
func EvidenceID(id string) string { // CLM-14
	const most = 256
	if len(id) <= most {
		return id
	}
	return strings.ToValidUTF8(id[:most], "") + "..."
}

func (e *evidence) add(id string) {
	if len(*e) < maxEvidence && id != "" {
		*e = append(*e, strings.Clone(id))
	}
}

// typePresence is receipt_type_present (want) and no_receipt_type.
type typePresence struct {
	typ   jcs.Value
	want  bool
	found int
	ids   evidence
}

func (c *typePresence) add(r *receiptView) {
	c.found++
	c.ids.add(r.id)
}

func (c *typePresence) answer() Result {
	return phrased(c, c.want == (c.found > 0), c.ids)
}

func (c *typePresence) phrases() (expected, actual python.Phrase) {
	least := "0 receipts"
	if c.want {
		least = "at least 1 receipt"
	}
	return python.Phrase{least + " of type '", python.Bare(&c.typ), "'"}, python.Phrase{fmt.Sprintf("found %d", c.found)}
}

// phrased is the answer of a check that has phrases: the words of the answer and those that InWordsOf compares are one.
func phrased(c rewordable, passed bool, ids evidence) Result {
	expected, actual := c.phrases()
	return Result{Passed: passed, Expected: expected.String(), Actual: actual.String(), Evidence: ids}
}

type leastCheck struct {
	least jcs.Value
	count int64
}

func (c *leastCheck) add(*receiptView) { c.count++ }

func (c *leastCheck) alwaysPasses() bool { // CLM-17
	zero := jcs.Int(0)
	return python.NumberOf(&c.least).Compare(python.NumberOf(&zero)) <= 0
}

func (c *leastCheck) answer() Result {
	count := jcs.Int(c.count)
	return phrased(c, python.NumberOf(&count).Compare(python.NumberOf(&c.least)) >= 0, nil)
}

func (c *leastCheck) phrases() (expected, actual python.Phrase) {
	return python.Phrase{">= ", python.Quoted(&c.least), " receipts"}, python.Phrase{fmt.Sprintf("%d receipts", c.count)}
}

// monotonicCheck compares the truthy timestamps as text, each with the one before.
//
// Its evidence keeps a quirk of the reference: the k-th timestamp that breaks the order names the k-th
// receipt of the whole list, although receipts without a timestamp may have come before it.
type monotonicCheck struct {
	last       []byte // the last timestamp; reused
	stamped    bool   // there was one
	violations int
	ids        evidence
	behind     []string // ids of the receipts that the next timestamps will name
}

// maxBehind bounds what receipts without a timestamp make us remember. A pack that has one is refused
// whatever its claims say.
const maxBehind = 1024

func (c *monotonicCheck) add(r *receiptView) {
	v, ok := r.receipt.Get("timestamp")
	if !ok || !python.Truth(&v) {
		if len(c.behind) < maxBehind {
			c.behind = append(c.behind, strings.Clone(r.id))
		}
		return
	}
	named := r.id
	if len(c.behind) > 0 {
		named = c.behind[0]
		c.behind = append(c.behind[1:], strings.Clone(r.id))
	}
	// CLM-18: a stamp that is true and no text is compared as Python's repr of it.
	stamp := v.Text
	if v.Kind != jcs.String {
		stamp = python.Repr(v)
	}
	if c.stamped && string(c.last) > stamp {
		c.violations++
		c.ids.add(named)
	}
	c.last, c.stamped = append(c.last[:0], stamp...), true
}

func (c *monotonicCheck) answer() Result {
	actual := "monotonic"
	if c.violations > 0 {
		actual = fmt.Sprintf("%d violations", c.violations)
	}
	return Result{
		Passed:   c.violations == 0,
		Expected: "timestamps non-decreasing",
		Actual:   actual,
		Evidence: c.ids,
	}
}

// valueCheck wants one receipt of the type, and that all of them have the value. A member that is
// absent counts as null.
type valueCheck struct {
	typ, name, want   jcs.Value // a name that is no string names no member
	found, mismatches int
	ids               evidence
}

func (c *valueCheck) add(r *receiptView) {
	c.found++
	v := jcs.Value{}
	if c.name.Kind == jcs.String {
		v, _ = r.receipt.Get(c.name.Text)
	}
	if c.name.Kind >= jcs.Array || !python.Equal(&v, &c.want) {
		c.mismatches++
		c.ids.add(r.id)
	}
}

func (c *valueCheck) answer() Result {
	return phrased(c, c.found > 0 && c.mismatches == 0, c.ids)
}

func (c *valueCheck) phrases() (expected, actual python.Phrase) {
	if c.found == 0 {
		return python.Phrase{"receipts of type '", python.Bare(&c.typ), "' with ", python.Bare(&c.name), "=", python.Quoted(&c.want)}, python.Phrase{"no receipts of that type found"}
	}
	return python.Phrase{"all '", python.Bare(&c.typ), "' receipts: ", python.Bare(&c.name), "=", python.Quoted(&c.want)},
		python.Phrase{fmt.Sprintf("%d mismatches out of %d", c.mismatches, c.found)}
}

// contractCheck compares the call sites that receipts name with those of a contract. The reference reads the
// contract from a file beside wherever it runs; a verdict must not depend on that, so here the claim
// fails with the text of a missing file unless the relying party gave a contract (Run.Cover).
type contractCheck struct {
	path  string
	least jcs.Value
	cover *Sites // saw the receipts; nil: no contract
}

func (*contractCheck) add(*receiptView) {}

func (c *contractCheck) alwaysPasses() bool { return python.Float(&c.least) <= 0 } // never true of a NaN

func (c *contractCheck) answer() Result {
	if c.cover == nil {
		return Result{Expected: "valid coverage contract at " + c.path, Actual: "file not found: " + c.path}
	}
	share, covered := c.cover.share(), c.cover.named(true)
	return Result{
		Passed:   share >= python.Float(&c.least),
		Expected: ">= " + python.Percent(python.Float(&c.least)) + " call site coverage",
		Actual:   fmt.Sprintf("%s (%d/%d)", python.Percent(share), c.cover.covered, len(c.cover.sites)),
		Evidence: covered[:min(len(covered), maxEvidence)],
	}
}

// postureCheck judges the latest governance_posture_snapshot: the greatest evaluated_at as text; of equals,
// the later receipt. A latest one whose posture is null counts as none.
type postureCheck struct {
	required, latest jcs.Value
	evaluatedAt, id  string
	found            bool
}

func (c *postureCheck) add(r *receiptView) {
	at, _ := r.receipt.Get("evaluated_at")
	if c.found && at.Text < c.evaluatedAt {
		return
	}
	c.found, c.evaluatedAt, c.id = true, strings.Clone(at.Text), strings.Clone(r.id)
	c.latest = jcs.Str("UNKNOWN")
	if v, ok := r.receipt.Get("posture"); ok {
		c.latest = v
		c.latest.Text = strings.Clone(v.Text)
		if v.Kind >= jcs.Array { // the reference has no answer then; ours is the text, which fails
			c.latest = jcs.Str(python.Str(v))
		}
	}
}

func (c *postureCheck) answer() Result {
	if c.none() {
		return phrased(c, false, nil)
	}
	var ids evidence
	ids.add(c.id)
	return phrased(c, postureRank(&c.latest, 0) >= postureRank(&c.required, 3), ids)
}

func (c *postureCheck) none() bool { return !c.found || c.latest.Kind == jcs.Null }

func (c *postureCheck) phrases() (expected, actual python.Phrase) {
	if c.none() {
		return python.Phrase{"governance posture ", python.Bare(&c.required), " (embedded in pack)"},
			python.Phrase{"no governance_posture_snapshot found (pack predates posture embedding)"}
	}
	return python.Phrase{"governance posture >= ", python.Bare(&c.required)}, python.Phrase{"governance posture ", python.Bare(&c.latest)}
}

// postureRank is otherwise for what nobody knows: as a requirement the highest, as a fact the lowest.
func postureRank(v *jcs.Value, otherwise int) int {
	if v.Kind != jcs.String {
		return otherwise
	}
	switch v.Text {
	case "CLEAN":
		return 3
	case "DEBT_OUTSTANDING":
		return 2
	case "DEBT_OVERDUE":
		return 1
	case "UNKNOWN", "UNAVAILABLE":
		return 0
	}
	return otherwise
}

// SameOutcome compares what a fingerprint covers.
func SameOutcome(a, b Result) bool {
	return a.Passed == b.Passed && a.Expected == b.Expected && a.Actual == b.Actual && a.Severity == b.Severity
}

// CoverageCheck is the one check that reads a file outside of the pack.
const CoverageCheck = "coverage_contract"

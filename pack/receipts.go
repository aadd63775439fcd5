package pack

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/big"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// knownType reports whether a pack may hold that type without a namespace, or as ours of breakglass.
func knownType(kind string) bool { return flatTypes[kind] || kind == BreakglassType }

// flatTypes are the admitted types without a namespace (pack.md §1.3).
var flatTypes = map[string]bool{
	"ai_workflow": true, "capability_use": true, "challenge": true, "decision_v1": true,
	"governance_posture_snapshot": true, "grace_check": true, "guardian_check": true,
	"guardian_verdict": true, "mcp_tool_call": true, "model_call": true, "refusal": true,
	"revocation": true, "session_metadata": true, "supersession": true,
}

// admitted is pack.md §1.3: a flat type of the list, or ^[a-z0-9_]+(\.[a-z0-9_]+)+(/[a-z0-9_]+)?$
// outside the reserved namespace loom.
func admitted(kind string) bool {
	if flatTypes[kind] {
		return true
	}
	name, revision, hasRevision := strings.Cut(kind, "/")
	if hasRevision && !word(revision) || !strings.Contains(name, ".") || strings.HasPrefix(name, "loom.") {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		if !word(part) {
			return false
		}
	}
	return true
}

func word(s string) bool {
	for i := range len(s) {
		if !('a' <= s[i] && s[i] <= 'z' || '0' <= s[i] && s[i] <= '9' || s[i] == '_') {
			return false
		}
	}
	return s != ""
}

// projected are the members that are dropped from a receipt's root before it is packed (pack.md §1.4).
var projected = []string{"signatures", "signature", "cose_signature", "receipt_hash", "anchor"}

// isProjected reports whether receipts lose the member when they are packed.
func isProjected(name string) bool { return slices.Contains(projected, name) }

// asciiNames reports the first member name, at any depth, that is not ASCII (pack.md §1.4).
func asciiNames(v *jcs.Value) (string, bool) {
	for i := range v.Members {
		m := &v.Members[i]
		if !form.IsASCII(m.Name) {
			return m.Name, false
		}
		if m.Value.Kind < jcs.Array {
			continue
		}
		if bad, ok := asciiNames(&m.Value); !ok {
			return bad, false
		}
	}
	for i := range v.Items {
		if bad, ok := asciiNames(&v.Items[i]); !ok {
			return bad, false
		}
	}
	return "", true
}

// sortKey orders receipts (pack.md §3.2): run, then sequence number, then id.
type sortKey struct {
	kind jcs.Kind // of the run id; one that is null or missing is a text
	run  string   // "" unless it is a text
	seq  jcs.Value
	id   string
}

// compare is negative if k comes before l. Run ids and sequence numbers of different kinds have no order.
func (k *sortKey) compare(l *sortKey) (c int, ok bool) {
	if k.kind != l.kind {
		return 0, false
	}
	if c = strings.Compare(k.run, l.run); c != 0 {
		return c, true
	}
	if c, ok = compareSeq(&k.seq, &l.seq); c != 0 || !ok {
		return c, ok
	}
	return strings.Compare(k.id, l.id), true
}

// sameRun reports whether a run id that is there names the run, as Python writes it: 7 names the run "7". What
// it takes for false (null, "", 0) names none.
func sameRun(v *jcs.Value, runID string) bool {
	return v == nil || !python.Truth(v) || python.Phrase{python.Bare(v)}.Says(runID)
}

func compareSeq(a, b *jcs.Value) (c int, ok bool) {
	if a.Kind == jcs.String && b.Kind == jcs.String {
		return strings.Compare(a.Text, b.Text), true
	}
	if m, ok := a.Int64(); ok {
		if n, ok := b.Int64(); ok {
			switch {
			case m < n:
				return -1, true
			case m > n:
				return +1, true
			}
			return 0, true
		}
	}
	m, ok1 := exact(a)
	n, ok2 := exact(b)
	if !ok1 || !ok2 {
		return 0, false
	}
	return m.Cmp(n), true
}

// exact reads the sequence numbers that do not fit 64 bits or are no integers. What is
// packed holds no exponent below -324 and at most python.MaxDigits digits, so this stays small.
func exact(v *jcs.Value) (*big.Rat, bool) {
	switch v.Kind {
	case jcs.Bool: // the reference implementation counts true as 1
		if v.Bool {
			return big.NewRat(1, 1), true
		}
		return new(big.Rat), true
	case jcs.Number:
		if !strings.ContainsAny(v.Text, ".eE") {
			return new(big.Rat).SetString(v.Text)
		}
		if f, ok := v.Float64(); ok {
			return new(big.Rat).SetFloat64(f), true
		}
	}
	return nil, false
}

// jsonCode is the finding code for text that the strict reader refused (H8: duplicates are E_CANON_MISMATCH).
func jsonCode(err error) string {
	if errors.Is(err, jcs.ErrDuplicate) || errors.Is(err, jcs.ErrNumber) {
		return eCanon
	}
	return eTamper
}

// core is what a pack asks of a receipt, read in one pass over its members.
type core struct {
	id, kind, at    string     // "" if missing, empty or no string
	recorder        string     // likewise
	trace, run, seq *jcs.Value // nil if missing
	dropped         string     // a member that is not packed, "" if there is none
	provider, model string     // likewise
	input, output   *jcs.Value // nil if missing
	exit, signal    *jcs.Value // how a program ended, see ending; nil if missing
}

// sortKey is the key of a receipt of run runID. A run id that is there must be that one.
func (c *core) sortKey(runID string) (key sortKey, problem string) {
	key = sortKey{kind: jcs.String, seq: jcs.Value{Kind: jcs.Number, Text: "0"}, id: c.id}
	if run := c.trace; run != nil || c.run != nil {
		if run == nil {
			run = c.run
		}
		if key.run = stringOf(run); run.Kind != jcs.Null {
			key.kind = run.Kind
		}
	}
	if !sameRun(c.trace, runID) {
		problem = "_trace_id is not the run_id of the attestation"
	} else if !sameRun(c.run, runID) {
		problem = "run_id is not the run_id of the attestation"
	}
	if c.seq != nil {
		key.seq = *c.seq
	}
	return key, problem
}

// coreOf reads the core of a receipt. It shares the memory of the receipt.
func coreOf(v *jcs.Value) (c core) {
	for i := range v.Members {
		m := &v.Members[i]
		switch m.Name {
		case "receipt_id":
			c.id = stringOf(&m.Value)
		case "type":
			c.kind = stringOf(&m.Value)
		case "timestamp":
			c.at = stringOf(&m.Value)
		case "_trace_id":
			c.trace = &m.Value
		case "run_id":
			c.run = &m.Value
		case "seq":
			c.seq = &m.Value
		case "recorded_by":
			c.recorder = stringOf(&m.Value)
		case "provider":
			c.provider = stringOf(&m.Value)
		case "model_id":
			c.model = stringOf(&m.Value)
		case "input_tokens":
			c.input = &m.Value
		case "output_tokens":
			c.output = &m.Value
		case "child_exit_code":
			c.exit = &m.Value
		case "child_signal":
			c.signal = &m.Value
		case "signatures", "signature", "cose_signature", "receipt_hash", "anchor":
			c.dropped = m.Name
		}
	}
	return c
}

// missing names the required member that is not there, "" if all are.
func (c *core) missing() string {
	switch {
	case c.id == "":
		return "receipt_id"
	case c.kind == "":
		return "type"
	case c.at == "":
		return "timestamp"
	}
	return ""
}

func stringOf(v *jcs.Value) string {
	if v.Kind == jcs.String {
		return v.Text
	}
	return ""
}

// receiptScan reads receipt_pack.jsonl once, line by line. Of the receipts it keeps a
// hash of each id and the extremes of the timestamps, so its memory does not depend on
// how long they are.
type receiptScan struct {
	runID  string    // of the attestation: what every run id must be
	claims *claimRun // fed with every receipt, in order; nil: nothing to evaluate
	asked  *claimRun // as claims, for those that the relying party adds
	found  findings

	digest   [32]byte  // of the file
	lf       hash.Hash // of its lines without the CR that the first one ends in; nil if that ends in none
	size     int64
	count    int  // receipts read
	aboutRun int  // of them, those that AboutRun names
	complete bool // every line was a receipt that could be read
	bad      bool // a receipt broke a rule of pack.md §4.3
	literal  int  // lines that hold U+0085, U+2028 or U+2029 unescaped

	reader                  jcs.Reader
	census                  census
	ids                     map[[16]byte]struct{}
	last                    []byte // the last line
	scratch                 []byte
	previous                sortKey
	first, latest, min, max string // timestamps
}

// read reads the file to its end; an error is one of reading, not of what was read.
func (s *receiptScan) read(f io.Reader, limit int64) error {
	s.ids = make(map[[16]byte]struct{})
	s.complete = true
	sum := sha256.New()
	buf := make([]byte, 256<<10)
	held := 0 // bytes at the start of buf that belong to an unfinished line
	for {
		n, err := f.Read(buf[held:])
		if s.size += int64(n); s.size > limit {
			return fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
		}
		sum.Write(buf[held : held+n])
		held = s.lines(buf, held, held+n)
		if held == len(buf) {
			if held > maxLine {
				s.stop(eTamper, "line %d is longer than %d bytes", s.count+1, maxLine)
				held = 0
			} else {
				buf = append(buf, make([]byte, min(len(buf), maxLine+1-len(buf)))...)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if held > 0 && s.complete {
		s.stop(eTamper, "line %d does not end in a newline", s.count+1)
	}
	sum.Sum(s.digest[:0])
	return nil
}

// lines checks the finished lines of buf[:end] and moves the rest to the front. The bytes
// before from are known to hold no newline. It returns how many bytes it kept.
func (s *receiptScan) lines(buf []byte, from, end int) int {
	start := 0
	for s.complete {
		// The separator is the byte 0x0A, whatever else looks like a line end (threats.md P09).
		i := bytes.IndexByte(buf[from:end], '\n')
		if i < 0 {
			return copy(buf, buf[start:end])
		}
		s.line(buf[start : from+i])
		from += i + 1
		start = from
	}
	return 0
}

// unconverted hashes the line without the CR that a conversion of line ends may have put behind each.
func (s *receiptScan) unconverted(line []byte) {
	bare, cr := bytes.CutSuffix(line, []byte("\r"))
	if s.count == 0 && cr {
		s.lf = sha256.New()
	}
	if s.lf != nil {
		s.lf.Write(bare)
		s.lf.Write([]byte{'\n'})
	}
}

// converted reports whether the file has the hash if no line ends in a CR. That is told once, not for each line.
func (s *receiptScan) converted(want [32]byte) bool {
	if s.lf == nil || !s.complete || [32]byte(s.lf.Sum(nil)) != want {
		return false
	}
	s.found = slices.DeleteFunc(s.found, func(f Finding) bool { return f.Field == canonicalLine })
	return true
}

func (s *receiptScan) stop(code, format string, args ...any) {
	s.found.addReceipt(s.count, code, receiptsName, format, args...)
	s.complete = false
}

// line judges one receipt: pack.md §4.3, §1.3 and the checks H5, H6 of §10.1.
func (s *receiptScan) line(line []byte) {
	switch {
	case len(line) > maxLine:
		s.stop(eTamper, "line %d is longer than %d bytes", s.count+1, maxLine)
		return
	case s.count == maxReceipts:
		s.stop(eTamper, "more than %d receipts", maxReceipts)
		return
	}
	v, canonical, err := s.reader.IsPackLine(line, jcs.Limits{Bytes: maxLine, Depth: form.MaxDepth})
	if err != nil {
		s.stop(jsonCode(err), "line %d: %s", s.count+1, form.OneLine(err))
		return
	}
	if v.Kind != jcs.Object {
		s.stop(eTamper, "line %d is not an object", s.count+1)
		return
	}
	s.unconverted(line)
	s.last = append(s.last[:0], line...)
	c := coreOf(&v)
	s.fields(&c)
	s.form(line, &v, &c, canonical)
	s.order(&c)
	s.census.add(&c)
	if c.aboutRun() {
		s.aboutRun++
	}
	for _, run := range [...]*claimRun{s.claims, s.asked} {
		if run != nil {
			run.add(v)
		}
	}
	s.count++
}

// broken records that a receipt fails the receipt-set check, which makes receipt_integrity FAIL.
func (s *receiptScan) broken(code, field, format string, args ...any) {
	s.bad = true
	s.found.addReceipt(s.count, code, field, format, args...)
}

// fields is the receipt-set check of pack.md §4.3, and the types of §1.3.
func (s *receiptScan) fields(c *core) {
	if name := c.missing(); name != "" {
		s.broken(eSchema, name, "%s is missing, empty or not a string", name)
	}
	if c.kind != "" && !admitted(c.kind) {
		// Not part of receipt_integrity: the attested value knows nothing of types.
		s.found.addReceipt(s.count, eSchema, "type", "type %s is not admitted", form.Quote(c.kind))
	}
	if c.at != "" {
		if !parseReceiptTime(c.at) {
			s.broken(eTimestamp, "timestamp", "timestamp %s is not ISO 8601", form.Quote(c.at))
		}
		s.span(c.at)
	}
	if c.id != "" {
		s.scratch = append(s.scratch[:0], c.id...)
		sum := sha256.Sum256(s.scratch)
		key := [16]byte(sum[:16])
		known := len(s.ids)
		if s.ids[key] = struct{}{}; len(s.ids) == known {
			s.broken(eDuplicate, "receipt_id", "receipt_id %s was there before", form.Quote(c.id))
		}
	}
}

func (s *receiptScan) span(at string) {
	if s.first == "" {
		s.first, s.min, s.max = at, at, at
	}
	s.min, s.max, s.latest = min(s.min, at), max(s.max, at), at
}

// form is H5: the line is C(project(receipt)), and all member names are ASCII.
func (s *receiptScan) form(line []byte, v *jcs.Value, c *core, canonical bool) {
	if name, ok := asciiNames(v); !ok {
		s.broken(eCanon, "member_name", "member name %s is not ASCII", form.Quote(name))
	}
	if c.dropped != "" {
		s.found.addReceipt(s.count, eTamper, canonicalLine, "%s is not packed", c.dropped)
	}
	if !canonical {
		s.found.addReceipt(s.count, eTamper, canonicalLine, "line %d is not in canonical form", s.count+1)
	}
	if bytes.Contains(line, nel) || bytes.Contains(line, ls) || bytes.Contains(line, ps) {
		s.literal++
	}
}

// canonicalLine is the field of findings about the form of a line.
const canonicalLine = "canonical_line"

// The line separators of Unicode that the reference implementation cuts lines at.
var nel, ls, ps = []byte("\u0085"), []byte("\u2028"), []byte("\u2029")

// order is H6: every run id is the attestation's, and the lines are sorted by pack.md §3.2.
func (s *receiptScan) order(c *core) {
	key, problem := c.sortKey(s.runID)
	if problem != "" {
		s.found.addReceipt(s.count, eTamper, "run_id", "%s", problem)
	}
	if s.count > 0 {
		if c, ok := s.previous.compare(&key); !ok || c > 0 {
			s.found.addReceipt(s.count, eTamper, "receipt_order", "line %d stands behind one that it must precede", s.count+1)
		}
	}
	s.previous = key
}

// checkReceipts is steps (e) to (h), and H7: what the receipts are against what is attested of them.
func (s *receiptScan) checkReceipts(m *Manifest, fs *findings) {
	a := m.Attestation
	if s.complete && int64(s.count) != m.Receipts {
		fs.add(eOmission, "receipt_count_expected", "%d receipts, %d expected", s.count, m.Receipts)
	}
	integrity := Pass
	if s.bad || !s.complete {
		integrity = Fail
	}
	if string(integrity) != a.ReceiptIntegrity {
		fs.add(eTamper, "receipt_integrity", "receipt_integrity is %s, attested is %s", integrity, a.ReceiptIntegrity)
	}
	if s.head() != a.HeadHash {
		fs.add(eTamper, "head_hash", "head_hash is not the hash of the last receipt")
	}
	if s.count == 0 {
		return
	}
	// Releases up to 1.15.1 attested the first and last timestamp instead of the extremes.
	extremes := a.TimestampStart == s.min && a.TimestampEnd == s.max
	if ends := a.TimestampStart == s.first && a.TimestampEnd == s.latest; !extremes && !ends {
		fs.add(eTamper, "timestamp_range", "timestamp_start and timestamp_end are not those of the receipts")
	}
}

// emptyHead is the head_hash of a pack without receipts, H("empty").
const emptyHead = "2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d"

// head is the hash of the last receipt's canonical form.
func (s *receiptScan) head() string {
	if s.count == 0 {
		return emptyHead
	}
	canonical, err := jcs.Pack(nil, s.last, jcs.Limits{Bytes: maxLine, Depth: form.MaxDepth})
	if err != nil {
		return ""
	}
	return form.HexSum(canonical)
}

// scanReceipts is step (e), and with it the file part of step (c) for the receipts.
func (s *receiptScan) scanReceipts(fsys fs.FS) error {
	f, err := openRegular(fsys, receiptsName, maxJSONL)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.read(f, maxJSONL)
}

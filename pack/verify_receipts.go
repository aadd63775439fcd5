package pack

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
	"github.com/Haserjian/assay-ledger/trust"
)

// receiptScan reads receipt_pack.jsonl once, line by line. Of the receipts it keeps a
// hash of each id and the extremes of the timestamps, so its memory does not depend on
// how long they are.
type receiptScan struct {
	runID  string     // of the attestation: what every run id must be
	claims *claim.Run // fed with every receipt, in order; nil: nothing to evaluate
	asked  *claim.Run // as claims, for those that the relying party adds
	found  manifest.Findings

	digest   trust.Digest // of the file
	lf       hash.Hash    // of its lines without the CR that the first one ends in; nil if that ends in none
	size     int64
	count    int  // receipts read
	aboutRun int  // of them, those that AboutRun names
	complete bool // every line was a receipt that could be read
	bad      bool // a receipt broke a rule that receipt_integrity is about (verify.md §7)
	literal  int  // lines that hold U+0085, U+2028 or U+2029 unescaped

	reader                  jcs.Reader
	census                  census
	ids                     map[[16]byte]struct{}
	last                    []byte // the last line
	scratch                 []byte
	previous                receipt.SortKey
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
			if held > receipt.MaxLine {
				s.stop(manifest.CodeManifestTamper, "line %d is longer than %d bytes", s.count+1, receipt.MaxLine)
				held = 0
			} else {
				buf = append(buf, make([]byte, min(len(buf), receipt.MaxLine+1-len(buf)))...)
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
		s.stop(manifest.CodeManifestTamper, "line %d does not end in a newline", s.count+1)
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
func (s *receiptScan) converted(want trust.Digest) bool {
	if s.lf == nil || !s.complete || trust.Digest(s.lf.Sum(nil)) != want {
		return false
	}
	s.found = slices.DeleteFunc(s.found, func(f manifest.Finding) bool { return f.Field == canonicalLine })
	return true
}

// at is where everything that is wrong with a receipt is found.
func (s *receiptScan) at() manifest.Place { return s.found.At(manifest.StageReceipts) }

func (s *receiptScan) stop(code, format string, args ...any) {
	s.at().AddReceipt(s.count, code, manifest.ReceiptsName, format, args...)
	s.complete = false
}

// line judges one receipt: the table of verify.md §7.
func (s *receiptScan) line(line []byte) {
	switch {
	case len(line) > receipt.MaxLine:
		s.stop(manifest.CodeManifestTamper, "line %d is longer than %d bytes", s.count+1, receipt.MaxLine)
		return
	case s.count == receipt.MaxReceipts:
		s.stop(manifest.CodeManifestTamper, "more than %d receipts", receipt.MaxReceipts)
		return
	}
	v, canonical, err := s.reader.IsPackLine(line, jcs.Limits{Bytes: receipt.MaxLine, Depth: form.MaxDepth})
	if err != nil {
		s.stop(manifest.JSONCode(err), "line %d: %s", s.count+1, form.OneLine(err))
		return
	}
	if v.Kind != jcs.Object {
		s.stop(manifest.CodeManifestTamper, "line %d is not an object", s.count+1)
		return
	}
	s.unconverted(line)
	s.last = append(s.last[:0], line...)
	c := receipt.CoreOf(&v)
	s.fields(&c)
	s.form(line, &v, &c, canonical)
	s.order(&c)
	s.census.add(&c)
	if c.AboutRun() {
		s.aboutRun++
	}
	for _, run := range [...]*claim.Run{s.claims, s.asked} {
		if run != nil {
			run.Add(v)
		}
	}
	s.count++
}

// broken records that a receipt fails the receipt-set check, which makes receipt_integrity FAIL.
func (s *receiptScan) broken(code, field, format string, args ...any) {
	s.bad = true
	s.at().AddReceipt(s.count, code, field, format, args...)
}

// fields looks at the members that every receipt has (RCP-1 to RCP-4, RCP-7).
func (s *receiptScan) fields(c *receipt.Core) {
	if name := c.Missing(); name != "" {
		s.broken(manifest.CodeSchemaUnknown, name, "%s is missing, empty or not a string", name)
	}
	if c.Type != "" && !receipt.PackedType(c.Type) {
		// Not part of receipt_integrity: the attested value knows nothing of types.
		s.at().AddReceipt(s.count, manifest.CodeSchemaUnknown, "type", "type %s is not admitted", form.Quote(c.Type))
	}
	if c.Timestamp != "" {
		if !receipt.IsTime(c.Timestamp) {
			s.broken(manifest.CodeTimestampInvalid, "timestamp", "timestamp %s is not ISO 8601", form.Quote(c.Timestamp))
		}
		s.span(c.Timestamp)
	}
	if c.ID != "" {
		s.scratch = append(s.scratch[:0], c.ID...)
		sum := sha256.Sum256(s.scratch)
		key := [16]byte(sum[:16])
		known := len(s.ids)
		if s.ids[key] = struct{}{}; len(s.ids) == known {
			s.broken(manifest.CodeDuplicateID, "receipt_id", "receipt_id %s was there before", form.Quote(c.ID))
		}
	}
}

func (s *receiptScan) span(at string) {
	if s.first == "" {
		s.first, s.min, s.max = at, at, at
	}
	s.min, s.max, s.latest = min(s.min, at), max(s.max, at), at
}

// form is PCK-6, RCP-8 and RCP-14: the line is canonical, and all member names are ASCII.
func (s *receiptScan) form(line []byte, v *jcs.Value, c *receipt.Core, canonical bool) {
	if name, ok := receipt.ASCIINames(v); !ok {
		s.broken(manifest.CodeCanonMismatch, "member_name", "member name %s is not ASCII", form.Quote(name))
	}
	if c.Dropped != "" {
		s.at().AddReceipt(s.count, manifest.CodeManifestTamper, canonicalLine, "%s is not packed", c.Dropped)
	}
	if !canonical {
		s.at().AddReceipt(s.count, manifest.CodeManifestTamper, canonicalLine, "line %d is not in canonical form", s.count+1)
	}
	if bytes.Contains(line, nel) || bytes.Contains(line, ls) || bytes.Contains(line, ps) {
		s.literal++
	}
}

// canonicalLine is the field of findings about the form of a line.
const canonicalLine = "canonical_line"

// The line separators of Unicode that the reference implementation cuts lines at.
var nel, ls, ps = []byte("\u0085"), []byte("\u2028"), []byte("\u2029")

// order is PCK-7 to PCK-9: every run id is the attestation's, and the lines are sorted.
func (s *receiptScan) order(c *receipt.Core) {
	key, problem := c.SortKey(s.runID)
	if problem != "" {
		s.at().AddReceipt(s.count, manifest.CodeManifestTamper, "run_id", "%s", problem)
	}
	if s.count > 0 {
		if c, ok := s.previous.Compare(&key); !ok || c > 0 {
			s.at().AddReceipt(s.count, manifest.CodeManifestTamper, "receipt_order", "line %d stands behind one that it must precede", s.count+1)
		}
	}
	s.previous = key
}

// checkReceipts compares what the receipts are with what is attested of them: the second table of verify.md §7.
func (s *receiptScan) checkReceipts(m *manifest.Manifest, fs *manifest.Findings) {
	a, at := m.Attestation, fs.At(manifest.StageReceipts)
	if s.complete && int64(s.count) != m.Receipts {
		at.Add(manifest.CodePackOmission, "receipt_count_expected", "%d receipts, %d expected", s.count, m.Receipts)
	}
	integrity := Pass
	if s.bad || !s.complete {
		integrity = Fail
	}
	if string(integrity) != a.ReceiptIntegrity {
		at.Add(manifest.CodeManifestTamper, "receipt_integrity", "receipt_integrity is %s, attested is %s", integrity, a.ReceiptIntegrity)
	}
	if s.head() != a.HeadHash {
		at.Add(manifest.CodeManifestTamper, "head_hash", "head_hash is not the hash of the last receipt")
	}
	if s.count == 0 {
		return
	}
	// Releases up to 1.15.1 attested the first and last timestamp instead of the extremes.
	extremes := a.TimestampStart == s.min && a.TimestampEnd == s.max
	if ends := a.TimestampStart == s.first && a.TimestampEnd == s.latest; !extremes && !ends {
		at.Add(manifest.CodeManifestTamper, "timestamp_range", "timestamp_start and timestamp_end are not those of the receipts")
	}
}

// emptyHead is the head_hash of a pack without receipts, H("empty").
const emptyHead = "2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d"

// head is the hash of the last receipt's canonical form.
func (s *receiptScan) head() string {
	if s.count == 0 {
		return emptyHead
	}
	canonical, err := jcs.Pack(nil, s.last, jcs.Limits{Bytes: receipt.MaxLine, Depth: form.MaxDepth})
	if err != nil {
		return ""
	}
	return form.HexSum(canonical)
}

// scanReceipts reads the file of receipts, once, for its digest and for its lines.
func (s *receiptScan) scanReceipts(fsys fs.FS) error {
	f, err := openRegular(fsys, manifest.ReceiptsName, maxJSONL)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.read(f, maxJSONL)
}

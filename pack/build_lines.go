package pack

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// receiptLines is receipt_pack.jsonl in the making. Each receipt is written as it comes; if they come in the
// order of pack.md §3.1, that file is the pack's, and if not, its lines are copied in order to another.
// What is kept of a receipt does not depend on how long it is.
type receiptLines struct {
	count    int    // receipts so far
	size     int64  // bytes of the file
	sum      string // SHA-256 of the file
	head     string // hash of the last receipt (PCK-24)
	min, max extreme

	kinds map[string]int // of the types we know, for the summary; "" counts the others

	ids     map[[16]byte]struct{} // hashes of the receipt ids: an id may be as long as a line
	index   lineIndex             // of the lines as they came
	inOrder bool                  // so far they came in order
	hash    hash.Hash             // of the lines that addInOrder was given
	run     *claim.Run            // the claims, asked of those lines; nil: none
	line    []byte                // the last line, with its newline
	reader  jcs.Reader
}

// extreme is the least or greatest timestamp, and whose it is.
type extreme struct {
	at, id  string
	receipt int
}

// readReceipts writes the file of receipts, and asks the claims on the way, in one pass over receipts that come in
// order and in two over others. It begins as if they did, and sortLines begins again when the last one has shown that
// they did not.
func (b *builder) readReceipts() error {
	file, err := b.target.create(manifest.ReceiptsName)
	if err != nil {
		return err
	}
	l := &b.lines
	l.inOrder, l.ids, l.kinds = true, map[[16]byte]struct{}{}, map[string]int{}
	l.startInOrder(b.claims)
	if err := b.eachReceipt(func(r *jcs.Value) error { return b.addReceipt(file, r) }); err != nil {
		return errors.Join(err, file.drop())
	}
	l.ids = nil
	if !l.inOrder {
		if err := b.sortLines(file); err != nil {
			return err
		}
	} else if err := file.seal(); err != nil {
		return err
	}
	l.index = lineIndex{}
	l.sum = hex.EncodeToString(l.hash.Sum(nil))
	if l.run != nil {
		b.results, l.run = l.run.Results(), nil // Verify will need as much memory
	}
	if l.count == 0 {
		l.head, l.min.at, l.max.at = emptyHead, b.now(), b.now()
		return nil
	}
	// PCK-24: "H(C(r)) of the last receipt", and not of its line, where three separators of lines are escaped.
	last, err := jcs.Pack(nil, l.line[:len(l.line)-1], jcs.Limits{Bytes: receipt.MaxLine, Depth: form.MaxDepth})
	if err != nil {
		return err
	}
	l.head = form.HexSum(last)
	return b.checkSpan()
}

// startInOrder begins, or begins anew, what must see the lines in their final order: the hash of the file, and the claims.
func (l *receiptLines) startInOrder(claims []claim.Claim) {
	l.hash = sha256.New()
	if len(claims) > 0 {
		l.run = claim.NewRun(claims)
	}
}

// eachReceipt shows every receipt, from wherever they come.
func (b *builder) eachReceipt(show func(*jcs.Value) error) error {
	for i := range b.Receipts {
		if err := show(&b.Receipts[i]); err != nil {
			return err
		}
	}
	if b.Stream == nil {
		return nil
	}
	for r, err := range b.Stream {
		if err == nil {
			err = show(&r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refuseReceipt puts the receipt before a fault that names the member (PCK-35): receipt 17 (r_ab12): usage.tokens: integer …
func refuseReceipt(i int, id string, f error) error {
	if id == "" {
		return fmt.Errorf("receipt %d: %w", i, f)
	}
	return fmt.Errorf("receipt %d (%s): %w", i, form.Printable(id), f)
}

// addReceipt checks one receipt, projects it (RCP-14) and writes its line.
func (b *builder) addReceipt(file outFile, r *jcs.Value) error {
	l := &b.lines
	if l.count == receipt.MaxReceipts {
		return fmt.Errorf("more than %d receipts", receipt.MaxReceipts)
	}
	c := receipt.CoreOf(r)
	err := receipt.CheckData(*r)
	if err == nil {
		err = b.checkReceipt(&c)
	}
	if err != nil {
		return refuseReceipt(l.count, c.ID, err)
	}
	if l.seenBefore(c.ID) {
		return refuseReceipt(l.count, c.ID, l.duplicate(file, c.ID))
	}
	packed := receipt.Packed(r, &c)
	line, err := jcs.AppendPackLine(l.line[:0], packed)
	if err != nil {
		return refuseReceipt(l.count, c.ID, err)
	}
	if len(line) > receipt.MaxLine {
		return refuseReceipt(l.count, c.ID, fmt.Errorf("its line has %d bytes, at most %d", len(line), receipt.MaxLine))
	}
	l.line = append(line, '\n')
	return l.add(file, &c)
}

// seenBefore remembers an id, and reports whether it was there before. Two ids of one 128-bit hash are no accident: they
// cost the pack of whoever made them.
func (l *receiptLines) seenBefore(id string) bool {
	sum := sha256.Sum256([]byte(id))
	before := len(l.ids)
	l.ids[[16]byte(sum[:])] = struct{}{}
	return len(l.ids) == before
}

// duplicate finds the receipt that had the id first: for the message alone, so it may read them all again.
func (l *receiptLines) duplicate(file outFile, id string) error {
	if err := file.flush(); err != nil {
		return err
	}
	for i := range l.count {
		if got, err := l.index.id(file, i); err == nil && got == id {
			return receipt.Faultf("receipt_id", "it is that of receipt %d", i)
		}
	}
	return receipt.Faultf("receipt_id", "it was there before")
}

// add writes l.line, which is the receipt c, and counts it for the attestation and the summary.
func (l *receiptLines) add(file outFile, c *receipt.Core) error {
	if l.size+int64(len(l.line)) > maxJSONL {
		return fmt.Errorf("receipt %d: the receipts have more than %d bytes", l.count, int64(maxJSONL))
	}
	if _, err := file.Write(l.line); err != nil {
		return fmt.Errorf("writing %s: %w", manifest.ReceiptsName, err)
	}
	seq := int64(0)
	if c.Seq != nil {
		seq, _ = c.Seq.Int64()
	}
	run := c.TraceID
	if run == nil {
		run = c.RunID
	}
	l.index.add(sortKey{seq: seq, at: uint32(l.count), run: run != nil && run.Text != ""}, c.ID, len(l.line))
	l.widenSpan(c.Timestamp, c.ID)
	switch kind := c.Type; {
	case kind == receipt.Breakglass:
		l.kinds[receipt.BreakglassType]++
	case receipt.KnownType(kind):
		l.kinds[kind]++
	default:
		l.kinds[""]++
	}
	if l.count++; l.count > 1 && l.inOrder {
		l.inOrder = l.index.follows()
	}
	l.size += int64(len(l.line))
	if !l.inOrder {
		return nil // its turn is in sortLines
	}
	return l.addInOrder()
}

func (l *receiptLines) widenSpan(at, id string) {
	if l.count == 0 || at < l.min.at {
		l.min = extreme{at, id, l.count}
	}
	if l.count == 0 || at > l.max.at {
		l.max = extreme{at, id, l.count}
	}
}

// addInOrder gives l.line, the next in order, to the hash and to the claims.
//
// PCK-36: "Claims MUST be asked of the receipts as they are packed, … 2.0 is packed as 2." So the line is read again,
// as Verify will read it.
func (l *receiptLines) addInOrder() error {
	l.hash.Write(l.line)
	if l.run == nil {
		return nil
	}
	v, _, err := l.reader.IsPackLine(l.line[:len(l.line)-1], jcs.Limits{Bytes: receipt.MaxLine, Depth: form.MaxDepth})
	if err != nil {
		return err
	}
	l.run.Add(v)
	return nil
}

// sortLines copies the lines, in the order of pack.md §3.1, into a second file that takes the place of the first. Both
// are there at one time: a disk needs room for the receipts twice.
func (b *builder) sortLines(file outFile) (err error) {
	defer func() { err = errors.Join(err, file.drop()) }()
	if err := file.flush(); err != nil {
		return err
	}
	l := &b.lines
	order, err := l.index.order(file)
	if err != nil {
		return fmt.Errorf("sorting the receipts: %w", err)
	}
	const unsorted = manifest.ReceiptsName + ".sorted"
	out, err := b.target.create(unsorted)
	if err != nil {
		return err
	}
	l.startInOrder(b.claims)
	for _, k := range order {
		if l.line, err = l.index.read(file, int(k.at), l.line); err == nil {
			_, err = out.Write(l.line)
		}
		if err == nil {
			err = l.addInOrder()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("sorting the receipts: %w", err), out.drop())
		}
	}
	if err := out.seal(); err != nil {
		return err
	}
	return b.target.replace(manifest.ReceiptsName, unsorted)
}

// checkSpan refuses timestamps that the attestation could not hold: it has the least and the greatest. One receipt may
// have a time that is ISO 8601 and no RFC 3339 date-time, as long as it is neither.
//
// PCK-37: "no date-time, or … more than 24 hours after the time of the build".
func (b *builder) checkSpan() error {
	for _, x := range []struct {
		extreme
		word, name string
	}{{b.lines.min, "least", "timestamp_start"}, {b.lines.max, "greatest", "timestamp_end"}} {
		at, ok := form.ParseDateTime(x.at)
		if !ok || !form.IsDateTime(x.at) {
			return refuseReceipt(x.receipt, x.id, receipt.Faultf("timestamp", "%s is the %s of all, and %s of the attestation must be an RFC 3339 date-time", form.Quote(x.at), x.word, x.name))
		}
		if at.After(b.Now.Add(entry.MaxAhead)) {
			return refuseReceipt(x.receipt, x.id, receipt.Faultf("timestamp", "%s is more than %s after the time of the build, %s", form.Quote(x.at), entry.MaxAhead, b.now()))
		}
	}
	return nil
}

// checkReceipt is what a pack asks of one receipt (RCP-1, RCP-3, RCP-7, PCK-9).
func (b *builder) checkReceipt(c *receipt.Core) error {
	if name := c.Missing(); name != "" {
		return receipt.Faultf(name, "it is missing, empty or not a string")
	}
	if !receipt.AdmittedType(c.Type) {
		return receipt.Faultf("type", "%s is not admitted: use a known type or a namespaced one such as \"acme.%s/v1\"", form.Quote(c.Type), receipt.SuggestType(c.Type))
	}
	// CPython 3.11 reads what RCP-7 admits. CPython 3.9 and 3.10 read fractions of 3 or 6 digits
	// only; verifiers that run on them refuse the pack of a program that wrote others.
	if !receipt.IsTime(c.Timestamp) {
		return receipt.Faultf("timestamp", "%s is not ISO 8601", form.Quote(c.Timestamp))
	}
	if c.Seq != nil {
		// PCK-8 gives numbers of other kinds an order too, since other builders write them. This one does not.
		if _, ok := c.Seq.Int64(); !ok {
			return receipt.Faultf("seq", "it is not an integer")
		}
	}
	switch {
	case !textRun(c.TraceID) || !receipt.SameRun(c.TraceID, b.RunID):
		return receipt.Faultf("_trace_id", "it is not the run id of the pack, %s", form.Quote(b.RunID))
	case !textRun(c.RunID) || !receipt.SameRun(c.RunID, b.RunID):
		return receipt.Faultf("run_id", "it is not the run id of the pack, %s", form.Quote(b.RunID))
	}
	return nil
}

// lineIndex remembers where each line is and how it sorts: 56 bytes for a line with an id of 16. It grows in
// blocks, so that growing copies nothing, and keeps of an id only the beginning: the whole of it is in the file.
type lineIndex struct {
	blocks [][]lineEntry
	ids    [][]byte // blocks of the first maxKeptID bytes of the ids
	end    int64    // of the file
}

const (
	entryBlock = 4096
	idBlock    = 64 << 10
	maxKeptID  = 64
)

type lineEntry struct {
	sortKey
	offset  int64
	size    uint32
	id      uint32 // position among ids, all blocks being full
	idSize  uint8  // of what is kept
	shorter bool   // the id is longer than that
}

// sortKey is what sorts (pack.md §3.1) without the id. All run ids that are there are the same.
type sortKey struct {
	seq int64
	at  uint32 // the line, as they came
	run bool   // it has a run id
}

func (k sortKey) compare(l sortKey) int {
	if k.run != l.run {
		if k.run {
			return +1 // "" comes before any run
		}
		return -1
	}
	return cmp.Compare(k.seq, l.seq)
}

func (x *lineIndex) add(k sortKey, id string, size int) {
	n := len(x.blocks)
	if n == 0 || len(x.blocks[n-1]) == entryBlock {
		x.blocks = append(x.blocks, make([]lineEntry, 0, entryBlock))
		n++
	}
	kept := id[:min(len(id), maxKeptID)]
	at := x.keepID(kept)
	x.blocks[n-1] = append(x.blocks[n-1], lineEntry{sortKey: k, offset: x.end, size: uint32(size), id: at, idSize: uint8(len(kept)), shorter: len(kept) < len(id)})
	x.end += int64(size)
}

// keepID stores the beginning of an id, and returns where. No id is cut by the end of a block, so one number finds it.
func (x *lineIndex) keepID(id string) uint32 {
	n := len(x.ids)
	if n == 0 || len(x.ids[n-1])+len(id) > idBlock {
		x.ids = append(x.ids, make([]byte, 0, idBlock))
		n++
	}
	at := (n-1)*idBlock + len(x.ids[n-1])
	x.ids[n-1] = append(x.ids[n-1], id...)
	return uint32(at)
}

func (x *lineIndex) entry(i int) *lineEntry { return &x.blocks[i/entryBlock][i%entryBlock] }

func (x *lineIndex) keptID(e *lineEntry) []byte {
	return x.ids[e.id/idBlock][e.id%idBlock:][:e.idSize]
}

func (x *lineIndex) len() int {
	if len(x.blocks) == 0 {
		return 0
	}
	return (len(x.blocks)-1)*entryBlock + len(x.blocks[len(x.blocks)-1])
}

// follows reports whether the last line sorts after the one before, as far as what is kept tells: a
// false no only makes sortLines look again.
func (x *lineIndex) follows() bool {
	a, b := x.entry(x.len()-2), x.entry(x.len()-1)
	c := a.compare(b.sortKey)
	return c < 0 || c == 0 && bytes.Compare(x.keptID(a), x.keptID(b)) < 0
}

// read reads line i, with its newline, into the memory of buf.
func (x *lineIndex) read(file io.ReaderAt, i int, buf []byte) ([]byte, error) {
	e := x.entry(i)
	buf = slices.Grow(buf[:0], int(e.size))[:e.size]
	_, err := file.ReadAt(buf, e.offset)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return buf, err
}

// id is the whole id of line i.
func (x *lineIndex) id(file io.ReaderAt, i int) (string, error) {
	e := x.entry(i)
	if !e.shorter {
		return string(x.keptID(e)), nil
	}
	line, err := x.read(file, i, nil)
	if err != nil {
		return "", err
	}
	v, err := jcs.Parse(line, jcs.Limits{Bytes: receipt.MaxLine + 1, Depth: form.MaxDepth})
	return form.Str(v, "receipt_id"), err
}

// order is the lines sorted by pack.md §3.1: run, sequence number, and of equals the id by code point.
func (x *lineIndex) order(file io.ReaderAt) ([]sortKey, error) {
	keys := make([]sortKey, 0, x.len())
	for _, block := range x.blocks {
		for i := range block {
			keys = append(keys, block[i].sortKey)
		}
	}
	var failed error
	whole := longIDs{read: map[int]string{}}
	slices.SortFunc(keys, func(k, l sortKey) int {
		if c := k.compare(l); c != 0 {
			return c
		}
		c, err := x.compareIDs(file, &whole, int(k.at), int(l.at))
		if err != nil {
			failed = err
		}
		return c
	})
	return keys, failed
}

func (x *lineIndex) compareIDs(file io.ReaderAt, whole *longIDs, i, j int) (int, error) {
	a, b := x.entry(i), x.entry(j)
	c := bytes.Compare(x.keptID(a), x.keptID(b))
	if c != 0 || i == j || !a.shorter && !b.shorter {
		return c, nil
	}
	left, err := whole.id(x, file, i)
	if err != nil {
		return 0, err
	}
	right, err := whole.id(x, file, j)
	return strings.Compare(left, right), err
}

// longIDs are ids that begin alike and were read again. A sort asks for each some twenty times.
type longIDs struct {
	read map[int]string
	size int
}

const maxLongIDs = 32 << 20 // bytes; others are read each time

func (whole *longIDs) id(x *lineIndex, file io.ReaderAt, i int) (string, error) {
	if id, ok := whole.read[i]; ok {
		return id, nil
	}
	id, err := x.id(file, i)
	if err == nil && whole.size+len(id)+32 <= maxLongIDs {
		whole.read[i] = strings.Clone(id)
		whole.size += len(id) + 32
	}
	return id, err
}

// textRun reports whether a run id that is there is a text or null: others are not written, though read.
func textRun(v *jcs.Value) bool { return v == nil || v.Kind == jcs.Null || v.Kind == jcs.String }

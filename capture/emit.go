package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

const (
	counterFile    = ".store_seq"
	maxCounterText = 32
	maxStored      = 1 << 20  // bytes of a line that Emit writes: what a pack takes
	maxLine        = 16 << 20 // bytes of a line that somebody else wrote
	maxDepth       = 64       // as in a pack
	maxInteger     = 1<<53 - 1
	dayForm        = "2006-01-02"
)

// storeMembers are the members that the store gives a receipt. Data may not have them.
var storeMembers = map[string]bool{
	"receipt_id": true, "type": true, "timestamp": true, "schema_version": true, "seq": true,
	"_trace_id": true, "_stored_at": true, "_store_seq": true,
}

// Draft is a receipt before the store gives it its time and its numbers.
type Draft struct {
	ID     string // receipt_id that NewReceiptID made; empty: the store makes one
	Type   string
	Parent string    // parent_receipt_id; empty: none
	Data   jcs.Value // an object; null is an empty one
}

// Emit is EmitAll of one draft.
func (s *Store) Emit(traceID, typ string, data jcs.Value) (jcs.Value, error) {
	receipts, err := s.EmitAll(traceID, []Draft{{Type: typ, Data: data}})
	if err != nil {
		return jcs.Value{}, err
	}
	return receipts[0], nil
}

// EmitAll appends receipts in the order given and returns them as they were stored: all of them, or on
// an error none. No other receipt comes between them. Only a kill or a power cut in the middle of the one
// write may leave some of the first.
//
// It refuses what no pack could hold, so that the program hears of it: a type that is not admitted,
// members that the store sets itself, numbers and names that are not portable (receipt.CheckData). Of data,
// parent_receipt_id moves up among the core members, and run_id must be the trace id.
//
// The cost does not grow with the store: of the trace only the last line is read.
func (s *Store) EmitAll(traceID string, drafts []Draft) ([]jcs.Value, error) {
	if err := checkTraceID(traceID); err != nil {
		return nil, err
	}
	checked := make([]checkedDraft, len(drafts))
	for i, d := range drafts {
		var err error
		if checked[i], err = d.check(traceID); err != nil {
			if len(drafts) > 1 {
				err = fmt.Errorf("receipt %d: %w", i+1, err)
			}
			return nil, err
		}
	}
	if len(drafts) == 0 {
		return nil, nil
	}
	if err := durable.Mkdir(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the receipt store: %w", err)
	}
	// RCP-33: locks are taken in this order everywhere. Closing a file gives its lock back.
	counter, err := openLocked(filepath.Join(s.Dir, counterFile), os.O_RDWR|os.O_CREATE, false)
	if err != nil {
		return nil, fmt.Errorf("store counter: %w", err)
	}
	defer counter.Close()
	// The time is taken under the lock: the receipts of a trace are in the order of their times.
	now := s.now()
	if now.Year() < 1 || now.Year() > 9999 {
		return nil, fmt.Errorf("the clock says year %d", now.Year())
	}
	file, err := s.openTrace(traceID, now)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", traceID, err)
	}
	defer file.Close()
	receipts, err := s.record(counter, file, now, traceID, checked)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", traceID, err)
	}
	return receipts, nil
}

// checkedDraft is a Draft that was checked.
type checkedDraft struct {
	id, typ         string
	parent, payload []jcs.Member
}

func (d Draft) check(traceID string) (checkedDraft, error) {
	if !receipt.AdmittedType(d.Type) {
		return checkedDraft{}, fmt.Errorf("receipt type %q is not admitted: use a known type or a namespaced one such as %q", d.Type, "acme.review/v1")
	}
	if d.ID != "" && !isReceiptID(d.ID) {
		return checkedDraft{}, fmt.Errorf("receipt id %q: expected r_ and 16 hex digits", d.ID)
	}
	parent, payload, err := splitData(traceID, d.Data)
	switch {
	case err != nil:
		return checkedDraft{}, fmt.Errorf("receipt data: %w", err)
	case d.Parent != "" && len(parent) > 0 && parent[0].Value.Text != d.Parent:
		return checkedDraft{}, errors.New("receipt data: parent_receipt_id is given twice, and differs")
	case d.Parent != "" && len(parent) == 0:
		parent = []jcs.Member{jcs.M("parent_receipt_id", jcs.Str(d.Parent))}
		if err := receipt.CheckData(jcs.Obj(parent...)); err != nil {
			return checkedDraft{}, err
		}
	}
	return checkedDraft{d.ID, d.Type, parent, payload}, nil
}

// splitData checks the data members and takes parent_receipt_id out.
func splitData(traceID string, data jcs.Value) (parent, payload []jcs.Member, err error) {
	if data.Kind == jcs.Null {
		return nil, nil, nil
	}
	if err := receipt.CheckData(data); err != nil {
		return nil, nil, err
	}
	for _, m := range data.Members {
		switch {
		case storeMembers[m.Name]: // RCP-25
			return nil, nil, fmt.Errorf("%s is set by the store", m.Name)
		case m.Name == "run_id" && (m.Value.Kind != jcs.String || m.Value.Text != traceID):
			return nil, nil, errors.New("run_id: expected the trace id: a pack holds the receipts of one run")
		case m.Name == "parent_receipt_id":
			if m.Value.Kind != jcs.String || m.Value.Text == "" {
				return nil, nil, errors.New("parent_receipt_id: expected a string that is not empty")
			}
			parent = append(parent, m)
		default:
			payload = append(payload, m)
		}
	}
	return parent, payload, nil
}

// record gives the receipts their numbers and writes them. Both files are locked.
func (s *Store) record(counter, file *os.File, now time.Time, traceID string, drafts []checkedDraft) ([]jcs.Value, error) {
	end, err := lastLine(file)
	if err != nil {
		return nil, err
	}
	if end.torn > 0 {
		if err := setAside(file, end); err != nil {
			return nil, err
		}
		end.size -= end.torn
	}
	seq, least, err := end.next(file)
	if err != nil {
		return nil, err
	}
	storeSeq, err := s.takeNumbers(counter, least, int64(len(drafts)))
	if err != nil {
		return nil, fmt.Errorf("store counter: %w", err)
	}
	receipts := make([]jcs.Value, len(drafts))
	var text []byte
	if end.over {
		text = append(text, '\n') // it stays where it is, as a line that every reader leaves out and counts
	}
	for i, d := range drafts {
		n := int64(i)
		if receipts[i], err = d.receipt(now, traceID, seq+n, storeSeq+n); err != nil {
			return nil, err
		}
		from := len(text)
		if text, err = jcs.AppendPython(text, receipts[i]); err != nil {
			return nil, err
		}
		if err := checkSize(receipts[i], len(text)-from); err != nil {
			return nil, err
		}
		text = append(text, '\n')
	}
	return receipts, s.write(file, end.size, text)
}

// checkSize (RCP-27) refuses what has more than maxStored bytes here, or in a pack, where a number may be five times
// as long: 1e+20 is 100000000000000000000.
func checkSize(receipt jcs.Value, size int) error {
	if size > maxStored/5 {
		packed, err := jcs.AppendPackLine(nil, receipt)
		if err != nil {
			return err
		}
		size = max(size, len(packed))
	}
	if size > maxStored {
		return fmt.Errorf("receipt of %d bytes, expected at most %d", size, maxStored)
	}
	return nil
}

const longID = 16 // hex digits of a receipt id that is one of very many

// NewReceiptID makes a receipt_id for a receipt that is recorded later: r_ and 16 random hex digits.
func NewReceiptID() (string, error) { return newReceiptID(longID) }

func newReceiptID(digits int) (string, error) {
	id, err := randomHex(nil, digits/2)
	if err != nil {
		return "", fmt.Errorf("making a receipt id: %w", err)
	}
	return "r_" + id, nil
}

func isReceiptID(id string) bool {
	digits, ok := strings.CutPrefix(id, "r_")
	return ok && len(digits) == longID && strings.Trim(digits, "0123456789abcdef") == ""
}

func (d checkedDraft) receipt(now time.Time, traceID string, seq, storeSeq int64) (jcs.Value, error) {
	id := d.id
	if id == "" {
		digits := 12
		if seq >= 1<<16 {
			digits = longID // of a million random ids of 12 digits, two are alike once in 600 runs: no pack could hold them
		}
		var err error
		if id, err = newReceiptID(digits); err != nil {
			return jcs.Value{}, err
		}
	}
	stamp := jcs.Str(now.Format(receipt.TimeForm))
	members := []jcs.Member{
		jcs.M("receipt_id", jcs.Str(id)),
		jcs.M("type", jcs.Str(d.typ)),
		jcs.M("timestamp", stamp),
		jcs.M("schema_version", jcs.Str("3.0")),
		jcs.M("seq", jcs.Int(seq)),
	}
	members = append(append(members, d.parent...), d.payload...)
	members = append(members, jcs.M("_trace_id", jcs.Str(traceID)), jcs.M("_stored_at", stamp), jcs.M("_store_seq", jcs.Int(storeSeq)))
	return jcs.Obj(members...), nil
}

// setAside moves a line without its newline to the .torn file beside the trace (RCP-35). It is a receipt whose
// Emit never returned, so nobody relies on it; but a line must not be glued to it, and ending it with a
// newline would leave a line that no reader can read. If we stop in between, it is set aside twice. What is
// longer than maxBack is no receipt of anybody's, and too long to copy while others wait.
func setAside(file *os.File, end traceEnd) error {
	torn, err := openLocked(tornPath(file.Name()), os.O_WRONLY|os.O_APPEND|os.O_CREATE, false)
	if err != nil {
		return fmt.Errorf("setting a torn line aside: %w", err)
	}
	_, err = io.Copy(torn, io.NewSectionReader(file, end.size-end.torn, end.torn))
	if err == nil {
		_, err = torn.Write([]byte{'\n'})
	}
	if err = errors.Join(err, torn.Close()); err == nil {
		err = file.Truncate(end.size - end.torn)
	}
	if err != nil {
		return fmt.Errorf("setting a torn line aside: %w", err)
	}
	return nil
}

func tornPath(path string) string { return strings.TrimSuffix(path, ".jsonl") + ".torn" }

// write appends with one write (RCP-34). After a failure, such as a full disk, what it left is cut off: also if only
// the fsync failed, because a program that is told so emits again.
func (s *Store) write(file *os.File, size int64, text []byte) error {
	_, err := file.Write(text)
	if err == nil && s.Sync {
		err = file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing a receipt: %w", err), file.Truncate(size))
	}
	return nil
}

// takeNumbers (RCP-29, RCP-30) returns the first of n _store_seq, at least least, and stores the one after them. They
// are gone before the receipts are written: if we stop in between, the store has a gap, never a number twice.
func (s *Store) takeNumbers(counter *os.File, least, n int64) (int64, error) {
	text := make([]byte, maxCounterText)
	length, err := counter.ReadAt(text, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	text = text[:length]
	next, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || next < 0 { // missing, empty or damaged: the receipts know
		if next, err = s.highestNumber(); err != nil {
			return 0, fmt.Errorf("recovering it: %w", err)
		}
		next++
	}
	next = max(next, least)
	if next >= maxInteger-n { // RCP-32
		return 0, fmt.Errorf("is %d, expected less than 2^53-1", next)
	}
	after := strconv.FormatInt(next+n, 10)
	// Digits only ever grow; longer text is damage. If we stop after Truncate, the receipts know again.
	if len(text) > len(after) {
		if err := counter.Truncate(0); err != nil {
			return 0, err
		}
	}
	if _, err := counter.WriteAt([]byte(after), 0); err != nil {
		return 0, err
	}
	if s.Sync {
		if err := counter.Sync(); err != nil {
			return 0, err
		}
	}
	return next, nil
}

// openTrace (RCP-20) opens and locks the file of a trace: the one there is in any day's directory, else a new
// one in today's.
func (s *Store) openTrace(traceID string, now time.Time) (*os.File, error) {
	today := filepath.Join(s.Dir, now.Format(dayForm), traceID+".jsonl")
	const flags = os.O_RDWR | os.O_APPEND
	file, err := openLocked(today, flags, false)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	paths, err := s.find(traceID)
	if err != nil {
		return nil, err
	}
	if len(paths) > 0 {
		return openLocked(paths[len(paths)-1], flags, false)
	}
	day := filepath.Dir(today)
	if err := durable.Mkdir(day, 0o700); err != nil {
		return nil, err
	}
	file, err = openLocked(today, flags|os.O_CREATE, false)
	if err == nil && s.Sync {
		if err = durable.SyncDir(day); err != nil {
			file.Close()
		}
	}
	return file, err
}

// openLocked (RCP-22) opens a regular file, made 0600 if flags say so, and waits for its lock. It follows no
// symlink and does not wait for a FIFO.
func openLocked(path string, flags int, shared bool) (*os.File, error) {
	file, err := durable.OpenItself(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(file, shared); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

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
	"syscall"
	"time"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

const (
	counterFile    = ".store_seq"
	maxCounterText = 32
	maxStored      = 1 << 20  // bytes of a line that Emit writes: what a pack takes
	maxLine        = 16 << 20 // bytes of a line that somebody else wrote
	maxDepth       = 64       // as in a pack
	maxInteger     = 1<<53 - 1
	stampForm      = "2006-01-02T15:04:05.000000-07:00" // pack.md §1.5: never Z, always six digits
	dayForm        = "2006-01-02"
)

// core are the members that the store gives a receipt. Data may not have them.
var core = map[string]bool{
	"receipt_id": true, "type": true, "timestamp": true, "schema_version": true, "seq": true,
	"_trace_id": true, "_stored_at": true, "_store_seq": true,
}

// Emit appends a receipt: type, and data members (an object; null is an empty one). It returns the
// receipt as it was stored.
//
// It refuses what no pack could hold, so that the program hears of it: a type that is not admitted,
// members that the store sets itself, numbers and names that are not portable (pack.CheckData). Of data,
// parent_receipt_id moves up among the core members, and run_id must be the trace id.
//
// The cost does not grow with the store: of the trace only the last line is read.
func (s *Store) Emit(traceID, typ string, data jcs.Value) (jcs.Value, error) {
	if err := checkTraceID(traceID); err != nil {
		return jcs.Value{}, err
	}
	if !pack.AdmittedType(typ) {
		return jcs.Value{}, fmt.Errorf("receipt type %q is not admitted: use a known type or a namespaced one such as %q", typ, "acme.review/v1")
	}
	parent, payload, err := splitData(traceID, data)
	if err != nil {
		return jcs.Value{}, fmt.Errorf("receipt data: %w", err)
	}
	if err := durable.Mkdir(s.Dir, 0o700); err != nil {
		return jcs.Value{}, fmt.Errorf("making the receipt store: %w", err)
	}
	// Locks are taken in this order everywhere. Closing a file gives its lock back.
	counter, err := openLocked(filepath.Join(s.Dir, counterFile), os.O_RDWR|os.O_CREATE, syscall.LOCK_EX)
	if err != nil {
		return jcs.Value{}, fmt.Errorf("store counter: %w", err)
	}
	defer counter.Close()
	// The time is taken under the lock: the receipts of a trace are in the order of their times.
	now := s.now()
	if now.Year() < 1 || now.Year() > 9999 {
		return jcs.Value{}, fmt.Errorf("the clock says year %d", now.Year())
	}
	file, err := s.openTrace(traceID, now)
	if err != nil {
		return jcs.Value{}, fmt.Errorf("trace %s: %w", traceID, err)
	}
	defer file.Close()
	receipt, err := s.record(counter, file, now, traceID, typ, parent, payload)
	if err != nil {
		return jcs.Value{}, fmt.Errorf("trace %s: %w", traceID, err)
	}
	return receipt, nil
}

// splitData checks the data members and takes parent_receipt_id out.
func splitData(traceID string, data jcs.Value) (parent, payload []jcs.Member, err error) {
	if data.Kind == jcs.Null {
		return nil, nil, nil
	}
	if err := pack.CheckData(data); err != nil {
		return nil, nil, err
	}
	for _, m := range data.Members {
		switch {
		case core[m.Name]:
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

// record gives the receipt its numbers and writes it. Both files are locked.
func (s *Store) record(counter, file *os.File, now time.Time, traceID, typ string, parent, payload []jcs.Member) (jcs.Value, error) {
	end, err := lastLine(file)
	if err != nil {
		return jcs.Value{}, err
	}
	// A line without its newline is a receipt whose Emit never returned, so nobody relies on it. It is
	// cut off: ending it with a newline would leave a line that no reader can read.
	if end.torn > 0 {
		if err := file.Truncate(end.size - end.torn); err != nil {
			return jcs.Value{}, fmt.Errorf("cutting off a torn line: %w", err)
		}
		end.size -= end.torn
	}
	seq, err := end.nextSeq(file)
	if err != nil {
		return jcs.Value{}, err
	}
	storeSeq, err := s.takeNumber(counter, end.storeSeq()+1)
	if err != nil {
		return jcs.Value{}, fmt.Errorf("store counter: %w", err)
	}
	id, err := randomHex(nil, 6)
	if err != nil {
		return jcs.Value{}, fmt.Errorf("making a receipt id: %w", err)
	}
	stamp := jcs.Str(now.Format(stampForm))
	members := []jcs.Member{
		jcs.M("receipt_id", jcs.Str("r_"+id)),
		jcs.M("type", jcs.Str(typ)),
		jcs.M("timestamp", stamp),
		jcs.M("schema_version", jcs.Str("3.0")),
		jcs.M("seq", jcs.Int(seq)),
	}
	members = append(append(members, parent...), payload...)
	members = append(members, jcs.M("_trace_id", jcs.Str(traceID)), jcs.M("_stored_at", stamp), jcs.M("_store_seq", jcs.Int(storeSeq)))
	receipt := jcs.Obj(members...)
	line, err := jcs.AppendPython(nil, receipt)
	if err != nil {
		return jcs.Value{}, err
	}
	if len(line) > maxStored {
		return jcs.Value{}, fmt.Errorf("receipt of %d bytes, expected at most %d", len(line), maxStored)
	}
	return receipt, s.writeLine(file, end.size, append(line, '\n'))
}

// writeLine appends with one write. After a failure, such as a full disk, what it left is cut off.
func (s *Store) writeLine(file *os.File, size int64, line []byte) error {
	if _, err := file.Write(line); err != nil {
		return errors.Join(fmt.Errorf("writing a receipt: %w", err), file.Truncate(size))
	}
	if s.Sync {
		if err := file.Sync(); err != nil {
			return fmt.Errorf("writing a receipt: %w", err)
		}
	}
	return nil
}

// takeNumber returns the next _store_seq, at least least, and stores the one after it. The number is
// gone before the receipt is written: if we stop in between, the store has a gap, never a number twice.
func (s *Store) takeNumber(counter *os.File, least int64) (int64, error) {
	text := make([]byte, maxCounterText)
	n, err := counter.ReadAt(text, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	text = text[:n]
	next, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || next < 0 { // missing, empty or damaged: the receipts know
		if next, err = s.highestNumber(); err != nil {
			return 0, fmt.Errorf("recovering it: %w", err)
		}
		next++
	}
	next = max(next, least)
	if next >= maxInteger {
		return 0, fmt.Errorf("is %d, expected less than 2^53-1", next)
	}
	after := strconv.FormatInt(next+1, 10)
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

// openTrace opens and locks the file of a trace: the one there is in any day's directory, else a new
// one in today's.
func (s *Store) openTrace(traceID string, now time.Time) (*os.File, error) {
	today := filepath.Join(s.Dir, now.Format(dayForm), traceID+".jsonl")
	const flags = os.O_RDWR | os.O_APPEND
	file, err := openLocked(today, flags, syscall.LOCK_EX)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	paths, err := s.find(traceID)
	if err != nil {
		return nil, err
	}
	if len(paths) > 0 {
		return openLocked(paths[len(paths)-1], flags, syscall.LOCK_EX)
	}
	day := filepath.Dir(today)
	if err := durable.Mkdir(day, 0o700); err != nil {
		return nil, err
	}
	file, err = openLocked(today, flags|os.O_CREATE, syscall.LOCK_EX)
	if err == nil && s.Sync {
		if err = syncDir(day); err != nil {
			file.Close()
		}
	}
	return file, err
}

// openLocked opens a regular file, made 0600 if flags say so, and waits for its lock. It follows no
// symlink and does not wait for a FIFO.
func openLocked(path string, flags, lock int) (*os.File, error) {
	file, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: is not a regular file", path)
	}
	if err == nil {
		err = flock(file, lock)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "flock", Path: file.Name(), Err: err}
		}
		return nil
	}
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

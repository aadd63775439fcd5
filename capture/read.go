package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

const (
	maxBadLines = 100 // lines that Trace.Bad lists
	blanks      = " \t\r\n"
)

// Trace is what the store held of one run when Open looked: receipts that are emitted later are not in
// it. Whoever opened it closes it.
type Trace struct {
	ID       string
	Path     string
	Size     int64 // bytes of the lines that All reads
	TornTail int64 // bytes of an unfinished last line, which is left out
	Torn     int   // unfinished lines that are left out: that one, and those that an Emit set aside
	Bad      []BadLine
	NumBad   int // of them; Bad has the first 100
	file     *os.File
}

// BadLine is a line of a trace file that is no receipt: some other program, or a bad disk, wrote it.
type BadLine struct {
	Number int // from 1
	Err    error
}

func (b BadLine) String() string { return fmt.Sprintf("line %d: %v", b.Number, b.Err) }

// Open opens a trace for reading. The error is fs.ErrNotExist if there is none.
func (s *Store) Open(traceID string) (*Trace, error) {
	if err := checkTraceID(traceID); err != nil {
		return nil, err
	}
	paths, err := s.find(traceID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("trace %s: %w", traceID, err)
	case len(paths) == 0:
		return nil, fmt.Errorf("trace %s in %s: %w", traceID, s.Dir, fs.ErrNotExist)
	case len(paths) > 1: // RCP-21
		return nil, fmt.Errorf("trace %s is in two files, %s and %s: expected one", traceID, paths[0], paths[1])
	}
	t := &Trace{ID: traceID, Path: paths[0]}
	if err := t.open(); err != nil {
		return nil, fmt.Errorf("trace %s: %w", traceID, err)
	}
	return t, nil
}

func (t *Trace) open() (err error) {
	// The lock waits for a receipt that is being written: what is torn then, stays torn.
	if t.file, err = openLocked(t.Path, os.O_RDONLY, true); err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, unlock(t.file)); err != nil {
			t.file.Close()
		}
	}()
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	if t.Size, err = wholeLines(t.file, info.Size(), maxBack); errors.Is(err, errEndless) {
		// Nobody will cut it off, so no lock is needed to find where it begins, and no Emit waits for us.
		if err = unlock(t.file); err == nil {
			t.Size, err = wholeLines(t.file, info.Size(), info.Size())
		}
	}
	if err != nil {
		return err
	}
	if t.TornTail = info.Size() - t.Size; t.TornTail > 0 {
		t.Torn++
	}
	aside, err := openLocked(tornPath(t.Path), os.O_RDONLY, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer aside.Close()
	text := make([]byte, 32<<10)
	for {
		n, err := aside.Read(text)
		t.Torn += bytes.Count(text[:n], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Close closes the file.
func (t *Trace) Close() error { return t.file.Close() }

// Text is the lines that All reads, as they are in the file.
func (t *Trace) Text() io.Reader { return io.NewSectionReader(t.file, 0, t.Size) }

var errStop = errors.New("stop")

// All reads the receipts in the order they were stored, one in memory at a time; it may be called again.
// Blank lines are skipped. Lines that are no JSON object are left out, and counted in Bad: the receipts
// around them are evidence all the same. The error, always the last, is one of reading.
func (t *Trace) All() iter.Seq2[jcs.Value, error] {
	return func(yield func(jcs.Value, error) bool) {
		t.Bad, t.NumBad = nil, 0
		_, err := eachLine(t.Text(), func(number int, line []byte, err error) error {
			var receipt jcs.Value
			if err == nil {
				receipt, err = parseLine(line)
			}
			if err != nil {
				if t.NumBad++; t.NumBad <= maxBadLines {
					t.Bad = append(t.Bad, BadLine{number, err})
				}
				return nil
			}
			if !yield(receipt, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(jcs.Value{}, fmt.Errorf("trace %s: %w", t.ID, err))
		}
	}
}

func parseLine(line []byte) (jcs.Value, error) {
	v, err := jcs.Parse(line, jcs.Limits{Bytes: maxLine, Depth: maxDepth})
	if err == nil && v.Kind != jcs.Object {
		err = errors.New("expected a JSON object")
	}
	return v, err
}

// eachLine calls do for every line that is ended and not blank, and returns the length of one that is
// not ended. The line is do's until it returns; in place of one that is too long it gets an error.
func eachLine(file io.Reader, do func(number int, line []byte, err error) error) (torn int64, err error) {
	lines := bufio.NewReaderSize(file, 64<<10)
	var long []byte // the beginning of a line longer than the buffer
	for number, size := 1, int64(0); ; {
		line, err := lines.ReadSlice('\n')
		size += int64(len(line))
		whole := size == int64(len(line))
		if size <= maxLine && (!whole || errors.Is(err, bufio.ErrBufferFull)) {
			long = append(long, line...)
			line = long
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return size, nil
		case err != nil:
			return 0, err
		case size > maxLine:
			err = do(number, nil, fmt.Errorf("has more than %d bytes", maxLine))
		default:
			if line = bytes.Trim(line, blanks); len(line) > 0 {
				err = do(number, line, nil)
			}
		}
		if err != nil {
			return 0, err
		}
		number, size, long = number+1, 0, long[:0]
	}
}

// find returns the files of a trace, oldest day first: there should be one at most.
func (s *Store) find(traceID string) ([]string, error) { return s.findFile(traceID + ".jsonl") }

// findFile returns the files of that name in the directories of days, oldest first.
func (s *Store) findFile(name string) ([]string, error) {
	days, err := s.days()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, day := range days {
		path := filepath.Join(s.Dir, day, name)
		if _, err := os.Lstat(path); err == nil {
			paths = append(paths, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return paths, nil
}

// Recent lists the traces that were written to since, newest first, at most n. What cannot be read is not
// listed: it is for hints.
func (s *Store) Recent(since time.Time, n int) (ids []string) {
	type written struct {
		id string
		at time.Time
	}
	var all []written
	days, _ := s.days()
	for _, day := range days {
		entries, _ := os.ReadDir(filepath.Join(s.Dir, day))
		for _, entry := range entries {
			id, ok := strings.CutSuffix(entry.Name(), ".jsonl")
			if !ok || checkTraceID(id) != nil {
				continue
			}
			if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && !info.ModTime().Before(since) {
				all = append(all, written{id, info.ModTime()})
			}
		}
	}
	slices.SortFunc(all, func(a, b written) int { return b.at.Compare(a.at) })
	for _, w := range all[:min(n, len(all))] {
		ids = append(ids, w.id)
	}
	return ids
}

// days lists the directories that are named like a day, sorted.
func (s *Store) days() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var days []string
	for _, entry := range entries {
		if _, err := time.Parse(dayForm, entry.Name()); err == nil && entry.IsDir() {
			days = append(days, entry.Name())
		}
	}
	slices.Sort(days)
	return days, nil
}

// highestNumber reads the whole store for the highest _store_seq, -1 if there is none. Lines that cannot
// be read have no number.
//
// A store of the Python tool from before there were such numbers is refused (RCP-31): with one receipt that has a
// number among those that have none, that tool would neither write to the store nor migrate it any more.
func (s *Store) highestNumber() (int64, error) {
	highest, unnumbered := int64(-1), ""
	days, err := s.days()
	if err != nil {
		return 0, err
	}
	for _, day := range days {
		entries, err := os.ReadDir(filepath.Join(s.Dir, day))
		if err != nil {
			return 0, err
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() || !strings.HasSuffix(entry.Name(), ".jsonl") {
				continue
			}
			path := filepath.Join(s.Dir, day, entry.Name())
			here, without, err := highestOf(path, "_store_seq")
			if err != nil {
				return 0, err
			}
			highest = max(highest, here)
			if without && strings.HasPrefix(entry.Name(), "trace_") { // the others that tool does not look at
				unnumbered = path
			}
		}
	}
	if highest < 0 && unnumbered != "" {
		return 0, fmt.Errorf("%s: %w", unnumbered, ErrUnnumbered)
	}
	return highest, nil
}

// ErrUnnumbered is a store whose receipts have no _store_seq.
var ErrUnnumbered = errors.New("its receipts have no _store_seq, as those of an old release")

// highestOf is the highest value of an integer member in a trace file, -1 if there is none, and whether
// there are receipts without it.
func highestOf(path, member string) (highest int64, without bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer file.Close()
	if highest, without, err = highestIn(file, member); err != nil {
		return 0, false, fmt.Errorf("%s: %w", path, err)
	}
	return highest, without, nil
}

func highestIn(lines io.Reader, member string) (highest int64, without bool, err error) {
	highest = -1
	_, err = eachLine(lines, func(_ int, line []byte, err error) error {
		if err != nil {
			return nil
		}
		if receipt, err := parseLine(line); err == nil {
			_, ok := receipt.Get(member)
			without = without || !ok
			highest = max(highest, integer(receipt, member))
		}
		return nil
	})
	return highest, without, err
}

// integer is the value of a member, -1 if it is no integer from 0 on.
func integer(receipt jcs.Value, member string) int64 {
	v, _ := receipt.Get(member)
	if n, ok := v.Int64(); ok && n >= 0 && n < maxInteger {
		return n
	}
	return -1
}

// traceEnd is the end of a trace file.
type traceEnd struct {
	size int64
	torn int64     // bytes after the last newline
	last jcs.Value // the last receipt; null if there is none
	bad  bool      // the last line is there and is none
	over bool      // the unfinished line is longer than maxBack: torn is not known, and it stays where it is
	near []byte    // some lines before it
}

// maxBack bounds how far an Emit reads back, and how much it sets aside: four times the longest line. All
// other programs that record wait for it.
const maxBack = 4 * maxLine

var errEndless = errors.New("its last line has no beginning near its end")

// wholeLines is the size up to the last newline, errEndless if that is not among the last limit bytes and
// not the beginning of the file.
func wholeLines(file io.ReaderAt, size, limit int64) (int64, error) {
	text := make([]byte, 1) // nearly always a newline
	for least := size - limit; size > 0; {
		if size <= least {
			return 0, errEndless
		}
		text = text[:min(int64(len(text)), size)]
		if _, err := file.ReadAt(text, size-int64(len(text))); err != nil && err != io.EOF {
			return 0, err
		}
		if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
			return size - int64(len(text)) + int64(i) + 1, nil
		}
		size -= int64(len(text))
		if len(text) == 1 {
			text = make([]byte, 1<<20)
		}
	}
	return 0, nil
}

// lastLine reads a trace file backwards as far as it takes to see its last whole line, but not for ever.
func lastLine(file *os.File) (traceEnd, error) {
	info, err := file.Stat()
	if err != nil {
		return traceEnd{}, err
	}
	return endOfTrace(file, info.Size())
}

// endOfTrace is lastLine of so many bytes.
func endOfTrace(file io.ReaderAt, size int64) (traceEnd, error) {
	whole, err := wholeLines(file, size, maxBack)
	if errors.Is(err, errEndless) {
		return traceEnd{size: size, over: true, bad: true}, nil
	} else if err != nil {
		return traceEnd{}, err
	}
	end := traceEnd{size: size, torn: size - whole}
	for window := int64(4 << 10); ; window *= 4 {
		window = min(window, whole)
		text := make([]byte, window)
		if _, err := file.ReadAt(text, whole-window); err != nil && err != io.EOF {
			return traceEnd{}, err
		}
		text = bytes.TrimRight(text, blanks)
		start := bytes.LastIndexByte(text, '\n')
		if start < 0 && window < whole { // the line begins before the window
			if window > maxLine {
				end.bad = true
				return end, nil
			}
			continue
		}
		end.near = text[:start+1]
		if window < whole { // begins within a line
			end.near = end.near[bytes.IndexByte(end.near, '\n')+1:]
		}
		if text = bytes.Trim(text[start+1:], blanks); len(text) == 0 {
			return end, nil
		}
		if end.last, err = parseLine(text); err != nil {
			end.last, end.bad = jcs.Value{}, true
		}
		return end, nil
	}
}

// next (RCP-28) is the seq of the next receipt, and the least _store_seq that it may have: one more than those of
// the last receipt. If that has none, some other program wrote it: then the highest of the last maxBack bytes
// count. If there is no receipt in them either, nobody knows how many there were: seq goes on from the size of
// the file in bytes, which no number of lines before can have reached, and _store_seq from the counter.
func (e traceEnd) next(file *os.File) (seq, storeSeq int64, err error) {
	if e.last.Kind == jcs.Null && !e.bad {
		return 0, 0, nil
	}
	seq, storeSeq = integer(e.last, "seq"), integer(e.last, "_store_seq")
	if seq < 0 {
		var all bool
		if seq, all, err = e.highestNear(file, "seq"); err != nil {
			return 0, 0, err
		} else if seq < 0 && !all {
			seq = e.size
		}
	}
	if storeSeq < 0 {
		if storeSeq, _, err = e.highestNear(file, "_store_seq"); err != nil {
			return 0, 0, err
		}
	}
	return max(seq, e.nearSeq(seq)) + 1, storeSeq + 1, nil
}

// highestNear is the highest value of a member in the last maxBack bytes, -1 if there is none, and whether
// those are the whole file.
func (e traceEnd) highestNear(file *os.File, member string) (highest int64, all bool, err error) {
	from := max(0, e.size-e.torn-maxBack)
	near := bufio.NewReaderSize(io.NewSectionReader(file, from, e.size-e.torn-from), 64<<10)
	if from > 0 { // most likely within a line
		for err = bufio.ErrBufferFull; errors.Is(err, bufio.ErrBufferFull); {
			_, err = near.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, false, err
		}
	}
	highest, _, err = highestIn(near, member)
	return highest, from == 0, err
}

// nearSeq is the highest seq of the lines near the end, -1 if there is nothing to find: each process of the
// Python tool counts from 0, and a seq of ours should not come twice because one of them has just begun.
func (e traceEnd) nearSeq(last int64) int64 {
	lines := bytes.Split(bytes.TrimRight(e.near, blanks), []byte{'\n'})
	highest := int64(-1)
	for i, line := range lines {
		receipt, err := parseLine(bytes.Trim(line, blanks))
		if err != nil {
			continue
		}
		seq := integer(receipt, "seq")
		if i == 0 && seq+int64(len(lines)) == last { // one count, from there to here: nearly always
			return -1
		}
		highest = max(highest, seq)
	}
	return highest
}

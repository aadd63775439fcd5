package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// maxTrace bounds what Read takes into memory: what a pack takes.
const maxTrace = 256 << 20

// Trace is what the store holds of one run.
type Trace struct {
	ID       string
	Path     string
	Receipts []jcs.Value
	TornTail int // bytes of an unfinished last line, left out
}

// Read returns the receipts of a trace in the order they were stored. The error is fs.ErrNotExist if
// there is no such trace. Blank lines are skipped; any other line that is no JSON object is an error.
func (s *Store) Read(traceID string) (*Trace, error) {
	if err := checkTraceID(traceID); err != nil {
		return nil, err
	}
	paths, err := s.find(traceID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("trace %s: %w", traceID, err)
	case len(paths) == 0:
		return nil, fmt.Errorf("trace %s in %s: %w", traceID, s.Dir, fs.ErrNotExist)
	case len(paths) > 1:
		return nil, fmt.Errorf("trace %s is in two files, %s and %s: expected one", traceID, paths[0], paths[1])
	}
	// The lock waits for a receipt that is being written: what is torn then, stays torn.
	file, err := openLocked(paths[0], os.O_RDONLY, syscall.LOCK_SH)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", traceID, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && info.Size() > maxTrace {
		err = fmt.Errorf("%s has %d bytes, expected at most %d", paths[0], info.Size(), maxTrace)
	}
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", traceID, err)
	}
	trace := &Trace{ID: traceID, Path: paths[0]}
	trace.TornTail, err = eachLine(file, func(number int, line []byte) error {
		receipt, err := parseLine(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		trace.Receipts = append(trace.Receipts, receipt)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", traceID, err)
	}
	return trace, nil
}

func parseLine(line []byte) (jcs.Value, error) {
	v, err := jcs.Parse(line, jcs.Limits{Bytes: maxLine, Depth: maxDepth})
	if err == nil && v.Kind != jcs.Object {
		err = errors.New("expected a JSON object")
	}
	return v, err
}

// eachLine calls do for every line that is ended and not blank, and returns the length of one that is
// not ended. The line is do's until it returns.
func eachLine(file io.Reader, do func(number int, line []byte) error) (torn int, err error) {
	lines := bufio.NewReaderSize(file, 64<<10)
	var long []byte // a line longer than the buffer
	for number := 1; ; {
		line, err := lines.ReadSlice('\n')
		if len(long) > 0 || errors.Is(err, bufio.ErrBufferFull) {
			if len(long)+len(line) > maxLine {
				return 0, fmt.Errorf("line %d: has more than %d bytes", number, maxLine)
			}
			long = append(long, line...)
			line = long
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return len(line), nil
		case err != nil:
			return 0, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := do(number, line); err != nil {
				return 0, err
			}
		}
		number++
		long = long[:0]
	}
}

// find returns the files of a trace, oldest day first: there should be one at most.
func (s *Store) find(traceID string) ([]string, error) {
	days, err := s.days()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, day := range days {
		path := filepath.Join(s.Dir, day, traceID+".jsonl")
		if _, err := os.Lstat(path); err == nil {
			paths = append(paths, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return paths, nil
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
func (s *Store) highestNumber() (int64, error) {
	highest := int64(-1)
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
			here, err := highestOf(filepath.Join(s.Dir, day, entry.Name()), "_store_seq")
			if err != nil {
				return 0, err
			}
			highest = max(highest, here)
		}
	}
	return highest, nil
}

// highestOf is the highest value of an integer member in a trace file, -1 if there is none.
func highestOf(path, member string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	highest := int64(-1)
	_, err = eachLine(file, func(_ int, line []byte) error {
		if receipt, err := parseLine(line); err == nil {
			highest = max(highest, integer(receipt, member))
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return highest, nil
}

// integer is the value of a member, -1 if it is no integer from 0 on.
func integer(receipt jcs.Value, member string) int64 {
	v, _ := receipt.Get(member)
	if n, ok := v.Int64(); ok && n >= 0 && n < maxInteger {
		return n
	}
	return -1
}

// ending is the end of a trace file.
type ending struct {
	size int64
	torn int64     // bytes after the last newline
	last jcs.Value // the last receipt; null if there is none
}

// lastLine reads a trace file backwards as far as it takes to see its last whole line.
func lastLine(file *os.File) (ending, error) {
	info, err := file.Stat()
	if err != nil {
		return ending{}, err
	}
	end := ending{size: info.Size()}
	for window := int64(8 << 10); ; window *= 4 {
		window = min(window, end.size)
		text := make([]byte, window)
		if _, err := file.ReadAt(text, end.size-window); err != nil && err != io.EOF {
			return ending{}, err
		}
		newline := bytes.LastIndexByte(text, '\n')
		end.torn = window - int64(newline) - 1
		whole := bytes.TrimRight(text[:newline+1], " \t\r\n")
		start := bytes.LastIndexByte(whole, '\n')
		if start < 0 && window < end.size { // the line begins before the window
			if window > maxLine {
				return ending{}, fmt.Errorf("last line: has more than %d bytes", maxLine)
			}
			continue
		}
		if whole = bytes.TrimSpace(whole[start+1:]); len(whole) == 0 {
			return end, nil
		}
		end.last, err = parseLine(whole)
		if err != nil {
			return ending{}, fmt.Errorf("last line: %w", err)
		}
		return end, nil
	}
}

func (e ending) storeSeq() int64 { return integer(e.last, "_store_seq") }

// nextSeq is one more than the last receipt's seq. If that has none, some other program wrote it: then
// the highest of the file counts.
func (e ending) nextSeq(file *os.File) (int64, error) {
	if e.last.Kind == jcs.Null {
		return 0, nil
	}
	seq := integer(e.last, "seq")
	if seq < 0 {
		var err error
		if seq, err = highestOf(file.Name(), "seq"); err != nil {
			return 0, err
		}
	}
	return seq + 1, nil
}

package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// writeOnly is a file with text that cannot be read: every read of it is an error.
func writeOnly(t *testing.T, text string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// What cannot be read is not empty: a number would be given out twice, or a receipt be glued to another.
func TestWhatCannotBeReadIsAnError(t *testing.T) {
	const lines = `{"seq": 0, "_store_seq": 7}` + "\n" + `{"seq": 1}` + "\n"
	file := writeOnly(t, lines)
	if n, err := wholeLines(file, int64(len(lines)), maxBack); err == nil {
		t.Errorf("whole lines: %d", n)
	}
	if end, err := lastLine(file); err == nil {
		t.Errorf("last line: %+v", end)
	}
	for _, last := range []string{"{}", `{"seq": 1}`, `{"_store_seq": 1}`} {
		end := traceEnd{size: int64(len(lines)), last: parsed(t, last)}
		if seq, storeSeq, err := end.next(file); err == nil {
			t.Errorf("after %s: %d, %d", last, seq, storeSeq)
		}
	}
	for _, n := range []int64{0, 1, 4} {
		last := parsed(t, fmt.Sprintf(`{"seq": %d, "_store_seq": %d}`, n, n))
		if seq, storeSeq, err := (traceEnd{size: int64(len(lines)), last: last}).next(file); err != nil || seq != n+1 || storeSeq != n+1 {
			t.Errorf("what is known needs no reading: %d, %d, %v", seq, storeSeq, err)
		}
	}
	if n, err := (&Store{Dir: t.TempDir()}).takeNumbers(file, 0, 1); err == nil {
		t.Errorf("the counter: %d", n)
	}
	counter, err := os.Create(filepath.Join(t.TempDir(), counterFile))
	if err != nil {
		t.Fatal(err)
	}
	defer counter.Close()
	receipts, err := (&Store{Dir: t.TempDir()}).record(counter, file, noon, "t1", []checkedDraft{{typ: "model_call"}})
	if text, readErr := os.ReadFile(file.Name()); err == nil || receipts != nil || readErr != nil || string(text) != lines {
		t.Errorf("recorded %d, %v; the trace is %q, %v", len(receipts), err, text, readErr)
	}
	if n, err := (&Store{Dir: file.Name()}).highestNumber(); err == nil {
		t.Errorf("the highest number of a store that is no directory: %d", n)
	}
	trouble := errors.New("input/output error")
	for text, want := range map[string]int{"": 0, lines: 2} {
		read := 0
		_, err := eachLine(io.MultiReader(strings.NewReader(text), iotest.ErrReader(trouble)), func(int, []byte, error) error { read++; return nil })
		if !errors.Is(err, trouble) || read != want {
			t.Errorf("after %d lines: %d read, %v", want, read, err)
		}
		if highest, without, err := highestIn(io.MultiReader(strings.NewReader(text), iotest.ErrReader(trouble)), "seq"); !errors.Is(err, trouble) {
			t.Errorf("the highest number: %d, %t, %v", highest, without, err)
		}
	}
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "x"), "a directory": t.TempDir()} {
		if highest, _, err := highestOf(path, "seq"); err == nil {
			t.Errorf("%s: %d", name, highest)
		}
	}
}

// A counter that takes nothing gives no numbers: they would be given out again.
func TestACounterThatCannotBeWrittenOrCutGivesNoNumber(t *testing.T) {
	for name, text := range map[string]string{"writing": "7", "cutting": "00000000000000000007"} {
		path := filepath.Join(t.TempDir(), ".store_seq")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := (&Store{Dir: t.TempDir()}).takeNumbers(file, 0, 1); err == nil {
			t.Errorf("%s: %d", name, n)
		}
		file.Close()
	}
}

// failing is text of which the n-th read, from 0, fails.
type failing struct {
	io.ReaderAt
	n   int
	err error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	f.n--
	if f.n == -1 {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}

// A disk may give the last byte of a file and not the line before it; and what another program cut off
// meanwhile is no error.
func TestALastLineThatCannotBeReadIsAnErrorAndOneThatIsGoneIsNone(t *testing.T) {
	text := `{"seq": 0}` + "\n" + `{"seq": 1, "text": "` + strings.Repeat("x", 9<<10) + `"}` + "\n"
	size := int64(len(text))
	trouble := errors.New("input/output error")
	for n := range 5 {
		end, err := endOfTrace(&failing{strings.NewReader(text), n, trouble}, size)
		if n < 3 && (!errors.Is(err, trouble) || end.size != 0) {
			t.Errorf("read %d fails: %d bytes, %v", n, end.size, err)
		}
		if seq := integer(end.last, "seq"); n >= 3 && (err != nil || seq != 1) {
			t.Errorf("no read fails: seq %d, %v", seq, err)
		}
	}
	end, err := endOfTrace(&failing{strings.NewReader(text), 1, io.EOF}, size)
	if err != nil || end.size != size {
		t.Errorf("a file that ends earlier: %d bytes, %v", end.size, err)
	}
}

func TestAFileOfOneByteIsALineOrNone(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "\n": 1, "x": 0, "x\n": 2, "\nx": 1, "\n\n": 2} {
		if n, err := wholeLines(strings.NewReader(text), int64(len(text)), maxBack); err != nil || n != want {
			t.Errorf("%q: %d, %v; want %d", text, n, err, want)
		}
	}
}

// Another program may cut a file between our look at its size and our read.
func TestAFileThatShrinksIsReadAsFarAsItGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.jsonl")
	if err := os.WriteFile(path, []byte("a\nb\nc"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := int64(0); size < 20; size++ {
		want := min(size/2*2, 4)
		if n, err := wholeLines(file, size, maxBack); err != nil || n != want {
			t.Errorf("size %d: %d, %v; want %d", size, n, err, want)
		}
	}
}

// A trace that can no longer be read ends with the error, and not as if it were whole.
func TestATraceThatCannotBeReadToItsEndSaysSo(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	trace, err := s.Open("t1")
	if err != nil {
		t.Fatal(err)
	}
	trace.Close()
	var errs []error
	for receipt, err := range trace.All() {
		if receipt.Kind != jcs.Null {
			t.Errorf("%+v", receipt)
		}
		errs = append(errs, err)
	}
	if len(errs) != 1 || !errors.Is(errs[0], fs.ErrClosed) || !strings.Contains(errs[0].Error(), "trace t1: ") {
		t.Errorf("%v", errs)
	}
}

func TestAReaderOfATraceMayStop(t *testing.T) {
	s := newStore(t)
	for range 5 {
		emit(t, s, "t1")
	}
	trace, err := s.Open("t1")
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	for stop := 1; stop <= 6; stop++ {
		read := 0
		for _, err := range trace.All() { // going on after that would panic
			if err != nil {
				t.Fatal(err)
			}
			if read++; read == stop {
				break
			}
		}
		if read != min(stop, 5) {
			t.Errorf("%d read, want %d", read, min(stop, 5))
		}
	}
}

func TestTheErrorOfABatchSaysWhichReceipt(t *testing.T) {
	s := newStore(t)
	good, bad := Draft{Type: "model_call"}, Draft{Type: "no such type"}
	if _, err := s.Emit("t1", bad.Type, jcs.Value{}); err == nil || strings.Contains(err.Error(), "receipt 1") {
		t.Errorf("one alone: %v", err)
	}
	for drafts, want := range map[*[]Draft]string{{bad, good}: "receipt 1: ", {good, bad}: "receipt 2: ", {good, good, bad, bad}: "receipt 3: "} {
		if receipts, err := s.EmitAll("t1", *drafts); err == nil || receipts != nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%d receipts, %v; want %q", len(receipts), err, want)
		}
	}
	if receipts, err := s.EmitAll("t1", nil); err != nil || receipts != nil {
		t.Errorf("an empty batch: %v, %v", receipts, err)
	}
	if _, err := os.Stat(s.Dir); err == nil {
		t.Error("a refused batch made the store")
	}
}

// A store that is no directory, or has something else where a trace or a day should be.
func TestAStoreOfOtherThingsIsAnError(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, home := range map[string]string{"a file": file, "below a file": filepath.Join(file, "below")} {
		s := &Store{Dir: home}
		if _, err := s.Emit("t1", "model_call", jcs.Value{}); err == nil {
			t.Errorf("%s: emitted", name)
		}
		if _, err := s.Open("t1"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: there is no such trace, or there is one: %v", name, err)
		}
	}
	for name, occupied := range map[string]string{"the day": noon.Format(dayForm), "the trace": noon.Format(dayForm) + "/t1.jsonl/x"} {
		s := newStore(t)
		path := filepath.Join(s.Dir, occupied)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Emit("t1", "model_call", jcs.Value{}); err == nil {
			t.Errorf("something else is %s: emitted", name)
		}
	}
}

func TestALineHasABoundThatCostsNoMemory(t *testing.T) {
	racetest.OneGoroutine(t)
	for n, good := range map[int]bool{maxLine - 1: true, maxLine: true, maxLine + 1: false} { // with its newline
		line := strings.Repeat("x", n-1) + "\n"
		for _, before := range []string{"", "a\n", strings.Repeat("y", 100_000) + "\n"} {
			want := strings.Count(before, "\n") + 1
			read := 0
			torn, err := eachLine(strings.NewReader(before+line+"b\n"), func(number int, text []byte, err error) error {
				if read++; number != read || (number == want) && (err == nil) != good {
					t.Errorf("line of %d bytes, the %d. read, as number %d: %v", n, read, number, err)
				}
				if number == want && good && len(text) != n-1 {
					t.Errorf("line of %d bytes: %d read", n, len(text))
				}
				return nil
			})
			if err != nil || torn != 0 || read != want+1 {
				t.Errorf("line of %d bytes: %d lines read, %d bytes torn, %v", n, read, torn, err)
			}
		}
	}
	const length = 16 * maxLine
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	torn, err := eachLine(io.LimitReader(endless{}, length), func(int, []byte, error) error { return errors.New("there is no line") })
	runtime.ReadMemStats(&after)
	if err != nil || torn != length {
		t.Errorf("%d bytes torn, %v", torn, err)
	}
	if cost := after.TotalAlloc - before.TotalAlloc; cost > 8*maxLine {
		t.Errorf("a line of %d bytes took %d bytes of memory", length, cost)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// What is no trace stands in no way of those that come after it in the directory.
func TestALostCounterIsRecoveredPastFilesOfOthers(t *testing.T) {
	s := newStore(t)
	for range 3 {
		emit(t, s, "middle")
	}
	day := filepath.Dir(read(t, s, "middle").Path)
	for _, name := range []string{"a.torn", "b.txt", ".c", "zz.torn"} {
		if err := os.WriteFile(filepath.Join(day, name), []byte(`{"_store_seq": 99}`+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"d", "e.jsonl"} {
		if err := os.Mkdir(filepath.Join(day, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "0000"), nil, 0o600); err != nil { // no day
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.Dir, counterFile)); err != nil {
		t.Fatal(err)
	}
	if n := number(t, emit(t, s, "other"), "_store_seq"); n != 3 {
		t.Errorf("the next number is %d, want 3", n)
	}
}

func TestARunIDIsTheTraceIDAsText(t *testing.T) {
	s := newStore(t)
	for text, good := range map[string]bool{`{"run_id": "7"}`: true, `{"run_id": 7}`: false, `{"run_id": "8"}`: false, `{"run_id": null}`: false, `{"run_id": true}`: false, `{"run_id": ["7"]}`: false} {
		if _, err := s.Emit("7", "model_call", parsed(t, text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, good := range map[string]bool{`{"parent_receipt_id": "r_1"}`: true, `{"parent_receipt_id": ""}`: false, `{"parent_receipt_id": 1}`: false, `{"parent_receipt_id": null}`: false} {
		if _, err := s.Emit("7", "model_call", parsed(t, text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Numbers are those that every reader of JSON keeps exactly: below 2^53-1, so that the next one is, too.
// RCP-32
func TestNumbersEndWhereNotEveryReaderKnowsThem(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "7": 7, "9007199254740990": 9007199254740990, "9007199254740991": -1, "9007199254740992": -1, "9223372036854775808": -1,
		"-1": -1, "1.0": -1, "1e3": -1, `"7"`: -1, "true": -1, "null": -1, "[7]": -1,
	} {
		if n := integer(parsed(t, `{"seq": `+text+`}`), "seq"); n != want {
			t.Errorf("%s: %d, want %d", text, n, want)
		}
	}
	s := newStore(t)
	emit(t, s, "t1")
	counter := filepath.Join(s.Dir, counterFile)
	for text, next := range map[string]int64{"9007199254740988": 9007199254740988, "9007199254740989": 9007199254740989, "9007199254740990": -1, "9007199254740991": -1} {
		if err := os.WriteFile(counter, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := s.Emit("t"+text, "model_call", jcs.Value{})
		if (err == nil) != (next >= 0) || err == nil && number(t, r, "_store_seq") != next {
			t.Errorf("the counter says %s: %v", text, err)
		}
		os.RemoveAll(filepath.Join(s.Dir, noon.Format(dayForm), "t"+text+".jsonl"))
	}
}

func TestWhoeverReadsLinesMayStopAtAnyOfThem(t *testing.T) {
	racetest.OneGoroutine(t)
	stop := errors.New("stop")
	long := strings.Repeat("x", maxLine) + "\n"
	text := "a\n" + long + "b\n" + long
	for at := 1; at <= 4; at++ {
		read := 0
		_, err := eachLine(strings.NewReader(text), func(int, []byte, error) error {
			if read++; read == at {
				return stop
			}
			return nil
		})
		if err != stop || read != at {
			t.Errorf("stopped at line %d: %d read, %v", at, read, err)
		}
	}
}

//go:build unix

package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// These make the test binary a process that emits; see TestMain.
const (
	emitDir   = "CAPTURE_TEST_DIR"
	emitTrace = "CAPTURE_TEST_TRACE"
	emitCount = "CAPTURE_TEST_COUNT" // of receipts to each of two traces; empty: one trace, until killed
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(emitDir); dir != "" {
		if os.Getenv(emitIntents) != "" {
			fmt.Fprintln(os.Stderr, intender(&Store{Dir: dir}, os.Getenv(emitTrace)))
			os.Exit(1)
		}
		if err := emitter(&Store{Dir: dir}, os.Getenv(emitTrace), os.Getenv(emitCount)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func emitter(s *Store, trace, count string) error {
	if count == "" {
		for i := int64(0); ; i++ {
			r, err := s.Emit(trace, "model_call", jcs.Obj(jcs.M("text", jcs.Str(strings.Repeat("x", 3000))), jcs.M("i", jcs.Int(i))))
			if err != nil {
				return err
			}
			id, _ := r.Get("receipt_id")
			fmt.Println(id.Text)
		}
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i, trace := range []string{trace, "shared"} {
		all.Go(func() {
			for range n {
				if _, err := s.Emit(trace, "model_call", jcs.Value{}); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

var noon = time.Date(2026, 1, 15, 12, 0, 0, 123456789, time.UTC)

func newStore(t testing.TB) *Store {
	return &Store{Dir: filepath.Join(t.TempDir(), "home"), Now: func() time.Time { return noon }}
}

func emit(t testing.TB, s *Store, trace string) jcs.Value {
	t.Helper()
	r, err := s.Emit(trace, "model_call", jcs.Value{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stored is a trace and all its receipts.
type stored struct {
	*Trace
	Receipts []jcs.Value
}

func tryRead(s *Store, trace string) (*stored, error) {
	opened, err := s.Open(trace)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	got := &stored{Trace: opened}
	for r, err := range opened.All() {
		if err != nil {
			return nil, err
		}
		got.Receipts = append(got.Receipts, r)
	}
	return got, nil
}

func read(t testing.TB, s *Store, trace string) *stored {
	t.Helper()
	got, err := tryRead(s, trace)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func number(t testing.TB, r jcs.Value, name string) int64 {
	t.Helper()
	v, _ := r.Get(name)
	n, ok := v.Int64()
	if !ok {
		t.Fatalf("%s is %+v", name, v)
	}
	return n
}

func parsed(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Depth: 512})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// RCP-6, RCP-18, RCP-23
func TestAReceiptIsStoredAsThePythonToolStoresIt(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	s := newStore(t)
	emit(t, s, "t1")
	r, err := s.Emit("t1", "acme.review/v2", parsed(t, `{"b":"é\u2028","run_id":"t1","a":[1.0,1e21,null],"parent_receipt_id":"r_0"}`))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := r.Get("receipt_id")
	if ok := len(id.Text) == 14 && strings.HasPrefix(id.Text, "r_") && strings.Trim(id.Text[2:], "0123456789abcdef") == ""; !ok {
		t.Errorf("receipt_id %q", id.Text)
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, "2026-01-15", "t1.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	_, second, _ := strings.Cut(string(text), "\n")
	want := `{"receipt_id": "` + id.Text + `", "type": "acme.review/v2", "timestamp": "2026-01-15T12:00:00.123456+00:00", ` +
		`"schema_version": "3.0", "seq": 1, "parent_receipt_id": "r_0", "b": "\u00e9\u2028", "run_id": "t1", "a": [1.0, 1e+21, null], ` +
		`"_trace_id": "t1", "_stored_at": "2026-01-15T12:00:00.123456+00:00", "_store_seq": 1}` + "\n"
	if second != want {
		t.Errorf("stored\n%swant\n%s", second, want)
	}
	if counter, err := os.ReadFile(filepath.Join(s.Dir, counterFile)); err != nil || string(counter) != "2" {
		t.Errorf("counter %q, %v", counter, err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o700, counterFile: 0o600, "2026-01-15": 0o700, "2026-01-15/t1.jsonl": 0o600} {
		info, err := os.Stat(filepath.Join(s.Dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v; want mode %v", name, info.Mode(), err, want)
		}
	}
	trace := read(t, s, "t1")
	if len(trace.Receipts) != 2 || trace.TornTail != 0 || trace.ID != "t1" || filepath.Base(trace.Path) != "t1.jsonl" {
		t.Errorf("read %+v", trace)
	}
	if back, err := jcs.AppendPython(nil, trace.Receipts[1]); err != nil || string(back)+"\n" != want {
		t.Errorf("read back %s, %v", back, err)
	}
}

// RCP-25, RCP-26, RCP-27
func TestWhatNoPackCouldHoldIsRefusedByName(t *testing.T) {
	s := newStore(t)
	for data, says := range map[string]string{
		`[]`:                              "object",
		`{"receipt_id":"r_1"}`:            "receipt_id is set by the store",
		`{"type":"model_call"}`:           "type is set by the store",
		`{"timestamp":"x"}`:               "timestamp is set by the store",
		`{"schema_version":"3.0"}`:        "schema_version is set by the store",
		`{"seq":7}`:                       "seq is set by the store",
		`{"_trace_id":"t"}`:               "_trace_id is set by the store",
		`{"_stored_at":"t"}`:              "_stored_at is set by the store",
		`{"_store_seq":0}`:                "_store_seq is set by the store",
		`{"Seq":7}`:                       "Seq",
		`{"run_id":"another"}`:            "run_id",
		`{"parent_receipt_id":null}`:      "parent_receipt_id",
		`{"n":9007199254740992}`:          "n: ",
		`{"a":{"b":[-9007199254740993]}}`: "integer -9007199254740993",
		`{"n":1e400}`:                     "n: ",
		`{"a":[{"\u00e9":1}]}`:            "not portable",
		`{"s":"` + strings.Repeat("x", maxStored) + `"}`:            "at most 1048576",
		`{"a":[` + strings.Repeat("1e20,", 60_000) + `0]}`:          "at most 1048576",
		strings.Repeat(`{"a":`, 65) + `1` + strings.Repeat(`}`, 65): "deep",
	} {
		v, err := jcs.Parse([]byte(data), jcs.Limits{Bytes: 4 << 20, Depth: 512})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Emit("t1", "model_call", v); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v, expected an error with %q", data, err, says)
		}
	}
	if _, err := s.Emit("t1", "model_call", jcs.Obj(jcs.M("s", jcs.Str("\xff")))); err == nil {
		t.Error("a string that is not Unicode was stored")
	}
	for _, typ := range []string{"", "Breakglass", "Model_call", "loom.x", "model_call\n"} {
		if _, err := s.Emit("t1", typ, jcs.Value{}); err == nil || !strings.Contains(err.Error(), "not admitted") {
			t.Errorf("type %q: %v", typ, err)
		}
	}
	if _, err := tryRead(s, "t1"); err == nil {
		if n := len(read(t, s, "t1").Receipts); n != 0 {
			t.Errorf("%d refused receipts were stored", n)
		}
	}
}

// RCP-19
func TestTraceIDsCannotLeaveTheStore(t *testing.T) {
	s := newStore(t)
	for _, id := range []string{"", ".", "..", "../x", "../../../x", "a/b", "/etc/x", ".hidden", "-rf", "_x", "a b", "a\n", "a\x00", "é", strings.Repeat("a", 129)} {
		if _, err := s.Emit(id, "model_call", jcs.Value{}); err == nil {
			t.Errorf("emitted to %q", id)
		}
		if _, err := tryRead(s, id); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read %q: %v", id, err)
		}
	}
	if _, err := os.Stat(s.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
	for _, id := range []string{"a", "9..", "trace_20260115T110000_5f2c9a01", "A.b-c_d", strings.Repeat("a", 128)} {
		emit(t, s, id)
	}
}

// RCP-20, RCP-21
func TestATraceStaysInTheFileItBeganIn(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	s.Now = func() time.Time { return noon.AddDate(0, 0, 3) }
	emit(t, s, "t1")
	if trace := read(t, s, "t1"); len(trace.Receipts) != 2 || number(t, trace.Receipts[1], "seq") != 1 {
		t.Errorf("read %+v", trace)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "2026-01-18")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a second day was made: %v", err)
	}
	if err := os.Mkdir(filepath.Join(s.Dir, "2026-01-18"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "2026-01-18", "t1.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if trace, err := tryRead(s, "t1"); err == nil {
		t.Errorf("half of a trace was read: %+v", trace)
	}
	if _, err := tryRead(s, "t2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a trace that is not there: %v", err)
	}
}

// emitters starts n processes that emit to a trace of their own and to one that all share.
func emitters(t *testing.T, dir string, n, each int) {
	t.Helper()
	var started []*exec.Cmd
	for i := range n {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), emitDir+"="+dir, fmt.Sprintf("%s=own%d", emitTrace, i), fmt.Sprintf("%s=%d", emitCount, each))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started = append(started, cmd)
	}
	for _, cmd := range started {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// RCP-29, RCP-33
func TestThirtyTwoProcessesLoseNothing(t *testing.T) {
	s := newStore(t)
	const processes, each = 32, 20
	emitters(t, s.Dir, processes, each)
	seen := map[int64]bool{}
	check := func(trace string, want int) {
		t.Helper()
		got := read(t, s, trace)
		if len(got.Receipts) != want || got.TornTail != 0 {
			t.Errorf("%s: %d receipts and %d bytes torn, want %d", trace, len(got.Receipts), got.TornTail, want)
		}
		last := int64(-1)
		for i, r := range got.Receipts {
			if seq := number(t, r, "seq"); seq != int64(i) {
				t.Errorf("%s: receipt %d has seq %d", trace, i, seq)
			}
			n := number(t, r, "_store_seq")
			if n <= last || seen[n] {
				t.Errorf("%s: _store_seq %d after %d, taken before: %v", trace, n, last, seen[n])
			}
			last, seen[n] = n, true
		}
	}
	check("shared", processes*each)
	for i := range processes {
		check(fmt.Sprintf("own%d", i), each)
	}
	if len(seen) != 2*processes*each {
		t.Errorf("%d numbers for %d receipts", len(seen), 2*processes*each)
	}
}

func TestAKilledEmitterLosesOnlyWhatItHadNotReported(t *testing.T) {
	s := newStore(t)
	s.Now = nil
	var reported []string
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), emitDir+"="+s.Dir, emitTrace+"=t1", emitCount+"=")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for i := 0; lines.Scan(); i++ {
			reported = append(reported, lines.Text())
			if i == 3+round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the emitter was not killed")
		}
	}
	emit(t, s, "t1")
	stored := map[string]bool{}
	last := int64(-1)
	for i, r := range read(t, s, "t1").Receipts {
		id, _ := r.Get("receipt_id")
		stored[id.Text] = true
		if n := number(t, r, "_store_seq"); n <= last {
			t.Errorf("_store_seq %d after %d", n, last)
		} else {
			last = n
		}
		if number(t, r, "seq") != int64(i) {
			t.Errorf("receipt %d has seq %d", i, number(t, r, "seq"))
		}
	}
	if len(reported) < 8*4 {
		t.Errorf("only %d receipts were reported", len(reported))
	}
	for _, id := range reported {
		if !stored[id] {
			t.Errorf("receipt %s was reported and is not there", id)
		}
	}
}

// RCP-35
func TestATornLineIsCountedAndThenSetAside(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	path := read(t, s, "t1").Path
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	emit(t, s, "t1")
	both, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(both); cut++ {
		if err := os.WriteFile(path, both[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		whole := bytes.Count(both[:cut], []byte("\n"))
		torn := int64(cut - whole*len(first))
		if trace := read(t, s, "t1"); len(trace.Receipts) != whole || trace.TornTail != torn {
			t.Fatalf("cut at %d: %d receipts and %d bytes torn, want %d and %d", cut, len(trace.Receipts), trace.TornTail, whole, torn)
		}
		r := emit(t, s, "t1")
		trace := read(t, s, "t1")
		if len(trace.Receipts) != whole+1 || trace.TornTail != 0 || number(t, r, "seq") != int64(whole) {
			t.Fatalf("cut at %d: then %d receipts and %d bytes torn, seq %d", cut, len(trace.Receipts), trace.TornTail, number(t, r, "seq"))
		}
		// What was torn is kept beside the trace, and still counted.
		aside, err := os.ReadFile(tornPath(path))
		if torn == 0 && (!errors.Is(err, fs.ErrNotExist) || trace.Torn != 0) {
			t.Fatalf("cut at %d: set aside %q, %v; %d torn", cut, aside, err, trace.Torn)
		}
		if torn > 0 && (string(aside) != string(both[cut-int(torn):cut])+"\n" || trace.Torn != 1) {
			t.Fatalf("cut at %d: set aside %q, %v; %d torn", cut, aside, err, trace.Torn)
		}
		if err := os.RemoveAll(tornPath(path)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestATornLineElsewhereStopsNobody(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	path := read(t, s, "t1").Path
	if err := os.WriteFile(path, []byte(`{"receipt_id": "r_`), 0o600); err != nil {
		t.Fatal(err)
	}
	emit(t, s, "t2")
	if err := os.Remove(filepath.Join(s.Dir, counterFile)); err != nil {
		t.Fatal(err)
	}
	emit(t, s, "t2")
}

// RCP-30
func TestALostCounterIsRecoveredFromTheReceipts(t *testing.T) {
	s := newStore(t)
	for range 3 {
		emit(t, s, "t1")
	}
	emit(t, s, "t2")
	path := filepath.Join(s.Dir, counterFile)
	want := int64(4)
	for _, text := range []string{"", "x", "-1", "99999999999999999999", "\x00\x00\x00\x00", strings.Repeat("9", 100)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := number(t, emit(t, s, "t3"), "_store_seq"); got != want {
			t.Errorf("counter %q: then %d, want %d", text, got, want)
		}
		want++
		if text, err := os.ReadFile(path); err != nil || string(text) != strconv.FormatInt(want, 10) {
			t.Errorf("counter is now %q, %v", text, err)
		}
	}
	// A counter that a power cut set back is caught where the trace itself knows better.
	if err := os.WriteFile(path, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := number(t, emit(t, s, "t3"), "_store_seq"); got != want {
		t.Errorf("after a power cut: %d, want %d", got, want)
	}
	// A newline, as an editor leaves it, does no harm.
	if err := os.WriteFile(path, []byte("100\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := number(t, emit(t, s, "t3"), "_store_seq"); got != 100 {
		t.Errorf("counter 100: %d", got)
	}
	if err := os.WriteFile(path, []byte("9007199254740991"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Emit("t3", "model_call", jcs.Value{}); err == nil {
		t.Errorf("a number beyond 2^53-1 was given: %+v", r)
	}
}

func TestReceiptsOfOtherProgramsAreReadAsTheyAre(t *testing.T) {
	s := newStore(t)
	write := func(text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(s.Dir, "2026-01-15"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, "2026-01-15", "t1.jsonl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("\n{\"seq\":5,\"x\":\"" + strings.Repeat("y", 100_000) + "\"}\n  \n{\"a\":1}\r\n\n\n")
	if trace := read(t, s, "t1"); len(trace.Receipts) != 2 || trace.TornTail != 0 {
		t.Errorf("read %d receipts, %d bytes torn", len(trace.Receipts), trace.TornTail)
	}
	if seq := number(t, emit(t, s, "t1"), "seq"); seq != 6 {
		t.Errorf("seq %d after a receipt without one, want 6", seq)
	}
	write("{\"seq\":5,\"x\":\"" + strings.Repeat("y", 100_000) + "\"}\n")
	if seq := number(t, emit(t, s, "t1"), "seq"); seq != 6 {
		t.Errorf("seq %d after a long line, want 6", seq)
	}
}

// RCP-36
func TestABadLineIsReportedAndStopsNobody(t *testing.T) {
	racetest.OneGoroutine(t)
	s := newStore(t)
	if err := os.MkdirAll(filepath.Join(s.Dir, "2026-01-15"), 0o700); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxLine+64<<10) + `{"seq": 99}` // its end, as it is read, is a receipt
	for _, text := range []string{"[]\n", "null\n", "{\"a\":1,\"a\":2}\n", "{\"a\":\n", "\xff\n", "\u0085\n", long + "\n"} {
		for before, seq := range map[string]int64{"": 0, "{\"seq\": 7, \"_store_seq\": 30}\n\n": 8} {
			if err := os.WriteFile(filepath.Join(s.Dir, "2026-01-15", "t1.jsonl"), []byte(before+text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := emit(t, s, "t1")
			trace := read(t, s, "t1")
			if len(trace.Receipts) != 1+len(before)/20 || trace.NumBad != 1 || len(trace.Bad) != 1 || trace.Torn != 0 {
				t.Fatalf("%.20q: %d receipts, %d bad, %d torn", text, len(trace.Receipts), trace.NumBad, trace.Torn)
			}
			if line := trace.Bad[0].String(); !strings.HasPrefix(line, fmt.Sprintf("line %d: ", 1+strings.Count(before, "\n"))) {
				t.Errorf("%.20q: reported as %s", text, line)
			}
			if number(t, r, "seq") != seq || before != "" && number(t, r, "_store_seq") < 31 {
				t.Errorf("%.20q: then %+v", text, r)
			}
		}
	}
	emit(t, s, "t2")
	if err := os.WriteFile(filepath.Join(s.Dir, "2026-01-15", "t3.jsonl"), []byte(strings.Repeat("x\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if trace := read(t, s, "t3"); trace.NumBad != 1000 || len(trace.Bad) != maxBadLines {
		t.Errorf("%d bad lines, %d listed", trace.NumBad, len(trace.Bad))
	}
}

func TestATraceIsReadAsItWasWhenItWasOpened(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	trace, err := s.Open("t1")
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	emit(t, s, "t1") // and the lock is not held meanwhile
	for range 2 {
		n := 0
		for _, err := range trace.All() {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("%d receipts", n)
		}
	}
	for range trace.All() {
		break
	}
	text, err := io.ReadAll(trace.Text())
	if err != nil || int64(len(text)) != trace.Size || bytes.Count(text, []byte("\n")) != 1 {
		t.Errorf("text %q, %v", text, err)
	}
}

// RCP-34
func TestABatchIsStoredWholeOrNotAtAll(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	data := parsed(t, `{"a":1}`)
	receipts, err := s.EmitAll("t1", []Draft{{Type: "model_call"}, {Type: "acme.review/v1", Parent: "r_0", Data: data}, {Type: "model_call", Data: data}})
	if err != nil || len(receipts) != 3 {
		t.Fatalf("%d receipts, %v", len(receipts), err)
	}
	trace := read(t, s, "t1")
	for i, r := range trace.Receipts {
		if number(t, r, "seq") != int64(i) || number(t, r, "_store_seq") != int64(i) {
			t.Errorf("receipt %d is %+v", i, r)
		}
	}
	if parent, _ := trace.Receipts[2].Get("parent_receipt_id"); parent.Text != "r_0" {
		t.Errorf("parent %+v", parent)
	}
	for says, bad := range map[string]Draft{
		"receipt 2: receipt type":  {Type: "nope"},
		"receipt 2: receipt data":  {Type: "model_call", Data: jcs.Arr()},
		"parent_receipt_id":        {Type: "model_call", Parent: "r_1", Data: parsed(t, `{"parent_receipt_id":"r_2"}`)},
		"not Unicode":              {Type: "model_call", Parent: "\xff"},
		"expected at most 1048576": {Type: "model_call", Data: jcs.Obj(jcs.M("s", jcs.Str(strings.Repeat("x", maxStored))))},
	} {
		if _, err := s.EmitAll("t1", []Draft{{Type: "model_call"}, bad}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, expected an error with %q", err, says)
		}
	}
	if n := len(read(t, s, "t1").Receipts); n != 4 {
		t.Errorf("%d receipts after refusals", n)
	}
	if receipts, err := s.EmitAll("t2", nil); err != nil || len(receipts) != 0 {
		t.Errorf("nothing emitted: %v, %v", receipts, err)
	}
	if n := number(t, emit(t, s, "t1"), "seq"); n != 4 {
		t.Errorf("seq %d after refusals", n)
	}
}

// RCP-31
func TestAStoreWithoutNumbersIsLeftToItsMigration(t *testing.T) {
	s := newStore(t)
	day := filepath.Join(s.Dir, "2026-01-10")
	if err := os.MkdirAll(day, 0o700); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(day, "trace_1.jsonl")
	if err := os.WriteFile(old, []byte("{\"receipt_id\": \"r_1\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, trace := range []string{"trace_1", "trace_2"} {
		if _, err := s.Emit(trace, "model_call", jcs.Value{}); !errors.Is(err, ErrUnnumbered) {
			t.Errorf("%s: %v", trace, err)
		}
	}
	if got, err := os.ReadFile(old); err != nil || bytes.Count(got, []byte("\n")) != 1 {
		t.Errorf("the old trace is now %q, %v", got, err)
	}
	if err := os.WriteFile(old, []byte("{\"receipt_id\": \"r_1\", \"_store_seq\": 4}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := number(t, emit(t, s, "trace_2"), "_store_seq"); n != 5 {
		t.Errorf("_store_seq %d after 4", n)
	}
	// One trace without numbers among others that have them: the count goes on.
	if err := os.WriteFile(filepath.Join(day, "trace_0.jsonl"), []byte("{\"receipt_id\": \"r_0\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.Dir, counterFile)); err != nil {
		t.Fatal(err)
	}
	if n := number(t, emit(t, s, "trace_2"), "_store_seq"); n != 6 {
		t.Errorf("_store_seq %d after 5", n)
	}
}

// RCP-28
func TestAProcessThatCountsFromZeroDoesNotSetTheCountBack(t *testing.T) {
	s := newStore(t)
	for range 5 {
		emit(t, s, "t1")
	}
	path := read(t, s, "t1").Path
	for round, lines := range [][]int64{{0}, {0, 1}, {0, 7, 0}} {
		for _, seq := range lines {
			file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(file, "{\"seq\": %d, \"_store_seq\": %d}\n", seq, 100*(round+1)+int(seq))
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		}
		r := emit(t, s, "t1")
		if want := []int64{5, 6, 8}[round]; number(t, r, "seq") != want {
			t.Errorf("round %d: seq %d, want %d", round, number(t, r, "seq"), want)
		}
	}
}

func TestALongTornLineIsSetAsideLikeAShortOne(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	path := read(t, s, "t1").Path
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxLine+100)
	_, err = file.WriteString(long)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if trace := read(t, s, "t1"); len(trace.Receipts) != 1 || trace.TornTail != int64(len(long)) || trace.Torn != 1 {
		t.Errorf("%d receipts, %d bytes torn, %d lines", len(trace.Receipts), trace.TornTail, trace.Torn)
	}
	if seq := number(t, emit(t, s, "t1"), "seq"); seq != 1 {
		t.Errorf("seq %d", seq)
	}
	if trace := read(t, s, "t1"); len(trace.Receipts) != 2 || trace.TornTail != 0 || trace.Torn != 1 {
		t.Errorf("then %d receipts, %d bytes torn, %d lines", len(trace.Receipts), trace.TornTail, trace.Torn)
	}
}

// A tail of gigabytes, such as a disk leaves that lost its journal, is neither read through nor copied while
// every program that records waits. The file is sparse, and too large to be walked through in the time given.
func TestAnEndlessTornTailHoldsNobodyUp(t *testing.T) {
	racetest.OneGoroutine(t)
	for _, size := range []int64{maxBack + 1<<20, 1 << 40} {
		s := newStore(t)
		first := emit(t, s, "t1")
		path := read(t, s, "t1").Path
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		receipts := []jcs.Value{emit(t, s, "t1"), emit(t, s, "t1")}
		other := emit(t, s, "t2")
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%d bytes: three receipts took %v", size, took)
		}
		// Nothing is lost, nothing is there twice, and the gap in seq tells of what nobody can count.
		for i, r := range receipts {
			if seq := number(t, r, "seq"); seq != size+1+int64(i) {
				t.Errorf("%d bytes: receipt %d has seq %d", size, i, seq)
			}
		}
		if a, b, c := number(t, receipts[0], "_store_seq"), number(t, receipts[1], "_store_seq"), number(t, other, "_store_seq"); a != 1 || b != 2 || c != 3 {
			t.Errorf("%d bytes: _store_seq %d, %d, %d", size, a, b, c)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, len(before))
		_, err = file.ReadAt(head, 0)
		if err := errors.Join(err, file.Close()); err != nil || !bytes.Equal(head, before) {
			t.Errorf("%d bytes: the first receipt is %q, %v", size, head, err)
		}
		if _, err := os.Lstat(tornPath(path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d bytes: the tail was set aside: %v", size, err)
		}
		if size > 1<<30 {
			continue // reading through it is for who packs the trace
		}
		trace := read(t, s, "t1")
		if len(trace.Receipts) != 3 || trace.NumBad != 1 || trace.TornTail != 0 {
			t.Errorf("%d receipts, %d bad lines, %d bytes torn", len(trace.Receipts), trace.NumBad, trace.TornTail)
		}
		if id, _ := trace.Receipts[0].Get("receipt_id"); id.Text != idOf(first) {
			t.Errorf("the first receipt is %s", id.Text)
		}
	}
}

// The same of a tail that nobody has ended yet: who reads it does not keep others from recording.
func TestAnEndlessTornTailIsLeftOut(t *testing.T) {
	racetest.OneGoroutine(t)
	s := newStore(t)
	emit(t, s, "t1")
	path := read(t, s, "t1").Path
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxBack+5<<20); err != nil {
		t.Fatal(err)
	}
	if trace := read(t, s, "t1"); len(trace.Receipts) != 1 || trace.TornTail != maxBack+5<<20-info.Size() || trace.Torn != 1 {
		t.Errorf("%d receipts, %d bytes torn, %d lines", len(trace.Receipts), trace.TornTail, trace.Torn)
	}
}

// A line too long to be one, that somebody ended, is walked through no more than a torn one.
func TestAnEndlessLineHoldsNobodyUp(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	path := read(t, s, "t1").Path
	const size = 1 << 40
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString("\n")
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if seq := number(t, emit(t, s, "t1"), "seq"); seq != size+2 {
		t.Errorf("seq %d", seq)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

func idOf(r jcs.Value) string {
	id, _ := r.Get("receipt_id")
	return id.Text
}

func TestRecentTracesAreListedNewestFirst(t *testing.T) {
	s := newStore(t)
	if ids := s.Recent(time.Time{}, 3); len(ids) != 0 {
		t.Errorf("an empty store lists %q", ids)
	}
	for i, id := range []string{"t1", "t2", "t3", "t4"} {
		emit(t, s, id)
		at := noon.Add(time.Duration(i) * time.Hour)
		if err := os.Chtimes(read(t, s, id).Path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	day := filepath.Dir(read(t, s, "t1").Path)
	for _, other := range []string{"t5.torn", "t6", "-t7.jsonl", ".jsonl"} { // no trace
		if err := os.WriteFile(filepath.Join(day, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(day, "t8.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	if ids := s.Recent(time.Time{}, 9); !slices.Equal(ids, []string{"t4", "t3", "t2", "t1"}) {
		t.Errorf("%q", ids)
	}
	if ids := s.Recent(time.Time{}, 2); !slices.Equal(ids, []string{"t4", "t3"}) {
		t.Errorf("%q", ids)
	}
	if ids := s.Recent(noon.Add(time.Hour), 9); !slices.Equal(ids, []string{"t4", "t3", "t2"}) {
		t.Errorf("%q", ids)
	}
}

// RCP-24
func TestIDsOfALongTraceAreLonger(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	path := read(t, s, "t1").Path
	if err := os.WriteFile(path, []byte("{\"seq\": 65534, \"_store_seq\": 0}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2 + 12, 2 + 16} {
		if id, _ := emit(t, s, "t1").Get("receipt_id"); len(id.Text) != want {
			t.Errorf("receipt_id %s", id.Text)
		}
	}
}

// RCP-22
func TestTheStoreFollowsNoLinkAndWaitsForNoFIFO(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	path := read(t, s, "t1").Path
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for name, put := range map[string]func(string) error{
		"link":      func(path string) error { return os.Symlink(elsewhere, path) },
		"FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		for _, path := range []string{path, filepath.Join(s.Dir, counterFile)} {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Emit("t1", "model_call", jcs.Value{}); err == nil {
				t.Errorf("emitted through a %s at %s", name, filepath.Base(path))
			}
			if strings.HasSuffix(path, ".jsonl") {
				if _, err := tryRead(s, "t1"); err == nil {
					t.Errorf("read through a %s", name)
				}
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			emit(t, s, "t1")
		}
	}
	if _, err := os.Lstat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written outside: %v", err)
	}
}

// RCP-17
func TestHome(t *testing.T) {
	user := t.TempDir()
	for _, c := range []struct {
		assayHome, home string
		make            string
		want            string
	}{
		{"", user, "", user + "/.assay"},
		{"", user, ".loom/assay", user + "/.loom/assay"},
		{"", user, ".assay", user + "/.assay"},
		{"/x/y/", user, "", "/x/y"},
		{"/x", "", "", "/x"},
		{"x", user, "", ""},
		{"", "", "", ""},
		{"", "relative", "", ""},
	} {
		if c.make != "" {
			if err := os.MkdirAll(filepath.Join(user, c.make), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Home(func(name string) string { return map[string]string{"ASSAY_HOME": c.assayHome, "HOME": c.home}[name] })
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

func TestTraceIDs(t *testing.T) {
	id, err := NewTraceID(noon.In(time.FixedZone("east", 3600)), bytes.NewReader([]byte{0x5f, 0x2c, 0x9a, 0x01}))
	if err != nil || id != "trace_20260115T120000_5f2c9a01" {
		t.Errorf("%q, %v", id, err)
	}
	if id, err := NewTraceID(noon, strings.NewReader("abc")); err == nil {
		t.Errorf("made %q of 3 bytes", id)
	}
	if id, err := NewTraceID(noon, nil); err != nil || checkTraceID(id) != nil {
		t.Errorf("%q, %v", id, err)
	}
}

// The Python tool knows these names, and lists what lies beside them.
func TestAStoreHoldsItsTracesAndItsCounterAndNothingElse(t *testing.T) {
	for _, sync := range []bool{false, true} {
		s := newStore(t)
		s.Sync = sync
		for _, trace := range []string{"t1", "t2", "t1", "t1"} {
			emit(t, s, trace)
		}
		var names []string
		err := fs.WalkDir(os.DirFS(s.Dir), ".", func(path string, d fs.DirEntry, err error) error {
			if !d.IsDir() {
				names = append(names, path)
			}
			return err
		})
		if want := []string{"2026-01-15/t1.jsonl", "2026-01-15/t2.jsonl", ".store_seq"}; err != nil || !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(want))) {
			t.Errorf("sync %t: %v, %v, want %v", sync, names, err, want)
		}
		if text, err := os.ReadFile(filepath.Join(s.Dir, ".store_seq")); err != nil || string(text) != "4" {
			t.Errorf("sync %t: the counter is %q, %v", sync, text, err)
		}
	}
}

func TestSyncStoresTheSame(t *testing.T) {
	s := newStore(t)
	s.Sync = true
	emit(t, s, "t1")
	emit(t, s, "t1")
	if n := len(read(t, s, "t1").Receipts); n != 2 {
		t.Errorf("%d receipts", n)
	}
}

// FuzzTrace: whatever a trace file holds, what Read gives is what the next Emit leaves, plus one.
func FuzzTrace(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("{\"seq\": 0, \"_store_seq\": 7}\n{\"seq\": 1"))
	f.Add([]byte("\r\n \n{}\n\n\x00"))
	f.Add([]byte(" "))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newStore(t)
		emit(t, s, "t1")
		path := read(t, s, "t1").Path
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := tryRead(s, "t1")
		if err != nil {
			return
		}
		if _, err := s.Emit("t1", "model_call", jcs.Value{}); err != nil {
			if !strings.Contains(err.Error(), "2^53") {
				t.Fatalf("read but not emitted: %v", err)
			}
			return
		}
		if after := read(t, s, "t1"); len(after.Receipts) != len(before.Receipts)+1 || after.TornTail != 0 || after.Torn != before.Torn || after.NumBad != before.NumBad {
			t.Errorf("%d receipts, then %d and %d bytes torn", len(before.Receipts), len(after.Receipts), after.TornTail)
		}
	})
}

// fill makes a trace of n receipts.
func fill(t testing.TB, s *Store, trace string, n int) {
	t.Helper()
	drafts := make([]Draft, min(n, 10_000))
	for i := range drafts {
		drafts[i] = Draft{Type: "model_call", Data: modelCall(t)}
	}
	for left := n; left > 0; left -= len(drafts) {
		if _, err := s.EmitAll(trace, drafts[:min(left, len(drafts))]); err != nil {
			t.Fatal(err)
		}
	}
}

func modelCall(t testing.TB) jcs.Value {
	return parsed(t, `{"provider":"openai","model_id":"m","input_tokens":10,"output_tokens":20,"latency_ms":100,"finish_reason":"stop"}`)
}

// A ratio, because the time is the machine's; in turn, because its moods are.
func TestEmitCostsNoMoreInAFullStore(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a store")
	}
	stores := []*Store{newStore(t), newStore(t)}
	fill(t, stores[1], "t1", 100_000)
	times := make([][]time.Duration, len(stores))
	for range 300 {
		for i, s := range stores {
			began := time.Now()
			emit(t, s, "t1")
			times[i] = append(times[i], time.Since(began))
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	if empty, full := times[0][150], times[1][150]; full > 4*empty {
		t.Errorf("emit takes %v in an empty store and %v after 100,000 receipts", empty, full)
	}
}

func BenchmarkEmit(b *testing.B) {
	for _, n := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("after %d", n), func(b *testing.B) {
			s := newStore(b)
			fill(b, s, "t1", n)
			data := modelCall(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Emit("t1", "model_call", data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAll(b *testing.B) {
	s := newStore(b)
	fill(b, s, "t1", 10_000)
	trace, err := s.Open("t1")
	if err != nil {
		b.Fatal(err)
	}
	defer trace.Close()
	b.SetBytes(trace.Size)
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range trace.All() {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// A pipe takes what is written, and can be neither synced nor cut: both must have been tried.
func TestAReceiptWhoseSyncFailsIsTakenBack(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	err = (&Store{Sync: true}).write(w, 0, []byte("{}\n"))
	if err == nil || !strings.Contains(err.Error(), "sync") || !strings.Contains(err.Error(), "truncate") {
		t.Errorf("%v", err)
	}
	if err := (&Store{}).write(w, 0, []byte("{}\n")); err != nil {
		t.Error(err)
	}
	if err := (&Store{}).write(r, 0, []byte("{}\n")); err == nil || !strings.Contains(err.Error(), "truncate") {
		t.Errorf("what a failed write left is not cut off: %v", err)
	}
}

func TestAYearThatNoTimestampCanHoldIsRefused(t *testing.T) {
	s := newStore(t)
	for year, ok := range map[int]bool{0: false, 1: true, 9999: true, 10000: false} {
		s.Now = func() time.Time { return time.Date(year, 1, 15, 10, 0, 0, 0, time.UTC) }
		if _, err := s.Emit(fmt.Sprintf("year_%d", year), "model_call", jcs.Value{}); (err == nil) != ok {
			t.Errorf("year %d: %v", year, err)
		}
	}
}

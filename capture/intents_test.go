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
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

const emitIntents = "CAPTURE_TEST_INTENTS" // makes the test binary a recorder that is killed; see TestMain

// intender says its intents on stdout as soon as they may leave, and finishes every third.
func intender(s *Store, trace string) error {
	in, err := s.OpenIntents(trace, true)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		p, err := in.Intend(chat)
		if err != nil {
			return err
		}
		fmt.Println(p.ID)
		if n%3 == 0 {
			if err := in.Record(p, "model_call", ""); err != nil {
				return err
			}
		}
	}
}

var chat = Intent{Type: "model_call", Provider: "openai", Route: "openai.chat", EndpointHost: "api.openai.com", StartedAt: noon}

func openIntents(t testing.TB, s *Store, trace string) *Intents {
	t.Helper()
	in, err := s.OpenIntents(trace, true)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func intend(t testing.TB, in *Intents) Pending {
	t.Helper()
	p, err := in.Intend(chat)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unfinished(t testing.TB, s *Store, trace string) int {
	t.Helper()
	n, err := s.Unfinished(trace)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func intentsFile(t testing.TB, s *Store, trace string) string {
	t.Helper()
	paths, err := s.findFile(trace + ".intents")
	if err != nil || len(paths) != 1 {
		t.Fatalf("%v, %v", paths, err)
	}
	return paths[0]
}

// CAP-12.
func TestAnIntentStandsInItsFileBeforeTheRequestMayLeave(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	defer in.Close()
	want := ""
	for n := int64(1); n <= 3; n++ {
		p := intend(t, in)
		want += `{"endpoint_host":"api.openai.com","provider":"openai","receipt_id":"` + p.ID + `","request_number":` + fmt.Sprint(n) +
			`,"route":"openai.chat","started_at":"2026-01-15T12:00:00.123456+00:00","type":"model_call"}` + "\n"
		got, err := os.ReadFile(filepath.Join(s.Dir, "2026-01-15", "t1.intents"))
		if err != nil || string(got) != want || p.Number != n || !isReceiptID(p.ID) {
			t.Errorf("number %d: %q, %v; want %q", p.Number, got, err, want)
		}
	}
	if info, err := os.Stat(intentsFile(t, s, "t1")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// CAP-13.
func TestAnIntentWithoutAReceiptBecomesOneThatSaysUnfinished(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	first, second, third := intend(t, in), intend(t, in), intend(t, in)
	if err := in.Record(second, "model_call", "r_parent", jcs.M("request_number", jcs.Int(2)), jcs.M("source", jcs.Str("proxy"))); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	// Somebody else's receipt of that number stands for nothing.
	if _, err := s.Emit("t1", "model_call", jcs.Obj(jcs.M("request_number", jcs.Int(third.Number)))); err != nil {
		t.Fatal(err)
	}
	if n := unfinished(t, s, "t1"); n != 2 {
		t.Errorf("%d were recorded, want 2", n)
	}
	if n := unfinished(t, s, "t1"); n != 0 {
		t.Errorf("%d were recorded again", n)
	}
	receipts := read(t, s, "t1").Receipts
	if len(receipts) != 4 {
		t.Fatalf("%d receipts", len(receipts))
	}
	for i, want := range []string{
		`{"receipt_id": "` + second.ID + `", "type": "model_call", "timestamp": "2026-01-15T12:00:00.123456+00:00", "schema_version": "3.0", "seq": 0, "parent_receipt_id": "r_parent", "request_number": 2, "source": "proxy", "_trace_id"`,
		``,
		`{"receipt_id": "` + first.ID + `", "type": "model_call", "timestamp": "2026-01-15T12:00:00.123456+00:00", "schema_version": "3.0", "seq": 2, "request_number": 1, "source": "proxy", "provider": "openai", "endpoint_host": "api.openai.com", "route": "openai.chat", "success": false, "error_class": "unfinished", "started_at": "2026-01-15T12:00:00.123456+00:00", "usage_source": "missing", "_trace_id"`,
		`{"receipt_id": "` + third.ID + `"`,
	} {
		if text, err := jcs.AppendPython(nil, receipts[i]); err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("receipt %d is\n%s, %v; want\n%s", i, text, err, want)
		}
	}
}

func TestATraceWithoutIntentsHasNothingUnfinished(t *testing.T) {
	s := newStore(t)
	if n := unfinished(t, s, "t1"); n != 0 {
		t.Errorf("%d", n)
	}
	emit(t, s, "t1")
	if n := unfinished(t, s, "t1"); n != 0 || len(read(t, s, "t1").Receipts) != 1 {
		t.Errorf("%d", n)
	}
	if _, err := s.Unfinished("../t1"); err == nil {
		t.Error("a path is taken for a trace")
	}
	if _, err := s.OpenIntents("../t1", true); err == nil {
		t.Error("a path is taken for a trace")
	}
}

// CAP-14.
func TestOnlyOneRecorderIsAtWorkOnATrace(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	intend(t, in)
	if _, err := s.OpenIntents("t1", true); !errors.Is(err, ErrRecording) {
		t.Errorf("a second recorder: %v", err)
	}
	if _, err := s.Unfinished("t1"); !errors.Is(err, ErrRecording) {
		t.Errorf("what is being recorded is called unfinished: %v", err)
	}
	other := openIntents(t, s, "t2")
	if p := intend(t, other); p.Number != 1 {
		t.Errorf("another trace counts from %d", p.Number)
	}
	if err := errors.Join(other.Close(), in.Close()); err != nil {
		t.Fatal(err)
	}
	if n := unfinished(t, s, "t1"); n != 1 {
		t.Errorf("%d unfinished", n)
	}
}

func TestALaterRecorderCountsOn(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	intend(t, in)
	intend(t, in)
	in.Close()
	s.Now = func() time.Time { return noon.AddDate(0, 0, 2) } // the trace stays where it began
	in = openIntents(t, s, "t1")
	defer in.Close()
	if p := intend(t, in); p.Number != 3 {
		t.Errorf("number %d", p.Number)
	}
	intentsFile(t, s, "t1")
}

func TestIntentsStandBesideTheirTrace(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	s.Now = func() time.Time { return noon.AddDate(0, 0, 2) }
	in := openIntents(t, s, "t1")
	defer in.Close()
	if got, want := intentsFile(t, s, "t1"), filepath.Join(s.Dir, "2026-01-15", "t1.intents"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestIntentsInTwoDaysAreRefused(t *testing.T) {
	s := newStore(t)
	for _, day := range []string{"2026-01-14", "2026-01-15"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, day), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, day, "t1.intents"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.OpenIntents("t1", true); err == nil {
		t.Error("a recorder took one of two")
	}
	if _, err := s.Unfinished("t1"); err == nil {
		t.Error("one of two was read")
	}
}

// A kill may cut the file at any byte: the whole lines are intents, and the next recorder writes behind them.
func TestAFileOfIntentsThatIsCutAnywhereHasItsWholeLines(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	for range 3 {
		intend(t, in)
	}
	in.Close()
	path := intentsFile(t, s, "t1")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(whole[:cut], []byte{'\n'})
		in := openIntents(t, s, "t1")
		if p := intend(t, in); p.Number != int64(lines)+1 {
			t.Fatalf("cut at %d: number %d after %d lines", cut, p.Number, lines)
		}
		in.Close()
		if now, err := os.ReadFile(path); err != nil || bytes.Count(now, []byte{'\n'}) != lines+1 {
			t.Fatalf("cut at %d: %q, %v", cut, now, err)
		}
	}
}

// What is behind a line that nobody wrote like that is of nobody.
func TestALineThatWasChangedEndsTheIntents(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	for range 3 {
		intend(t, in)
	}
	in.Close()
	path := intentsFile(t, s, "t1")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.IndexByte(whole, '\n') + 1
	for name, with := range map[string]func(line string) string{
		"a space":           func(line string) string { return strings.Replace(line, ":", ": ", 1) },
		"another number":    func(line string) string { return strings.Replace(line, `r":2`, `r":3`, 1) },
		"another member":    func(line string) string { return strings.Replace(line, `"type"`, `"type1"`, 1) },
		"no member more":    func(line string) string { return strings.Replace(line, `,"type":"model_call"`, ``, 1) },
		"no receipt id":     func(line string) string { return strings.Replace(line, `"r_`, `"R_`, 1) },
		"another time":      func(line string) string { return strings.Replace(line, `+00:00`, `Z`, 1) },
		"an unadmitted one": func(line string) string { return strings.Replace(line, `model_call`, `modelcall`, 1) },
		"no object":         func(line string) string { return "[]\n" },
		"a line too long":   func(line string) string { return strings.Replace(line, "openai", strings.Repeat("x", maxIntent), 1) },
	} {
		end := second + bytes.IndexByte(whole[second:], '\n') + 1
		line := with(string(whole[second:end]))
		if line == string(whole[second:end]) {
			t.Fatalf("%s: nothing changed", name)
		}
		if err := os.WriteFile(path, []byte(string(whole[:second])+line+string(whole[end:])), 0o600); err != nil {
			t.Fatal(err)
		}
		in := openIntents(t, s, "t1")
		if p := intend(t, in); p.Number != 2 {
			t.Errorf("%s: number %d, want 2", name, p.Number)
		}
		in.Close()
	}
}

func TestManyRequestsAtOnceHaveNumbersWithoutGaps(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	const many = 300
	pending := make([]Pending, many)
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() {
			p, err := in.Intend(chat)
			if err == nil && n%10 > 0 {
				err = in.Record(p, "model_call", "", jcs.M("n", jcs.Int(int64(n))), jcs.M("request_number", jcs.Int(p.Number)))
			}
			if err != nil {
				t.Error(err)
			}
			pending[n] = p
		})
	}
	all.Wait()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	numbers, ids := map[int64]bool{}, map[string]int{}
	for n, p := range pending {
		numbers[p.Number], ids[p.ID] = true, n
	}
	if len(numbers) != many || !numbers[1] || !numbers[many] || len(ids) != many {
		t.Errorf("%d numbers, %d ids of %d requests", len(numbers), len(ids), many)
	}
	if n := unfinished(t, s, "t1"); n != many/10 {
		t.Errorf("%d unfinished, want %d", n, many/10)
	}
	receipts := read(t, s, "t1").Receipts
	if len(receipts) != many {
		t.Fatalf("%d receipts", len(receipts))
	}
	for _, r := range receipts[:many-many/10] {
		id, _ := r.Get("receipt_id")
		if got := number(t, r, "n"); int64(ids[id.Text]) != got || pending[got].Number != number(t, r, "request_number") {
			t.Errorf("receipt %s is of request %d", id.Text, got)
		}
	}
}

func TestOneReceiptThatCannotBeStoredHoldsUpNoOther(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	defer in.Close()
	all := []*recording{{draft: Draft{Type: "model_call"}}, {draft: Draft{Type: "no type"}}, {draft: Draft{Type: "model_call", ID: "r_1"}}, {draft: Draft{Type: "model_call"}}}
	in.record(all)
	if all[0].err != nil || all[1].err == nil || all[2].err == nil || all[3].err != nil || len(read(t, s, "t1").Receipts) != 2 {
		t.Errorf("%v, %v, %v, %v", all[0].err, all[1].err, all[2].err, all[3].err)
	}
}

func TestAClosedRecorderTakesNothing(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	p := intend(t, in)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Intend(chat); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := in.Record(p, "model_call", ""); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

// A pipe takes what is written, and can be neither synced nor cut.
func TestAnIntentThatIsNotOnDiskIsNone(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "t1")
	file := in.file
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	in.file = w
	if p, err := in.Intend(chat); err == nil || p != (Pending{}) {
		t.Errorf("%+v, %v", p, err)
	}
	in.file = file
	if _, err := in.Intend(chat); err == nil {
		t.Error("the recorder goes on with a file of which it does not know what is in it")
	}
	w.Close()
	in.Close()
}

// The device takes every write and cannot be synced.
func TestAnIntentWithoutItsSyncIsOneOnlyWhereNoneWasAskedFor(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, sync := range []bool{true, false} {
		in, err := newStore(t).OpenIntents("t1", sync)
		if err != nil {
			t.Fatal(err)
		}
		file := in.file
		in.file = null
		if p, err := in.Intend(chat); (err == nil) == sync || (p == Pending{}) != sync {
			t.Errorf("sync %v: %+v, %v", sync, p, err)
		}
		in.file = file
		in.Close()
	}
}

func TestAnIntentThatHasNoLineIsNoneAndTakesNoNumber(t *testing.T) {
	in := openIntents(t, newStore(t), "t1")
	defer in.Close()
	bad := chat
	bad.EndpointHost = "\xff"
	if p, err := in.Intend(bad); err == nil || p != (Pending{}) {
		t.Errorf("%+v, %v", p, err)
	}
	if p := intend(t, in); p.Number != 1 {
		t.Errorf("number %d", p.Number)
	}
}

// What cannot be read is not cut off, and has not no intents.
func TestIntentsThatCannotBeReadStayAsTheyAre(t *testing.T) {
	const text = "not a good line\n"
	file := writeOnly(t, text)
	if err := (&Intents{file: file}).goOn(); err == nil {
		t.Error("a recorder goes on behind it")
	}
	if open, err := newStore(t).openIntents("t1", file); err == nil {
		t.Errorf("%d are open", len(open))
	}
	if now, err := os.ReadFile(file.Name()); err != nil || string(now) != text {
		t.Errorf("%q, %v", now, err)
	}
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0) // it can be read and not be cut
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	if err := (&Intents{file: full}).goOn(); err == nil {
		t.Error("a recorder goes on with what it could not cut off")
	}
}

// However many there are, each has its receipt; and where one cannot be written nobody is told that it was.
func TestMoreUnfinishedIntentsThanAreWrittenAtOnceHaveTheirReceipts(t *testing.T) {
	for _, many := range []int{1, maxGroup - 1, maxGroup, maxGroup + 1, 2*maxGroup + 1} {
		s := newStore(t)
		in := openIntents(t, s, "t1")
		var all sync.WaitGroup
		for range many {
			all.Go(func() { intend(t, in) })
		}
		all.Wait()
		in.Close()
		counter := filepath.Join(s.Dir, counterFile)
		if err := os.Mkdir(counter, 0o700); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Unfinished("t1"); err == nil || n != 0 {
			t.Errorf("%d of %d were recorded without a counter, %v", n, many, err)
		}
		if err := os.Remove(counter); err != nil {
			t.Fatal(err)
		}
		if n := unfinished(t, s, "t1"); n != many || len(read(t, s, "t1").Receipts) != many {
			t.Errorf("%d of %d, and %d receipts", n, many, len(read(t, s, "t1").Receipts))
		}
	}
}

// Something else in the place of the intents, or of their trace, is an error, and leaves no file open.
func TestIntentsAreNotReadFromWhatTheyAreNot(t *testing.T) {
	s := newStore(t)
	in := openIntents(t, s, "taken")
	defer in.Close()
	intend(t, in)
	day := filepath.Dir(intentsFile(t, s, "taken"))
	for _, path := range []string{"dir.intents", "trace.jsonl"} {
		if err := os.Mkdir(filepath.Join(day, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(day, "trace.intents"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	descriptors := func() int {
		list, _ := os.ReadDir("/proc/self/fd") // none: not counted here
		return len(list)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a file that nobody refers to is closed at some time
	before := descriptors()
	for range 10 {
		for _, c := range []struct {
			store *Store
			trace string
			is    error
		}{{s, "taken", ErrRecording}, {s, "dir", nil}, {&Store{Dir: file}, "t1", nil}, {&Store{Dir: filepath.Join(file, "below")}, "t1", nil}} {
			if again, err := c.store.OpenIntents(c.trace, true); err == nil || again != nil || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("%s: %v", c.trace, err)
			}
			if n, err := c.store.Unfinished(c.trace); err == nil || n != 0 || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("%s: %d unfinished, %v", c.trace, n, err)
			}
		}
		if n, err := s.Unfinished("trace"); err == nil || n != 0 {
			t.Fatalf("a trace that is a directory: %d unfinished, %v", n, err)
		}
	}
	if after := descriptors(); after > before+5 {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

func TestAKilledRecorderLosesNoIntentThatItHasSaid(t *testing.T) {
	s := &Store{Dir: filepath.Join(t.TempDir(), "home")}
	said := 0
	for range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), emitDir+"="+s.Dir, emitTrace+"=t1", emitIntents+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var ids []string
		for range 50 {
			if !lines.Scan() {
				t.Fatal("it ended by itself")
			}
			ids = append(ids, lines.Text())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			ids = append(ids, lines.Text())
		}
		cmd.Wait()
		if len(ids[len(ids)-1]) != len(ids[0]) { // its last word was cut off
			ids = ids[:len(ids)-1]
		}
		text, err := os.ReadFile(intentsFile(t, s, "t1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if !bytes.Contains(text, []byte(id)) {
				t.Fatalf("intent %s is lost", id)
			}
		}
		said += len(ids)
		unfinished(t, s, "t1")
	}
	got := read(t, s, "t1")
	if len(got.Receipts) < said || len(got.Receipts) > said+3 {
		t.Errorf("%d receipts of %d requests", len(got.Receipts), said)
	}
}

func FuzzParseIntent(f *testing.F) {
	line, err := jcs.AppendPackLine(nil, chat.object(Pending{"r_0123456789abcdef", 7}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(line, '\n'))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		line, ok := parseIntent(text, 7)
		if !ok {
			return
		}
		again, err := jcs.AppendPackLine(nil, line.object)
		if err != nil || string(again)+"\n" != string(text) {
			t.Errorf("%q is read, and written as %q, %v", text, again, err)
		}
		if _, err := line.unfinished().check("t1"); err != nil {
			t.Errorf("%q is read, and its receipt is refused: %v", text, err)
		}
	})
}

type refusing struct{}

func (refusing) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }

func TestIntentsThatCannotBeReadAreNotNone(t *testing.T) {
	var got error
	for _, err := range intentLines(refusing{}) {
		got = err
	}
	if !errors.Is(got, fs.ErrPermission) {
		t.Errorf("%v", got)
	}
	for range intentLines(io.NewSectionReader(strings.NewReader(""), 0, 0)) {
		t.Error("a line of nothing")
	}
}

func BenchmarkIntendAndRecord(b *testing.B) {
	for _, sync := range []bool{true, false} {
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("sync=%v/clients=%d", sync, clients), func(b *testing.B) {
				s := newStore(b)
				in, err := s.OpenIntents("t1", sync)
				if err != nil {
					b.Fatal(err)
				}
				defer in.Close()
				b.SetParallelism(clients / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						p, err := in.Intend(chat)
						if err == nil {
							err = in.Record(p, "model_call", "")
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

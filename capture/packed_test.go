package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// RCP-37
func TestATraceRemembersThePackThatWasMadeOfItLast(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	emit := func() {
		t.Helper()
		if _, err := s.Emit("t1", "model_call", jcs.Value{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, nowhere := range []*Store{s, {Dir: filepath.Join(s.Dir, "missing")}} {
		if _, err := nowhere.Packed("t1"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a trace that is not there: %v", err)
		}
		if paths, err := nowhere.find("t1"); err != nil || paths != nil {
			t.Errorf("a trace that is not there: %q, %v", paths, err)
		}
	}
	if _, err := s.Packed("../t1"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is no trace id: %v", err)
	}
	emit()
	if _, err := s.Packed("t1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not packed: %v", err)
	}
	trace, err := s.Open("t1")
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	size := trace.Size
	emit() // while it is packed
	if err := trace.MarkPacked("pack_1"); err != nil {
		t.Fatal(err)
	}
	if err := trace.MarkPacked("pack_\xff"); err == nil {
		t.Error("a pack was noted whose id is no text")
	}
	want := Packed{"pack_1", size}
	if p, err := s.Packed("t1"); err != nil || p != want {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := trace.Packed(); err != nil || p != want {
		t.Errorf("%+v, %v", p, err)
	}
	if info, err := os.Stat(packedPath(trace.Path)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	// It is no trace, and stops none.
	if _, err := s.Open("t1"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "{}", `{"pack_id":"p"}`, `{"bytes":1,"pack_id":""}`, `{"bytes":-1,"pack_id":"p"}`, `{"bytes":1,"pack_id":"p","x":1}`, "\x00"} {
		if err := os.WriteFile(packedPath(trace.Path), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := s.Packed("t1"); err == nil || errors.Is(err, fs.ErrNotExist) || p.PackID != "" && p.Bytes >= 0 && bad == "" {
			t.Errorf("%q: %+v, %v", bad, p, err)
		}
	}
}

func TestATraceOfAnEarlierDayRemembersItsPackToo(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	day := filepath.Join(s.Dir, "2020-01-01")
	if err := os.Mkdir(day, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"old.jsonl": "", "old.packed": `{"bytes":0,"pack_id":"p"}`} {
		if err := os.WriteFile(filepath.Join(day, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := s.Packed("old"); err != nil || p.PackID != "p" {
		t.Errorf("%+v, %v", p, err)
	}
}

// RCP-38
func TestReceiptsAndKeysAreKeptFromGitAndNobodysFileIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".gitignore")
	for range 2 {
		if err := KeepFromGit(dir); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != ignored {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := KeepFromGit(dir); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
	if err := KeepFromGit(filepath.Join(dir, "missing")); err == nil {
		t.Error("no error where it cannot be written")
	}
}

// What a reader sees at any moment is what a crash may leave.
func TestTheFileThatKeepsReceiptsFromGitIsWholeOrNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".gitignore")
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 300 && err == nil; i++ {
			err = errors.Join(KeepFromGit(filepath.Dir(path)), os.Remove(path))
		}
		done <- err
	}()
	for {
		if text, err := os.ReadFile(path); err == nil && string(text) != ignored {
			t.Fatalf("half of it is there: %q", text)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// Emitting, reading and asking close what they have opened, on every way out: a program that records for days has one store.
func TestTheStoreKeepsNoFileOpen(t *testing.T) {
	descriptors := func() int {
		list, _ := os.ReadDir("/proc/self/fd") // none: not counted here
		return len(list)
	}
	s := newStore(t)
	emit(t, s, "t1")
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a file that nobody refers to is closed at some time
	before := descriptors()
	for i := range 20 {
		emit(t, s, "t1")
		emit(t, s, fmt.Sprint("other", i))
		trace, err := s.Open("t1")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(trace.MarkPacked("pack"), trace.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Packed("t1"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open("nobody"); err == nil {
			t.Fatal("a trace that is not there")
		}
		if _, err := s.highestNumber(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(packedPath(trace.Path), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Packed("t1"); err == nil {
			t.Fatal("a note that is none")
		}
	}
	if after := descriptors(); after > before+5 {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// A line that is none has no number, also where its place would fit the last one.
func TestALineThatIsNoneCountsForNothing(t *testing.T) {
	for near, want := range map[string]int64{
		"x\n{\"seq\":9}\n{\"seq\":2}\n":         9,
		"{\"seq\":0}\n{\"seq\":1}\n{\"seq\":2}": -1, // one count, from there to here
		"{\"seq\":0}\n{\"seq\":9}\n{\"seq\":2}": 9,
		"{\"seq\":1}\nx\n{\"seq\":2}\n\n":       2,
		"{\"seq\":3}\n":                         3,
		"x\ny\n":                                -1,
		"":                                      -1,
	} {
		last := int64(2)
		if near == "{\"seq\":0}\n{\"seq\":1}\n{\"seq\":2}" {
			last = 3 // the first and the number of lines
		}
		if got := (traceEnd{near: []byte(near)}).nearSeq(last); got != want {
			t.Errorf("%q: %d, want %d", near, got, want)
		}
	}
}

// RCP-28: where the last receipt has no number, those near the end count, however large the trace is; only where there is
// none among them is its size taken.
func TestTheNumbersNearTheEndOfALargeTraceCount(t *testing.T) {
	for tail, want := range map[string]int64{"\n{\"seq\":7,\"_store_seq\":9}\n{\"other\":1}\n": 8, "\n{\"other\":0}\n{\"other\":1}\n": 0} {
		file, err := os.Create(filepath.Join(t.TempDir(), "trace"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		const head = "{\"seq\":99}\n"
		_, headErr := file.WriteString(head)
		_, tailErr := file.WriteAt([]byte(tail), maxBack+int64(len(head))) // a hole between them, of one line
		if err := errors.Join(headErr, tailErr); err != nil {
			t.Fatal(err)
		}
		size := maxBack + int64(len(head)+len(tail))
		e := traceEnd{size: size, last: jcs.Obj(jcs.M("other", jcs.Int(1)))}
		if want == 0 {
			want = size + 1
		}
		if seq, _, err := e.next(file); err != nil || seq != want {
			t.Errorf("%q: %d, %v, want %d", tail, seq, err, want)
		}
	}
}

// What is cut off where the end of a trace is looked at begins is no line, whatever it looks like.
func TestAPartOfALineIsNoLine(t *testing.T) {
	const window = 4 << 10
	last := "{\"seq\":1}\n"
	inner := "{\"seq\":90}\n"
	fill := strings.Repeat(" ", window-len(inner)-len(last)-1) + "\n"
	for before, want := range map[string]int64{
		"a line that is none " + inner + fill:  2, // the window begins behind "none "
		"a line that is none\n" + inner + fill: 91,
	} {
		text := before + last
		if want == 91 {
			text = strings.Replace(text, " \n"+last, "\n"+last, 1) // one byte shorter: the whole line is in the window
		}
		path := filepath.Join(t.TempDir(), "trace")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		end, err := lastLine(file)
		if err != nil {
			t.Fatal(err)
		}
		if seq, _, err := end.next(file); err != nil || seq != want {
			t.Errorf("%.30q: %d, %v, want %d", before, seq, err, want)
		}
	}
}

// The longest line that is read is also the longest that is found at the end of a trace.
func TestTheLastLineMayBeAsLongAsALine(t *testing.T) {
	racetest.OneGoroutine(t)
	for longer, good := range map[int]bool{0: true, 2: false} {
		const begin, end = `{"seq": 1, "text": "`, "\"}\n"
		text := `{"seq": 0}` + "\n" + begin + strings.Repeat("x", maxLine+longer-len(begin)-len(end)) + end
		got, err := endOfTrace(strings.NewReader(text), int64(len(text)))
		if err != nil || got.bad == good || (integer(got.last, "seq") == 1) != good {
			t.Errorf("%d bytes more: bad %v, seq %d, %v", longer, got.bad, integer(got.last, "seq"), err)
		}
	}
}

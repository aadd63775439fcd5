package capture

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/durable/durabletest"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func tornStore(t *testing.T, torn string) (s *Store, path string, whole []byte) {
	t.Helper()
	s = newStore(t)
	emit(t, s, "t1")
	path = read(t, s, "t1").Path
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole = append(whole, torn...)
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	return s, path, whole
}

// checkUntouched says that an emit failed and left the trace as it was; mend is what then lets it succeed.
func checkUntouched(t *testing.T, name string, s *Store, path string, whole []byte, err error, mend func()) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: the receipt is said to be stored", name)
	}
	if now, readErr := os.ReadFile(path); readErr != nil || !bytes.Equal(now, whole) {
		t.Errorf("%s: the trace is %q, %v; want %q", name, now, readErr, whole)
	}
	mend()
	receipt := emit(t, s, "t1")
	if trace := read(t, s, "t1"); len(trace.Receipts) != 2 || trace.TornTail != 0 || number(t, receipt, "seq") != 1 {
		t.Errorf("%s: then %d receipts and %d bytes torn", name, len(trace.Receipts), trace.TornTail)
	}
}

// A line that cannot be set aside stays where it is, and nothing is glued to it.
func TestATornLineThatCannotBeSetAsideStopsTheEmit(t *testing.T) {
	if !durabletest.Alone(t) {
		return
	}
	const torn, limit = `{"receipt_id": "r_`, 1 << 20
	for room, name := range map[int64]string{
		0: "no byte fits", 5: "a part of it fits", int64(len(torn)): "all but the newline fits",
	} {
		s, path, whole := tornStore(t, torn)
		aside, err := os.Create(tornPath(path))
		if err != nil {
			t.Fatal(err)
		}
		if err := aside.Truncate(limit - room); err != nil {
			t.Fatal(err)
		}
		aside.Close()
		durabletest.WithFilesUpTo(t, limit, func() { _, err = s.Emit("t1", "model_call", jcs.Value{}) })
		checkUntouched(t, name, s, path, whole, err, func() { os.Remove(tornPath(path)) })
	}
	for name, make := range map[string]func(path string) error{
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":      func(path string) error { return os.Symlink("elsewhere", path) },
		"a FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		s, path, whole := tornStore(t, torn)
		if err := make(tornPath(path)); err != nil {
			t.Fatal(err)
		}
		_, err := s.Emit("t1", "model_call", jcs.Value{})
		checkUntouched(t, name, s, path, whole, err, func() { os.Remove(tornPath(path)) })
	}
}

func TestATornLineThatCannotBeReadIsNotCutOff(t *testing.T) {
	_, path, whole := tornStore(t, "torn")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0) // may be cut, and not read
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := setAside(file, traceEnd{size: int64(len(whole)), torn: 4}); err == nil {
		t.Error("set aside")
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, whole) {
		t.Errorf("the trace is %q, %v", now, err)
	}
}

func TestAReceiptThatDoesNotFitLeavesNothing(t *testing.T) {
	if !durabletest.Alone(t) {
		return
	}
	s, path, whole := tornStore(t, "")
	data := jcs.Obj(jcs.M("text", jcs.Str(strings.Repeat("x", 1000))))
	for _, room := range []int{0, 1, 500} {
		for _, sync := range []bool{false, true} {
			s.Sync = sync
			var err error
			durabletest.WithFilesUpTo(t, int64(len(whole)+room), func() { _, err = s.Emit("t1", "model_call", data) })
			if err == nil {
				t.Fatalf("with room for %d bytes: said to be stored", room)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, whole) {
				t.Errorf("with room for %d bytes the trace is %q, %v", room, now, err)
			}
		}
	}
	emit(t, s, "t1")
	if trace := read(t, s, "t1"); len(trace.Receipts) != 2 || trace.Torn != 0 {
		t.Errorf("then %d receipts, %d torn", len(trace.Receipts), trace.Torn)
	}
}

// Numbers that cannot be counted are not given out.
func TestACounterThatCannotBeWrittenStopsTheEmit(t *testing.T) {
	if !durabletest.Alone(t) {
		return
	}
	s := newStore(t)
	for range 12 {
		emit(t, s, "t1")
	}
	counter := filepath.Join(s.Dir, counterFile)
	if err := os.Truncate(counter, 0); err != nil {
		t.Fatal(err)
	}
	var err error
	durabletest.WithFilesUpTo(t, 0, func() { _, err = s.Emit("t2", "model_call", jcs.Value{}) })
	if err == nil || !strings.Contains(err.Error(), "counter") {
		t.Errorf("an empty counter: %v", err)
	}
	if n := number(t, emit(t, s, "t1"), "_store_seq"); n != 12 {
		t.Errorf("the next number is %d", n)
	}
	for name, make := range map[string]func() error{
		"a directory": func() error { return os.Mkdir(counter, 0o700) },
		"a link":      func() error { return os.Symlink("elsewhere", counter) },
	} {
		if err := os.Remove(counter); err != nil {
			t.Fatal(err)
		}
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Emit("t1", "model_call", jcs.Value{}); err == nil {
			t.Errorf("%s for a counter: said to be stored", name)
		}
	}
	if trace := read(t, s, "t1"); len(trace.Receipts) != 13 {
		t.Errorf("%d receipts", len(trace.Receipts))
	}
}

func TestATraceThatCannotBeOpenedLeavesNoFileOpen(t *testing.T) {
	s, path, _ := tornStore(t, "torn")
	if err := os.Mkdir(tornPath(path), 0o700); err != nil { // what was set aside cannot be counted
		t.Fatal(err)
	}
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(list)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which closes what nobody holds any more
	before := open()
	for range 50 {
		if trace, err := s.Open("t1"); err == nil {
			t.Fatalf("opened %v", trace.Path)
		}
	}
	if after := open(); after > before+5 {
		t.Errorf("%d files are open, %d were", after, before)
	}
}

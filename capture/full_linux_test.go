package capture

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// deepStore is a store whose directory has a path of so many bytes, which may be as long as the system takes: what lies
// below it is there, and cannot be opened.
func deepStore(t *testing.T, length int) (s *Store, root *os.Root) {
	t.Helper()
	path := t.TempDir()
	root, err := os.OpenRoot(path)
	for err == nil && len(path) < length {
		name := strings.Repeat("d", min(200, length-len(path)-1))
		if length-len(path)-1-len(name) == 1 { // no room for a name after it
			name = name[1:]
		}
		above := root
		if err = above.Mkdir(name, 0o700); err == nil {
			root, err = above.OpenRoot(name)
		}
		above.Close()
		path = filepath.Join(path, name)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &Store{Dir: path, Now: func() time.Time { return noon }}, root
}

// A part of the store that is there and cannot be opened is not empty: numbers would be given out again, and a trace would
// begin anew.
func TestAPartOfTheStoreThatCannotBeOpenedIsAnError(t *testing.T) {
	const longest = 4095 // bytes of a path
	day := noon.Format(dayForm)
	for name, c := range map[string]struct {
		length  int
		dir     string // what is there
		good    bool
		highest int64
	}{
		"a day that can be opened":      {longest - len("/"+day+"/t1.jsonl"), day, true, 7},
		"a day that cannot be opened":   {longest - len("/"+day) + 1, day, false, 0},
		"a trace that cannot be opened": {longest - len("/"+day+"/t1.jsonl") + 1, day, false, 0},
		"nothing that is a day":         {longest - 2, "x", true, -1},
	} {
		s, root := deepStore(t, c.length)
		if err := root.Mkdir(c.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := root.WriteFile(c.dir+"/t1.jsonl", []byte(`{"seq": 0, "_store_seq": 7}`+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if highest, err := s.highestNumber(); (err == nil) != c.good || highest != c.highest {
			t.Errorf("%s: the highest number is %d, %v", name, highest, err)
		}
		if paths, err := s.find("t1"); (err == nil) != c.good || (len(paths) == 1) != (c.highest == 7) {
			t.Errorf("%s: found %q, %v", name, paths, err)
		}
		if !c.good {
			if trace, err := s.Open("t1"); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %+v, %v", name, trace, err)
			}
			if p, err := s.Packed("t1"); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: packed %+v, %v", name, p, err)
			}
			if _, err := s.Emit("t1", "model_call", jcs.Value{}); err == nil {
				t.Errorf("%s: emitted", name)
			}
		}
	}
}

// A trace begins when its file, its number and, where that is asked for, its directory are there: whichever cannot be
// opened, nothing is said to be stored, and nothing stays open.
func TestAnEmitThatMayOpenTooFewFilesStoresNothing(t *testing.T) {
	if !durabletest.Alone(t) {
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which closes what nobody holds any more
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(list)
	}
	var whole syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &whole); err != nil {
		t.Fatal(err)
	}
	limit := func(files uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: whole.Max}); err != nil {
			t.Fatal(err)
		}
	}
	defer limit(whole.Cur)
	least := map[bool]int{}
	for _, sync := range []bool{false, true} {
		s := newStore(t)
		s.Sync = sync
		emit(t, s, "other") // the directories are there
		before := open()
		for files := 0; ; files++ {
			limit(uint64(files))
			_, err := s.Emit("t1", "model_call", jcs.Value{})
			limit(whole.Cur)
			if now := open(); now > before {
				t.Fatalf("with %d files: %d are open, %d were", files, now, before)
			}
			if err == nil {
				least[sync] = files
				break
			}
			if trace, err := tryRead(s, "t1"); err == nil && len(trace.Receipts) > 0 {
				t.Fatalf("with %d files: %d receipts are stored", files, len(trace.Receipts))
			}
			if files > 1000 {
				t.Fatal("never stored")
			}
		}
	}
	if least[true] != least[false]+1 {
		t.Errorf("%d files are needed, %d to make the name of a trace durable", least[false], least[true])
	}
}

// The device takes every write and keeps none, has no bytes, and cannot be synced.
func TestANumberThatCannotBeMadeDurableIsNotGivenOut(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if n, err := (&Store{Dir: t.TempDir()}).takeNumbers(null, 5, 1); err != nil || n != 5 {
		t.Errorf("without a sync: %d, %v", n, err)
	}
	if n, err := (&Store{Dir: t.TempDir(), Sync: true}).takeNumbers(null, 5, 1); err == nil {
		t.Errorf("with one: %d", n)
	}
}

// A counter whose old digits stay where they are would be another number. Where none are left over nothing is cut: a crash
// after the cut would take the number away.
func TestACounterIsCutWhereItGetsShorterAndNowhereElse(t *testing.T) {
	for before, want := range map[string]string{"7": "8", "6": "7", "9": "10", "00000000000000000007": "", "08": ""} {
		fd, err := unix.MemfdCreate("counter", unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Skip(err)
		}
		counter := os.NewFile(uintptr(fd), "counter")
		defer counter.Close()
		if _, err := counter.WriteString(before); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK); err != nil { // it can still be written
			t.Skip(err)
		}
		n, err := (&Store{Dir: t.TempDir()}).takeNumbers(counter, 0, 1)
		text, readErr := io.ReadAll(io.NewSectionReader(counter, 0, 100))
		good := err == nil && string(text) == want && strconv.FormatInt(n, 10) == before
		if want == "" {
			good = err != nil && string(text) == before
		}
		if !good || readErr != nil {
			t.Errorf("%q: number %d, %v; then it is %q, %v", before, n, err, text, readErr)
		}
	}
}

// asNobody does something as a user to whom permissions apply.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() == 0 {
		const nobody = 65534
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setfsuid(0)
	}
	do()
}

// Whoever may not look whether a trace began on an earlier day does not let it begin again.
func TestATraceDoesNotBeginAgainInAStoreThatMayNotBeListed(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &Store{Dir: "store", Now: func() time.Time { return noon }}
	day := filepath.Join(s.Dir, noon.Format(dayForm))
	if err := os.MkdirAll(day, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{".", s.Dir, day} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for mode, good := range map[fs.FileMode]bool{0o333: false, 0o777: true} {
		if err := os.Chmod(s.Dir, mode); err != nil {
			t.Fatal(err)
		}
		var file *os.File
		var err error
		asNobody(t, func() { file, err = s.openTrace("t1", noon) })
		if err == nil {
			file.Close()
			err = os.Remove(file.Name())
		} else if _, there := os.Lstat(filepath.Join(day, "t1.jsonl")); there == nil {
			t.Errorf("mode %o: it has begun again", mode)
		}
		if (err == nil) != good {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// A file without its lock is not used. One that is opened for its path alone cannot be locked.
func TestAFileThatCannotBeLockedIsNotOpened(t *testing.T) {
	const oPath = 0x200000 // O_PATH
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, shared := range []bool{false, true} {
		file, err := openLocked(path, oPath, shared)
		var named *fs.PathError
		if file != nil || !errors.As(err, &named) || named.Op != "flock" || named.Path != path {
			t.Errorf("shared %v: %v, %v", shared, file, err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for range 20 {
		_, _ = openLocked(path, oPath, true)
	}
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, _ := os.Readlink(link); to == path {
			t.Errorf("%s is still open", path)
		}
	}
}

// A directory that takes nothing more needs no second .gitignore.
func TestWhatIsKeptFromGitStaysSoOnAFullDisk(t *testing.T) {
	if !durabletest.Alone(t) {
		return
	}
	dir := t.TempDir()
	var fresh, again error
	durabletest.WithFilesUpTo(t, 0, func() { fresh = KeepFromGit(dir) })
	if err := KeepFromGit(dir); fresh == nil || err != nil {
		t.Fatalf("on a full disk %v, then %v", fresh, err)
	}
	durabletest.WithFilesUpTo(t, 0, func() { again = KeepFromGit(dir) })
	if again != nil {
		t.Error(again)
	}
}

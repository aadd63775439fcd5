package durable

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// listing is what lies below dir: slash paths, modes and contents.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&b, "%s %s", filepath.ToSlash(name), info.Mode())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", text)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func expectListing(t *testing.T, dir, want string) {
	t.Helper()
	if got := listing(t, dir); got != want {
		t.Errorf("%s holds:\n%swant:\n%s", dir, got, want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWriteFileReplacesContentAndMode(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	expectListing(t, dir, "f -rw------- \"one\"\n")
	if err := WriteFile(path, []byte("a second"), 0o666); err != nil { // no umask
		t.Fatal(err)
	}
	expectListing(t, dir, "f -rw-rw-rw- \"a second\"\n")
	if err := WriteFile(path, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	expectListing(t, dir, "f -r-------- \"\"\n")
}

func TestAppendFileCutsOffWhatAFailedAppendLeftAndRefusesAShorterFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := AppendFile(path, 0, []byte("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	write(t, path, "one")
	for _, c := range []struct {
		end        int64
		data, want string
	}{{3, "two", "onetwo"}, {3, "t", "onet"}, {4, "", "onet"}, {0, "z", "z"}} {
		if err := AppendFile(path, c.end, []byte(c.data)); err != nil {
			t.Fatal(err)
		}
		expectListing(t, dir, fmt.Sprintf("f -rw------- %q\n", c.want))
	}
	if err := AppendFile(path, 2, []byte("x")); err == nil || !strings.Contains(err.Error(), "has 1 bytes, expected at least 2") {
		t.Errorf("a shorter file: %v", err)
	}
	for _, target := range []string{"f", "nowhere"} {
		link := filepath.Join(dir, "link-"+target)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if _, none := errors.AsType[*NotRegular](AppendFile(link, 0, []byte("x"))); !none {
			t.Errorf("a link to %s is followed", target)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "z" {
		t.Errorf("it holds %q, %v", text, err)
	}
}

// Who logs a failure once, however often it is tried again, compares texts.
func TestTheSameFailureHasTheSameTextEachTime(t *testing.T) {
	top := t.TempDir()
	there := filepath.Join(top, "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"no directory":         func() error { return WriteFile(filepath.Join(top, "gone", "f"), nil, 0o600) },
		"a file for directory": func() error { return WriteFile(filepath.Join(there, "f"), nil, 0o600) },
		"a name that is taken": func() error { return CreateFile(there, nil, 0o600) },
		"a name too long":      func() error { return WriteFile(filepath.Join(top, strings.Repeat("x", 300)), nil, 0o600) },
	} {
		first, second := try(), try()
		if first == nil || second == nil || first.Error() != second.Error() {
			t.Errorf("%s: %v, then %v", name, first, second)
		}
	}
}

func TestWriteFileInTheCurrentDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := WriteFile("f", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CreateFile("g", []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	expectListing(t, dir, "f -rw------- \"x\"\ng -rw------- \"y\"\n")
}

func TestWriteFileRefusesASymlinkAndLeavesWhatItPointsAt(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "victim"), "victim")
	for _, target := range []string{"victim", "nowhere", os.DevNull, "f"} {
		path := filepath.Join(dir, "f")
		if err := os.Symlink(target, path); err != nil {
			t.Skip(err)
		}
		if err := WriteFile(path, []byte("new"), 0o600); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("onto a link to %s: %v", target, err)
		}
		if got, err := os.Readlink(path); err != nil || got != target {
			t.Errorf("the link to %s leads to %q now, %v", target, got, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	expectListing(t, dir, "victim -rw------- \"victim\"\n")
}

func TestWriteFileDoesNotPutAFileWhereADeviceOrASocketWas(t *testing.T) {
	dir, err := os.MkdirTemp("", "d") // short: the name of a socket has at most about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	if err := WriteFile(path, []byte("new"), 0o600); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("onto a socket: %v", err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("the socket is now %v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("something is left behind: %v, %v", entries, err)
	}
}

func TestCreateFileRefusesWhateverIsThere(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "old")
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	before := listing(t, dir)
	for _, name := range []string{"file", "dir", "link"} {
		if err := CreateFile(filepath.Join(dir, name), []byte("new"), 0o600); !errors.Is(err, fs.ErrExist) {
			t.Errorf("CreateFile over a %s: %v", name, err)
		}
	}
	expectListing(t, dir, before)
	if err := CreateFile(filepath.Join(dir, "new"), []byte("new"), 0o640); err != nil {
		t.Fatal(err)
	}
	expectListing(t, dir, before+"new -rw-r----- \"new\"\n")
}

func TestFailedWritesLeaveNothingBehind(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "old")
	if err := os.MkdirAll(filepath.Join(dir, "full", "inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	long := strings.Repeat("n", 300)
	for _, path := range []string{"full", "missing/f", "file/f", long} {
		for name, f := range map[string]func(string, []byte, fs.FileMode) error{"WriteFile": WriteFile, "CreateFile": CreateFile} {
			if err := f(filepath.Join(dir, path), []byte("new"), 0o600); err == nil {
				t.Errorf("%s %.10s succeeds", name, path)
			} else if !strings.Contains(err.Error(), path) {
				t.Errorf("%s %.10s does not name its file: %v", name, path, err)
			}
		}
	}
	expectListing(t, dir, before)
}

func TestOfManyCreateFilesExactlyOneWins(t *testing.T) {
	const writers, rounds = 16, 20
	dir := t.TempDir()
	for round := range rounds {
		path := filepath.Join(dir, fmt.Sprint(round))
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() { errs[i] = CreateFile(path, bytes.Repeat([]byte{byte('a' + i)}, 1000), 0o600) })
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("%d and %d both win", winner, i)
			case err == nil:
				winner = i
			case !errors.Is(err, fs.ErrExist):
				t.Fatal(err)
			}
		}
		if winner < 0 {
			t.Fatal("nobody wins")
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte('a' + winner)}, 1000)) {
			t.Fatalf("the file is not the winner's: %v", err)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != rounds {
		t.Errorf("%d files left, want %d", len(entries), rounds)
	}
}

func TestOfManyCreateDirsExactlyOneWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parent", "dir")
	errs := make([]error, 16)
	var racing sync.WaitGroup
	for i := range errs {
		racing.Go(func() { errs[i] = CreateDir(path, 0o700) })
	}
	racing.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d made it", won, len(errs))
	}
}

func TestReadersSeeOneVersionWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	version := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, 1+i%7*5000) }
	if err := WriteFile(path, version(0), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			got, err := os.ReadFile(path)
			if err != nil || len(got) == 0 || len(got)%5000 != 1 || len(bytes.Trim(got, string(got[:1]))) != 0 {
				t.Errorf("a reader sees %d mixed bytes: %v", len(got), err)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range 100 {
		if err := WriteFile(path, version(i), 0o600); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}

func TestMkdirMakesParentsAndKeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := Mkdir(deep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := Mkdir(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	expectListing(t, dir, "a drwx------\na/b drwx------\na/b/c drwx------\n")
	write(t, filepath.Join(dir, "file"), "")
	for _, path := range []string{"file", "file/sub"} {
		if err := Mkdir(filepath.Join(dir, path), 0o700); err == nil {
			t.Errorf("Mkdir %s succeeds", path)
		}
	}
	t.Chdir(dir)
	for _, path := range []string{".", "", "rel/ative/", "/"} {
		if err := Mkdir(path, 0o700); (err == nil) != (path != "") {
			t.Errorf("Mkdir %q: %v", path, err)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := Mkdir(filepath.Join(dir, "x", "y", "z"), 0o700); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

var (
	packNames = []string{"receipt_pack.jsonl", "pack_manifest.json", "_unsigned/PACK_SUMMARY.md", "_unsigned/empty"}
	packData  = [][]byte{[]byte("{}\n"), []byte("{}"), []byte("# x\n"), nil}
)

const packListing = "_unsigned drwxr-xr-x\n" +
	"_unsigned/PACK_SUMMARY.md -rw-r--r-- \"# x\\n\"\n" +
	"_unsigned/empty -rw-r--r-- \"\"\n" +
	"pack_manifest.json -rw-r--r-- \"{}\"\n" +
	"receipt_pack.jsonl -rw-r--r-- \"{}\\n\"\n"

func TestWriteDirPublishesAllFilesWithTheirModes(t *testing.T) {
	parent := t.TempDir()
	for _, dir := range []string{"pack", "slash/"} {
		if err := WriteDir(filepath.Join(parent, "x", "..")+"/"+dir, packNames, packData, 0o755, 0o644); err != nil {
			t.Fatal(err)
		}
		expectListing(t, filepath.Join(parent, dir), packListing)
	}
	t.Chdir(parent)
	if err := WriteDir("relative", nil, nil, 0o700, 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat("relative"); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if entries, _ := os.ReadDir(parent); len(entries) != 3 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestWriteDirRefusesWhateverIsThere(t *testing.T) {
	parent := t.TempDir()
	write(t, filepath.Join(parent, "file"), "old")
	for _, dir := range []string{"empty", "full/inside"} {
		if err := os.MkdirAll(filepath.Join(parent, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	targets := []string{"file", "empty", "full", "."}
	if os.Symlink("nowhere", filepath.Join(parent, "link")) == nil {
		targets = append(targets, "link")
	}
	before := listing(t, parent)
	for _, target := range targets {
		if err := WriteDir(filepath.Join(parent, target), packNames, packData, 0o755, 0o644); !errors.Is(err, fs.ErrExist) {
			t.Errorf("WriteDir over %s: %v", target, err)
		}
	}
	expectListing(t, parent, before)

	// Both ways of publishing refuse what appears after the first look.
	staged := filepath.Join(parent, "staged")
	for _, rename := range []func(old, new string) error{renameNew, renameChecked} {
		if err := os.Mkdir(staged, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, target := range targets {
			if err := rename(staged, filepath.Join(parent, target)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("renaming over %s: %v", target, err)
			}
		}
		if err := rename(staged, filepath.Join(parent, "renamed")); err != nil {
			t.Error(err)
		}
		if err := os.Remove(filepath.Join(parent, "renamed")); err != nil {
			t.Error(err)
		}
	}
	expectListing(t, parent, before)
}

func TestFailedWriteDirLeavesNothingBehind(t *testing.T) {
	parent := t.TempDir()
	for _, names := range [][]string{
		{"a", "a"}, {"d/a", "d/a"}, {"a", "a/b"}, {"a/b", "a"},
		{"ok", ""}, {"ok", "."}, {"ok", ".."}, {"ok", "../a"}, {"ok", "/a"}, {"ok", "a/"}, {"ok", "a//b"}, {"ok", "a/../b"},
		{"ok", "a/b/c"}, {"ok", `a\b`}, {"ok", "C:a"}, {"ok", "a\x00"}, {"ok", "a\xff"}, {"ok", strings.Repeat("n", 300)},
	} {
		if err := WriteDir(filepath.Join(parent, "pack"), names, make([][]byte, 2), 0o755, 0o644); err == nil {
			t.Errorf("WriteDir with %.20q succeeds", names)
		}
	}
	if err := WriteDir(filepath.Join(parent, "pack"), packNames, packData[1:], 0o755, 0o644); err == nil {
		t.Error("WriteDir with a file too few succeeds")
	}
	if err := WriteDir(filepath.Join(parent, "missing", "pack"), packNames, packData, 0o755, 0o644); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("WriteDir below a missing directory: %v", err)
	}
	if err := WriteDir(filepath.Join(parent, strings.Repeat("n", 300)), packNames, packData, 0o755, 0o644); err == nil {
		t.Error("WriteDir with a long name succeeds")
	}
	expectListing(t, parent, "")
}

func TestAStagedDirectoryIsSeenWholeOrNotAtAll(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "pack")
	s, err := Stage(dir, 0o755, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(s.Path()); err != nil || info.Mode() != fs.ModeDir|0o700 || filepath.Dir(s.Path()) != parent || !strings.HasPrefix(filepath.Base(s.Path()), ".assay_pack_staging_") {
		t.Errorf("staged at %s: %v, %v", s.Path(), info.Mode(), err)
	}
	for _, name := range []string{"", ".", "..", "../x", "/x", "a/b/c", "a/../../x", `a\b`, "c:x", "nul\x00", "a/"} {
		if _, err := s.Create(name); err == nil {
			t.Errorf("%q was created", name)
		}
	}
	write := func(name, text string) {
		f, err := s.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := f.ReadAt(got, 0); err != nil || string(got) != text {
			t.Errorf("read back %q, %v", got, err)
		}
		if err := s.Seal(f); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "first")
	write("a.new", "second")
	write("sub/b", "third")
	write("sub/c", "fourth")
	if _, err := s.Create("a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name twice: %v", err)
	}
	if err := s.Replace("a", "a.new"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("published before its time: %v", err)
	}
	if err := s.Publish(); err != nil {
		t.Fatal(err)
	}
	if err := s.Discard(); err != nil { // of no effect now
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "second", "sub/b": "third", "sub/c": "fourth"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if info, _ := os.Stat(filepath.Join(dir, name)); err != nil || string(text) != want || info.Mode() != 0o644 {
			t.Errorf("%s holds %q, %v", name, text, err)
		}
	}
	for _, name := range []string{"", "sub"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != fs.ModeDir|0o755 {
			t.Errorf("mode %s, %v", info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestAStagedDirectoryThatIsNotPublishedGoes(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "pack")
	s, err := Stage(dir, 0o755, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create("sub/open"); err != nil { // and never sealed
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that came in between: %v", err)
	}
	for range 2 {
		if err := s.Discard(); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 || entries[0].Name() != "pack" {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := Stage(dir, 0o755, 0o644); !errors.Is(err, fs.ErrExist) {
		t.Errorf("where something is: %v", err)
	}
}

func TestOfManyWriteDirsExactlyOneWins(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "pack")
	const writers = 16
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			text := []byte(fmt.Sprint(i))
			errs[i] = WriteDir(dir, []string{"a", "b/c"}, [][]byte{text, text}, 0o755, 0o644)
		})
	}
	wg.Wait()
	winners := 0
	for i, err := range errs {
		if err == nil {
			winners++
			expectListing(t, parent, fmt.Sprintf("pack drwxr-xr-x\npack/a -rw-r--r-- \"%d\"\npack/b drwxr-xr-x\npack/b/c -rw-r--r-- \"%[1]d\"\n", i))
		} else if !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
	}
	if winners != 1 {
		t.Errorf("%d winners", winners)
	}
}

// childEnv makes this test binary write for ever, to be killed or watched from outside.
const childEnv = "DURABLE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(child(dir, os.Getenv(childEnv+"_ONCE") == "1"))
	}
	os.Exit(m.Run())
}

func child(dir string, once bool) int {
	for i := 0; ; i++ {
		text := bytes.Repeat([]byte{byte('a' + i%26)}, 20000)
		for _, err := range []error{
			WriteFile(filepath.Join(dir, "f"), text, 0o600),
			CreateFile(filepath.Join(dir, fmt.Sprint("c", i)), text, 0o600),
			WriteDir(filepath.Join(dir, fmt.Sprint("d", i)), []string{"x", "s/y"}, [][]byte{text, text}, 0o755, 0o644),
		} {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		fmt.Println(i)
		if once {
			return 0
		}
	}
}

func TestAKilledWriterLeavesOnlyWholeFiles(t *testing.T) {
	dir := t.TempDir()
	for round := range 10 {
		sub := filepath.Join(dir, fmt.Sprint(round))
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+sub)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		acknowledged := -1
		for range 1 + round {
			if lines.Scan() {
				acknowledged++
			}
		}
		_ = cmd.Process.Kill() // somewhere in its next rounds
		_ = cmd.Wait()         // it was killed
		if acknowledged != round {
			t.Fatalf("%d rounds acknowledged, want %d", acknowledged, round)
		}
		checkWhole(t, sub, acknowledged)
	}
}

// checkWhole expects every acknowledged file, and every file with a final name whole.
func checkWhole(t *testing.T, dir string, acknowledged int) {
	for i := range acknowledged + 1 {
		for _, name := range []string{"f", fmt.Sprint("c", i), fmt.Sprintf("d%d/x", i), fmt.Sprintf("d%d/s/y", i)} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Error("acknowledged and gone: ", err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".assay_") {
			continue // what a crash may leave
		}
		names := []string{entry.Name()}
		if entry.IsDir() {
			names = []string{entry.Name() + "/x", entry.Name() + "/s/y"}
		}
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || len(text) != 20000 || len(bytes.Trim(text, string(text[:1]))) != 0 {
				t.Errorf("%s is not whole: %d bytes, %v", name, len(text), err)
			}
		}
	}
}

// TestEveryNameIsSyncedAfterItsContent watches the system calls, where strace can.
func TestEveryNameIsSyncedAfterItsContent(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("no strace here")
	}
	dir := t.TempDir()
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-y", "-o", trace, "-e", "trace=fsync,rename,renameat,renameat2,link,linkat", os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_ONCE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("strace does not work here: %v: %s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for line := range strings.Lines(string(text)) {
		for _, call := range []string{"fsync", "rename", "link"} {
			if _, rest, ok := strings.Cut(line, " "+call); ok && !strings.Contains(line, "resumed>") {
				what := "file"
				switch {
				case call != "fsync":
					what = ""
				case strings.Contains(rest, "<"+dir+">"):
					what = "parent"
				case strings.Contains(rest, "/x>"), strings.Contains(rest, "/y>"), strings.Contains(rest, ".assay_tmp_"):
				default:
					what = "directory"
				}
				calls = append(calls, strings.TrimSpace(call+" "+what))
			}
		}
	}
	want := []string{
		"fsync file", "rename", "fsync parent", // WriteFile
		"fsync file", "link", "fsync parent", // CreateFile
		"fsync file", "fsync file", "fsync directory", "fsync directory", "rename", "fsync parent", // WriteDir
	}
	if fmt.Sprint(calls) != fmt.Sprint(want) {
		t.Errorf("system calls:\ngot  %q\nwant %q\n%s", calls, want, text)
	}
}

func BenchmarkWriteFile(b *testing.B) {
	path := filepath.Join(b.TempDir(), "f")
	data := bytes.Repeat([]byte("x"), 4096)
	for b.Loop() {
		if err := WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

package index

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/racetest"
)

// fill appends entries up to size, as a follower does that finds the index shrunk.
func fill(t testing.TB, x *Index, size int64) {
	t.Helper()
	for {
		have, err := x.Size(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if have == size {
			return
		}
		err = x.Append(context.Background(), have, entries(have, min(size, have+1024)))
		if err != nil && !errors.Is(err, ErrOutOfOrder) {
			t.Fatal(err)
		}
	}
}

func runFiles(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "run-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func flip(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{b[0] ^ 0x10}, at); err != nil {
		t.Fatal(err)
	}
}

// expectRight asks x for everything: each answer is right, or is ErrIncomplete.
// It returns how many were incomplete.
func expectRight(t testing.TB, x *Index, size int64) (incomplete int) {
	t.Helper()
	ctx := context.Background()
	wrong := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: wrong, %v", what, err)
		}
		incomplete++
	}
	for i := range size + 3 {
		e := entryOf(i).Entry
		if at, ok, err := x.Find(ctx, e.ManifestSHA256); err != nil || ok != (i < size) || ok && at != i {
			wrong(fmt.Sprint("manifest ", i, ": ", at, ok), err)
		}
		var want []int64
		for _, j := range []int64{i &^ 1, i | 1} {
			if j < size {
				want = append(want, j)
			}
		}
		if got, err := x.FindPackRoot(ctx, e.PackRootSHA256); err != nil || !slices.Equal(got, want) {
			wrong(fmt.Sprint("pack root of ", i, ": ", got), err)
		}
	}
	for _, q := range []Query{{SourceRepo: "a/a", ClaimCheck: "FAIL"}, {Since: epoch, Before: size / 2}, {ClaimCheck: "PASS", Limit: 100}} {
		if got, err := x.Search(ctx, q); err != nil || !slices.Equal(got, search(size, q)) {
			wrong(fmt.Sprintf("%+v: %v", q, got), err)
		}
	}
	return incomplete
}

// regions of a run, each with the offset of a byte of every kind in it.
func regions(r *run) map[string][]int64 {
	found := map[string][]int64{
		"header": {0, 30, 60, 100, 150, 400, contentSize - 1, contentSize, blockSize - 1}, // text, padding, checksum
		"times":  nil,
	}
	add := func(name string, first, blocks int64) {
		for _, block := range []int64{first, first + blocks - 1} {
			for _, at := range []int64{0, keySize + 7, contentSize - 1, blockSize - 1} {
				found[name] = append(found[name], block*blockSize+at)
			}
		}
	}
	n := r.end - r.start
	add("times", 1, blocksFor(n, timesInBlock))
	for i, name := range []string{"manifests", "pack roots", "signers", "repositories", "claims"} {
		add(name, r.header.columnAt(i), blocksFor(n, recordsInBlock))
	}
	return found
}

// Every region of every file: a flipped byte changes no answer, Check finds it, and after
// the entries have come again all is as it was. Flipped while the index is closed, and while
// it is open.
// STO-29
func TestAFlippedByteChangesNoAnswerAndIsFoundAndMended(t *testing.T) {
	racetest.OneGoroutine(t)
	const size = 400
	dir := filepath.Join(t.TempDir(), "index")
	x := open(t, dir)
	for _, end := range []int64{250, 350, size} {
		fill(t, x, end)
		if err := x.merge(); err != nil {
			t.Fatal(err)
		}
	}
	if n := expectRight(t, x, size); n != 0 || len(x.runs) != 3 {
		t.Fatalf("%d incomplete answers of a sound index of %d runs", n, len(x.runs))
	}
	type place struct {
		file, region string
		at           int64
	}
	var places []place
	for _, r := range x.runs {
		for region, offsets := range regions(r) {
			for _, at := range offsets {
				places = append(places, place{r.name, region, at})
			}
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		rand.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
		places = places[:50]
	}
	always := func(context.Context) error { return nil }
	for i, p := range places {
		for _, running := range []bool{false, true} {
			what := fmt.Sprintf("%s, %s, byte %d, running %v", p.file, p.region, p.at, running)
			copied := filepath.Join(t.TempDir(), fmt.Sprint(i, running))
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			if !running {
				flip(t, filepath.Join(copied, p.file), p.at)
			}
			x, err := Open(copied, origin)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			x.Expect(size)
			if running {
				flip(t, filepath.Join(copied, p.file), p.at)
			}
			expectRight(t, x, size)
			if err := x.Check(t.Context(), always); err != nil && !errors.Is(err, ErrIncomplete) {
				t.Errorf("%s: %v", what, err)
			}
			if got, _ := x.Size(t.Context()); got == size || x.Lost() == nil {
				t.Errorf("%s: not found, %d entries, %v", what, got, x.Lost())
			}
			fill(t, x, size)
			if n := expectRight(t, x, size); n != 0 {
				t.Errorf("%s: %d answers are incomplete after it was mended", what, n)
			}
			if i%10 != 0 {
				x.rows = nil // Close has nothing to write
				x.Close()
				continue
			}
			if err := x.Close(); err != nil {
				t.Error(what, err)
			}
			if x, err = Open(copied, origin); err != nil {
				t.Fatal(err)
			}
			if err := x.Check(t.Context(), always); err != nil || x.size() != size {
				t.Errorf("%s: mended and opened again: %d entries, %v", what, x.size(), err)
			}
			x.Close()
		}
	}
}

// A run that is cut short, longer, empty, gone, in another's place or no file at all.
// STO-29
func TestAFileThatIsNotTheOneThatWasWrittenIsLeftOut(t *testing.T) {
	racetest.OneGoroutine(t)
	const size = 400
	dir := filepath.Join(t.TempDir(), "index")
	x := open(t, dir)
	for _, end := range []int64{250, 350, size} {
		fill(t, x, end)
		if err := x.merge(); err != nil {
			t.Fatal(err)
		}
	}
	x.Close()
	for name, change := range map[string]func(path string, other string) error{
		"cut by a block":  func(path, _ string) error { return os.Truncate(path, fileSize(path)-blockSize) },
		"cut by a byte":   func(path, _ string) error { return os.Truncate(path, fileSize(path)-1) },
		"longer":          func(path, _ string) error { return os.Truncate(path, fileSize(path)+1) },
		"empty":           func(path, _ string) error { return os.Truncate(path, 0) },
		"gone":            func(path, _ string) error { return os.Remove(path) },
		"another file's":  func(path, other string) error { return errors.Join(os.Remove(path), os.Rename(other, path)) },
		"a directory":     func(path, _ string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"a symbolic link": func(path, other string) error { return errors.Join(os.Remove(path), os.Symlink(other, path)) },
	} {
		for i := range 3 {
			copied := filepath.Join(t.TempDir(), fmt.Sprint(i))
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			files := runFiles(t, copied)
			if err := change(files[i], files[(i+1)%3]); err != nil {
				t.Fatal(err)
			}
			x, err := Open(copied, origin)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			x.Expect(size)
			if expectRight(t, x, size) == 0 {
				t.Errorf("%s, run %d: nothing is missing", name, i)
			}
			fill(t, x, size)
			if n := expectRight(t, x, size); n != 0 {
				t.Errorf("%s, run %d: %d answers incomplete", name, i, n)
			}
			if err := x.Close(); err != nil {
				t.Error(name, err)
			}
		}
	}
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}

// What a crash leaves: a merged run beside those it was made of, and an unfinished file.
func TestWhatACrashLeavesIsSweptByTheNextMerge(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	x := open(t, dir)
	for _, end := range []int64{250, 350} {
		fill(t, x, end)
		if err := x.merge(); err != nil {
			t.Fatal(err)
		}
	}
	parts := runFiles(t, dir)
	saved := t.TempDir()
	if err := os.CopyFS(saved, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	fill(t, x, 500)
	if err := x.merge(); err != nil {
		t.Fatal(err)
	}
	if got := runFiles(t, dir); len(got) != 1 {
		t.Fatalf("one run was expected: %v", got)
	}
	x.Close()
	for _, p := range parts {
		if err := os.Rename(filepath.Join(saved, filepath.Base(p)), p); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"new-123", "mine"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half a file"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x = open(t, dir)
	if n := expectRight(t, x, 500); n != 0 || len(x.runs) != 1 {
		t.Errorf("%d runs, %d incomplete answers", len(x.runs), n)
	}
	fill(t, x, 501)
	if err := x.merge(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range left {
		names = append(names, f.Name())
	}
	if got := strings.Join(names, " "); got != "mine run-0000000000000-0000000000500 run-0000000000500-0000000000501" {
		t.Errorf("left: %s", got)
	}
}

// Until all entries are there a miss is no answer, whatever was lost.
// STO-30
func TestAMissInAnIncompleteIndexIsNoAnswer(t *testing.T) {
	ctx := t.Context()
	x := open(t, filepath.Join(t.TempDir(), "index"))
	x.Expect(10)
	fill(t, x, 9)
	if _, _, err := x.Find(ctx, entryOf(9).Entry.ManifestSHA256); !errors.Is(err, ErrIncomplete) {
		t.Errorf("manifest: %v", err)
	}
	if at, ok, err := x.Find(ctx, entryOf(3).Entry.ManifestSHA256); at != 3 || !ok || err != nil {
		t.Errorf("a hit: %d, %v, %v", at, ok, err)
	}
	if _, err := x.FindPackRoot(ctx, entryOf(2).Entry.PackRootSHA256); !errors.Is(err, ErrIncomplete) {
		t.Errorf("pack root: %v", err) // there may be another
	}
	if _, err := x.Search(ctx, Query{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("search: %v", err)
	}
	x.Expect(5) // lowers nothing
	fill(t, x, 10)
	if n := expectRight(t, x, 10); n != 0 {
		t.Errorf("%d incomplete answers", n)
	}
	x.Reset(0, errors.New("another log's"))
	if size, _ := x.Size(ctx); size != 0 || x.Lost() == nil {
		t.Errorf("after a reset: %d, %v", size, x.Lost())
	}
	fill(t, x, 4)
	if n := expectRight(t, x, 4); n != 0 {
		t.Errorf("after a reset: %d incomplete answers", n)
	}
}

// What was there at the start counts as expected, whether or not somebody said so.
func TestWhatWasLostIsExpectedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	x := open(t, dir)
	fill(t, x, 100)
	x.Close()
	x = open(t, dir)
	flip(t, runFiles(t, dir)[0], x.runs[0].header.columnAt(byClaim)*blockSize)
	if err := x.Check(t.Context(), func(context.Context) error { return nil }); !errors.Is(err, ErrIncomplete) {
		t.Errorf("check: %v", err)
	}
	if _, _, err := x.Find(t.Context(), entryOf(100).Entry.ManifestSHA256); !errors.Is(err, ErrIncomplete) || x.Complete() == nil {
		t.Errorf("a miss: %v, complete: %v", err, x.Complete())
	}
}

// A file of another index of the same log has its keys under another seed: it would find nothing.
// Reset changes the seed under which keys are made. Entries that come at that moment are found under
// the new one, or are still expected.
func TestAnIndexThatIsResetDuringAnAppendDeniesNothing(t *testing.T) {
	const size = 1500
	list := entries(0, size)
	for range 10 {
		x := open(t, filepath.Join(t.TempDir(), "index"))
		var wg sync.WaitGroup
		started := make(chan struct{})
		wg.Go(func() {
			close(started)
			if err := x.Append(t.Context(), 0, list); err != nil {
				t.Error(err)
			}
		})
		<-started
		for range 3 {
			x.Reset(size, errors.New("of another past"))
		}
		wg.Wait()
		denied := 0
		for _, l := range list {
			if _, ok, err := x.Find(t.Context(), l.Entry.ManifestSHA256); !ok && !errors.Is(err, ErrIncomplete) {
				denied++
			}
		}
		if denied > 0 {
			t.Errorf("%d of %d entries are denied", denied, size)
		}
	}
}

// A run that took the place of the one that is being checked, and is shorter, is read from its beginning.
func TestACheckFindsNothingWrongWithAnIndexThatShrinksMeanwhile(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	fill(t, x, 3000)
	if err := x.merge(); err != nil {
		t.Fatal(err)
	}
	reason := errors.New("of another past")
	steps := 0
	err := x.Check(t.Context(), func(context.Context) error {
		if steps++; steps != 3 { // it has read 128 blocks
			return nil
		}
		x.Reset(10, reason)
		fill(t, x, 10)
		return x.merge()
	})
	if err != nil || x.Lost() != reason || x.Complete() != nil || steps < 4 {
		t.Errorf("after %d steps: %v; lost: %v; %v", steps, err, x.Lost(), x.Complete())
	}
	expectRight(t, x, 10)
}

func TestFilesOfTwoIndexesAreNotMixed(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "index"), filepath.Join(t.TempDir(), "index")
	for _, dir := range []string{one, two} {
		x := open(t, dir)
		for _, size := range []int64{100, 130} {
			fill(t, x, size)
			if err := x.merge(); err != nil {
				t.Fatal(err)
			}
		}
		x.Close()
	}
	from, to := runFiles(t, two), runFiles(t, one)
	if len(from) != 2 || len(to) != 2 {
		t.Fatal(from, to)
	}
	if err := os.Rename(from[1], to[1]); err != nil {
		t.Fatal(err)
	}
	x := open(t, one)
	if x.size() != 100 {
		t.Errorf("it has %d entries", x.size())
	}
	x.Expect(130)
	fill(t, x, 130)
	if n := expectRight(t, x, 130); n != 0 {
		t.Errorf("%d incomplete answers", n)
	}
	before := x.seed
	if x.Reset(0, errors.New("a test")); x.seed == before {
		t.Error("the next index would go on with the files of this one")
	}
}

func TestAHeaderIsReadAsItIsWritten(t *testing.T) {
	good := header{origin: origin, start: 3, end: 4096, newest: -5}
	pad := func(text string) []byte { return append([]byte(text), make([]byte, contentSize-len(text))...) }
	text := string(good.marshal())
	if h, ok := parseHeader(pad(text)); !ok || h != good {
		t.Fatalf("%+v, %v", h, ok)
	}
	for _, bad := range []string{
		text + "x", text + "\n", strings.Replace(text, "entries 3", "entries 03", 1), strings.Replace(text, "entries 3 ", "entries 3  ", 1),
		strings.Replace(text, "4096", "3", 1), strings.Replace(text, "4096", "2", 1), strings.Replace(text, "entries 3", "entries -3", 1),
		strings.Replace(text, "run 1", "run 2", 1), strings.Replace(text, "4096", "9999999999999", 1), strings.Replace(text, "newest -5", "newest 5 ", 1),
		strings.Replace(text, "seed 00", "seed 0", 1), strings.Replace(text, "seed 00", "seed AA", 1), "",
	} {
		if h, ok := parseHeader(pad(bad)); ok {
			t.Errorf("%q is %+v", bad, h)
		}
	}
}

// Merges, searches, checks and damage at one time; the race detector looks on.
func TestAnIndexGrowsThroughMergesAndDamageAndForgetsNothing(t *testing.T) {
	size := int64(40000)
	if testing.Short() {
		size = 12000
	}
	dir := filepath.Join(t.TempDir(), "index")
	x := open(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var around sync.WaitGroup
	around.Go(func() {
		for ctx.Err() == nil {
			_ = x.Check(ctx, func(ctx context.Context) error { return ctx.Err() })
			if _, err := x.Search(ctx, Query{SourceRepo: "a/a", ClaimCheck: "FAIL"}); err != nil && !errors.Is(err, ErrIncomplete) && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for step := range 8 {
		fill(t, x, size*int64(step+1)/8)
		if step == 3 || step == 6 {
			x.wait()
			files := runFiles(t, dir)
			flip(t, files[0], fileSize(files[0])/2)
		}
		for range 50 {
			i := rand.Int64N(size)
			at, ok, err := x.Find(ctx, entryOf(i).Entry.ManifestSHA256)
			if err == nil && ok != (i < size*int64(step+1)/8) || ok && at != i || err != nil && !errors.Is(err, ErrIncomplete) {
				t.Fatalf("manifest %d: %d, %v, %v", i, at, ok, err)
			}
		}
	}
	cancel()
	around.Wait()
	always := func(context.Context) error { return nil }
	for x.Check(t.Context(), always) != nil {
		fill(t, x, size)
	}
	fill(t, x, size)
	x.wait()
	if len(x.runs) > 5 {
		t.Errorf("%d runs", len(x.runs))
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x = open(t, dir)
	for i := int64(0); i < size; i += 37 {
		if at, ok, err := x.Find(t.Context(), entryOf(i).Entry.ManifestSHA256); at != i || !ok || err != nil {
			t.Fatalf("manifest %d: %d, %v, %v", i, at, ok, err)
		}
	}
}

// Whoever cannot write the index must not grow without bound, and goes on when it can.
func TestAnIndexThatCannotBeWrittenSaysSo(t *testing.T) {
	racetest.OneGoroutine(t)
	dir := filepath.Join(t.TempDir(), "index")
	x := open(t, dir)
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // in the way of the directory
		t.Fatal(err)
	}
	size, err := int64(0), error(nil)
	for err == nil && size <= maxRows {
		if err = x.Append(t.Context(), size, entries(size, size+1024)); err == nil {
			size += 1024
		}
	}
	if err == nil || size < maxRows || size > maxRows+1024 {
		t.Fatalf("%d entries were taken, %v", size, err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	fillSlowly(t, x, size+10)
	if at, ok, err := x.Find(t.Context(), entryOf(size+9).Entry.ManifestSHA256); at != size+9 || !ok || err != nil {
		t.Errorf("%d, %v, %v", at, ok, err)
	}
}

// fillSlowly tries again after an error, as the follower does.
func fillSlowly(t testing.TB, x *Index, size int64) {
	t.Helper()
	for try := 0; x.size() < size; try++ {
		if err := x.Append(t.Context(), x.size(), entries(x.size(), size)); err != nil && try == 10 {
			t.Fatal(err)
		}
	}
}

func FuzzHeader(f *testing.F) {
	h := header{origin: origin, start: 0, end: 4096, newest: -5}
	f.Add(append(h.marshal(), make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, content []byte) {
		if h, ok := parseHeader(content); ok && (!strings.HasPrefix(string(content), string(h.marshal())) || h.blocks() <= 0) {
			t.Errorf("%q is %+v", content, h)
		}
	})
}

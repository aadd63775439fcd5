package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack/entry"
)

// alteredAppender is an appender whose outcomes are altered after the leaf was added.
type alteredAppender struct {
	appender
	outcome func(index int64, err error) (int64, error)
}

func (a *alteredAppender) add(leaf []byte) (int64, error) { return a.outcome(a.appender.add(leaf)) }

const appenderEnv = "LEDGER_TEST_APPENDER"

// TestAppenderChild is the child process of the tests below.
func TestAppenderChild(t *testing.T) {
	if os.Getenv(appenderEnv) == "" {
		t.Skip("only as a child")
	}
	if err := ServeAppender(os.Stdin, os.Stdout, slog.New(slog.NewJSONHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// children makes appender children of the test program, and can kill the latest.
type children struct {
	mu   sync.Mutex
	list []*exec.Cmd
	env  []string
}

func (c *children) command() *exec.Cmd {
	c.mu.Lock()
	defer c.mu.Unlock()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAppenderChild$")
	cmd.Env = append(append(os.Environ(), appenderEnv+"=1"), c.env...)
	c.list = append(c.list, cmd)
	return cmd
}

func (c *children) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

func (c *children) first() *exec.Cmd {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list[0]
}

// kill kills the latest child that was started; Process is set once add has answered.
func (c *children) kill(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	must(t, c.list[len(c.list)-1].Process.Kill())
}

func inChild(c *children) func(*Config) { return func(cfg *Config) { cfg.Appender = c.command } }

// eachAppender runs a test on both implementations.
func eachAppender(t *testing.T, test func(t *testing.T, change func(*Config))) {
	t.Run("in this process", func(t *testing.T) { test(t, func(*Config) {}) })
	t.Run("in a child process", func(t *testing.T) { test(t, inChild(&children{})) })
}

func (w *world) newAppender() appender {
	w.t.Helper()
	cfg, err := w.cfg.withDefaults()
	must(w.t, err)
	return newAppender(&cfg)
}

func TestAnAppenderPutsEachLeafAtTheIndexThatItAnswers(t *testing.T) {
	eachAppender(t, func(t *testing.T, change func(*Config)) {
		w := newWorld(t, 0, 0, change)
		const leaves = 700 // more than two bundles
		at := make([]int64, leaves)
		a := w.newAppender()
		var wg sync.WaitGroup
		for i := range leaves {
			wg.Go(func() {
				var err error
				if at[i], err = a.add(fmt.Appendf(nil, "leaf %d", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s, err := openStore(w.cfg.Dir)
		must(t, err)
		defer s.close()
		now, err := s.treeState() // durable when add returned, not only when the appender ends
		must(t, err)
		if err := a.trouble(); err != nil || now.Size != leaves {
			t.Fatalf("size %d, want %d; trouble: %v", now.Size, leaves, err)
		}
		for i, index := range at {
			got, err := s.leaves(now.Size, index, index+1)
			if err != nil || string(got[0]) != fmt.Sprint("leaf ", i) {
				t.Fatalf("index %d holds %q, %v; want leaf %d", index, got, err, i)
			}
		}
		a.close()

		a = w.newAppender() // and goes on where the last one ended
		defer a.close()
		if index, err := a.add(bytes.Repeat([]byte{0xff}, maxLeaf)); err != nil || index != leaves {
			t.Errorf("the largest leaf is at %d, %v; want %d", index, err, leaves)
		}
	})
}

func TestAnAppenderWhoseStorageCannotBeOpenedSaysSoAndComesBack(t *testing.T) {
	eachAppender(t, func(t *testing.T, change func(*Config)) {
		w := newWorld(t, 0, 0, change)
		// Root may write everywhere, but opens no directory for writing: Tessera panics.
		lock := w.path(".state/treeState.lock")
		must(t, os.Remove(lock))
		must(t, os.Mkdir(lock, 0o700))
		a := w.newAppender()
		defer a.close()
		eventually(t, "it says so", func() bool { return a.trouble() != nil })
		if _, err := a.add([]byte("leaf")); !errors.Is(err, errUntouched) || !strings.Contains(err.Error(), "treeState.lock") {
			t.Errorf("add: %v", err)
		}
		must(t, os.Remove(lock))
		eventually(t, "it comes back", func() bool { return a.trouble() == nil })
		if index, err := a.add([]byte("leaf")); err != nil || index != 0 {
			t.Errorf("index %d, %v", index, err)
		}
	})
}

// Tessera's panic in the middle of its life, which ends the process that it is in.
// STO-34
func TestAPanicOfTesseraEndsTheChildOnly(t *testing.T) {
	c := &children{}
	w := newWorld(t, 1, 1, inChild(c))
	l := w.open()
	w.add(0)
	lock := w.path(".state/treeState.lock")
	must(t, os.Remove(lock))
	must(t, os.Mkdir(lock, 0o700))
	_, err := l.Add(t.Context(), manifestOf(t, 1), entry.Source{})
	if !errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), "panic: ") || !strings.Contains(err.Error(), "treeState.lock") {
		t.Errorf("add: %v", err)
	}
	if c.first().ProcessState == nil { // or it could write what was just called unknown
		t.Error("the submitter heard of it before the child was gone")
	}
	eventually(t, "health says why", func() bool {
		err := l.Health(t.Context())
		return errors.Is(err, ErrStorage) && strings.Contains(err.Error(), "treeState.lock")
	})
	if _, err := l.Prove(t.Context(), 0); err != nil { // reads go on
		t.Error(err)
	}
	if a := w.add(0); a.New {
		t.Error("manifest 0 is new")
	}
	must(t, os.Remove(lock))
	eventually(t, "health is well again", func() bool { return l.Health(t.Context()) == nil })
	if a := w.add(1); !a.New || a.Entry.Index != 1 {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
}

// Whatever the moment, an entry that was acknowledged stays where it is, and one that was not is
// logged at most once.
// STO-34
func TestAKilledAppenderIsStartedAgainAndLogsNothingTwice(t *testing.T) {
	c := &children{}
	w := newWorld(t, 1, 1, inChild(c))
	l := w.open()
	w.add(0)
	const kills, each = 5, 60
	promised := map[int]int64{0: 0}
	for kill := range kills {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := 1 + kill*each; i <= (kill+1)*each; i++ {
			wg.Go(func() {
				a, err := l.Add(t.Context(), manifestOf(t, i), entry.Source{})
				if err != nil && !errors.Is(err, ErrStorage) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					promised[i] = a.Entry.Index
					mu.Unlock()
				}
			})
		}
		eventually(t, "entries are under way", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.writing > 0 })
		<-time.After(time.Duration(kill) * time.Millisecond) // another moment each time
		before := c.count()
		c.kill(t)
		wg.Wait()
		eventually(t, "another child runs", func() bool { return c.count() > before && l.Health(t.Context()) == nil })
	}
	w.addAll(0, 1+kills*each)
	for i, at := range promised {
		if now, ok, err := w.index.Find(t.Context(), digestOf(t, i)); err != nil || !ok || now != at {
			t.Errorf("manifest %d was promised at %d, is at %d, %v, %v", i, at, now, ok, err)
		}
	}
	found := w.indexesOf()
	for digest, at := range found {
		if len(at) != 1 {
			t.Errorf("manifest %s is at %v", digest, at)
		}
	}
	if len(found) != 1+kills*each {
		t.Errorf("%d manifests, want %d", len(found), 1+kills*each)
	}
}

func TestAChildHoldsItsLockAsLongAsItLives(t *testing.T) {
	w := newWorld(t, 0, 0, inChild(&children{}))
	a := w.newAppender()
	if _, err := a.add([]byte("leaf")); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(w.path(appenderLock), flock.SetFlag(os.O_RDONLY))
	if locked, err := lock.TryLock(); locked || err != nil {
		t.Errorf("locked %v, %v", locked, err)
	}
	a.close()
	if locked, err := lock.TryLock(); !locked || err != nil {
		t.Errorf("after the end: locked %v, %v", locked, err)
	}
	// The next child waits for whoever holds it, and ends while it waits if it must.
	b := w.newAppender()
	ended := make(chan struct{})
	go func() { b.close(); close(ended) }()
	eventually(t, "a child that waits ends with its appender", func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	must(t, lock.Unlock())
}

// Who comes between two children waits for the next one.
func TestADeathOfAChildThatWorkedRefusesNothing(t *testing.T) {
	c := &children{}
	w := newWorld(t, 0, 0, inChild(c))
	a := w.newAppender()
	defer a.close()
	if _, err := a.add([]byte("leaf")); err != nil {
		t.Fatal(err)
	}
	c.kill(t)
	eventually(t, "another child adds", func() bool {
		_, err := a.add([]byte("leaf"))
		if errors.Is(err, errUntouched) {
			t.Fatalf("refused: %v", err)
		}
		return err == nil && c.count() == 2
	})
}

func TestACloseEndsTheChild(t *testing.T) {
	c := &children{}
	w := newWorld(t, 0, 0, inChild(c))
	w.open()
	w.add(0)
	w.close()
	if state := c.first().ProcessState; c.count() != 1 || state == nil || !state.Success() {
		t.Errorf("%d children, the first ended with %v", c.count(), state)
	}
	must(t, awaitNoAppender(t.Context(), w.cfg.Dir))
}

// STO-35
func TestALogWaitsForTheAppenderOfAKilledProcess(t *testing.T) {
	c := &children{}
	w := newWorld(t, 0, 0, inChild(c))
	w.open()
	w.add(0)
	w.close()
	unlock, err := lockAppender(w.cfg.Dir) // as an orphan would that finishes its batch
	must(t, err)
	x, err := index.Open(filepath.Join(w.dir, "another index"), testOrigin)
	must(t, err)
	defer x.Close()
	cfg := w.cfg
	cfg.Index = x
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, cfg); err == nil || !strings.Contains(err.Error(), "another process still writes") {
		t.Errorf("while it lives: %v", err)
	}
	unlock()
	w.open()
	w.add(1)
}

func TestWhatAnAppenderMayNotSayIsNoAnswer(t *testing.T) {
	for _, a := range []answered{{index: 0}, {index: 1<<63 - 1}, {err: errors.New("disk on fire")}, {err: errors.New(strings.Repeat("x", maxFrame))}} {
		frame := a.marshal()
		got, err := parseAnswered(frame)
		if err != nil || got.index != a.index || (got.err == nil) != (a.err == nil) || len(frame) > maxFrame {
			t.Errorf("%v, %v of %d bytes", got, err, len(frame))
		}
	}
	for _, frame := range [][]byte{nil, {0}, {1}, {2, 0}, {1, 0, 0, 0, 0, 0, 0, 0}, {1, 0x80, 0, 0, 0, 0, 0, 0, 0}, slices.Repeat([]byte{1}, 10)} {
		if got, err := parseAnswered(frame); err == nil {
			t.Errorf("%x is %v", frame, got)
		}
	}
	if _, err := readFrame(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff})); err == nil || err == io.EOF {
		t.Errorf("a frame of 4 GiB: %v", err)
	}
	for _, torn := range []string{"\x00", "\x00\x00\x00\x02x"} {
		if _, err := readFrame(strings.NewReader(torn)); err == nil || err == io.EOF {
			t.Errorf("%q: %v", torn, err)
		}
	}
}

func TestTheLastWordsOfAChildAreKeptAndItsLogLinesPassedOn(t *testing.T) {
	var log bytes.Buffer
	w := &lastWords{pass: &log}
	for _, part := range []string{"{\"msg\":", "\"one\"}\npanic: no ", "lock\n\ngoroutine 1", " [running]:\n{\"msg\":\"two\"}\nunfinished"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if got, want := w.String(), "panic: no lock; goroutine 1 [running]:"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	if got, want := log.String(), "{\"msg\":\"one\"}\n{\"msg\":\"two\"}\n"; got != want {
		t.Errorf("passed on %q, want %q", got, want)
	}
	if n, err := (&lastWords{}).Write([]byte("{}\n")); n != 3 || err != nil { // to nowhere
		t.Errorf("%d, %v", n, err)
	}
	for range 3 {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
		_, _ = w.Write([]byte("\n"))
	}
	if n := len(w.String()); n > 2*maxWords+8 {
		t.Errorf("kept %d bytes", n)
	}
}

func BenchmarkAppender(b *testing.B) {
	for name, change := range map[string]func(*Config){"process": func(*Config) {}, "child": inChild(&children{})} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, 0, 0, production, change)
			a := w.newAppender()
			defer a.close()
			leaf := bytes.Repeat([]byte{'x'}, 1200)
			b.SetParallelism(1024)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := a.add(leaf); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
		})
	}
}

// STO-33
func TestALogOpensForReadingWhereStorageRefusesWrites(t *testing.T) {
	eachAppender(t, func(t *testing.T, change func(*Config)) {
		w := newWorld(t, 1, 1, change)
		w.open()
		w.add(0)
		w.close()
		// Root may write everywhere, but opens no directory for writing.
		obstacles := []string{w.path(".probe"), w.path(".state/treeState.lock"), filepath.Join(w.cfg.GuardDir, ".probe")}
		for _, path := range obstacles {
			_ = os.Remove(path)
			must(t, os.Mkdir(path, 0o700))
		}
		l := w.open()
		if err := l.Health(t.Context()); !errors.Is(err, ErrStorage) {
			t.Errorf("health: %v", err)
		}
		if _, err := l.Add(t.Context(), manifestOf(t, 1), entry.Source{}); !errors.Is(err, ErrStorage) {
			t.Errorf("add: %v", err)
		}
		if _, err := l.Accept(t.Context(), manifestOf(t, 1), entry.Source{}); !errors.Is(err, ErrStorage) {
			t.Errorf("accept: %v", err)
		}
		if a := w.add(0); a.New {
			t.Error("manifest 0 is new")
		}
		for _, path := range []string{"tile/0/000.p/1", "tile/entries/000.p/1"} {
			if _, err := l.Tile(t.Context(), path); err != nil {
				t.Error(err)
			}
		}
		for _, path := range obstacles {
			must(t, os.Remove(path))
		}
		eventually(t, "storage takes writes again", func() bool { return l.Health(t.Context()) == nil })
		if a := w.add(1); !a.New || a.Entry.Index != 1 {
			t.Errorf("new %v, index %d", a.New, a.Entry.Index)
		}
	})
}

func TestAnAppenderThatHangsAtItsStartIsTroubleFromTheBeginningAndGivenUp(t *testing.T) {
	c := &children{}
	w := newWorld(t, 0, 0)
	hanging := func() *exec.Cmd { // it reads its configuration and says nothing
		cmd := c.command()
		cmd.Args = append(cmd.Args[:1], "-test.run=^TestSilentChild$")
		return cmd
	}
	w.cfg.Appender = hanging
	l := w.open()
	if err := l.Health(t.Context()); !errors.Is(err, errStarting) || w.reasonsOf("storage") != "What writes the log is starting." {
		t.Errorf("health: %v", err)
	}
	a := l.appender.(*childAppender)
	a.mu.Lock()
	a.began = a.began.Add(-childStuck - time.Second)
	a.mu.Unlock()
	if _, err := l.Add(t.Context(), manifestOf(t, 0), entry.Source{}); !errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), "has not started for 1") {
		t.Errorf("add: %v", err)
	}
	w.close()

	a = startChildren(hanging, tesseraConfig{}, w.cfg.Log, 100*time.Millisecond)
	defer a.close()
	if _, err := a.add([]byte("leaf")); !errors.Is(err, errUntouched) || !strings.Contains(err.Error(), "did not open its storage within 100ms") {
		t.Errorf("who waits for it: %v", err)
	}
}

// TestSilentChild is an appender that never answers.
func TestSilentChild(t *testing.T) {
	if os.Getenv(appenderEnv) == "" {
		t.Skip("only as a child")
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// Nobody submits anything: the ledger finds out by itself, says so, and starts another one.
func TestAnIdleAppenderThatHangsIsNoticedSaidOnceKilledAndReplaced(t *testing.T) {
	c := &children{}
	w := newWorld(t, 0, 0, inChild(c))
	lines := &logLines{}
	w.cfg.Log = slog.New(slog.NewTextHandler(lines, nil))
	l := w.open()
	w.add(0)
	a := l.appender.(*childAppender)
	must(t, c.first().Process.Signal(syscall.SIGSTOP))
	silentFor := func(age time.Duration) {
		t.Helper()
		eventually(t, "it is asked whether it answers", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(a.waiting) > 0 {
				a.waiting[0].given = time.Now().Add(-age)
			}
			return len(a.waiting) > 0
		})
	}
	silentFor(childStuck + time.Second)
	if err := l.Health(t.Context()); !errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), "has not answered for 11s") ||
		w.reasonsOf("storage") != "What writes the log does not answer; if it stays so it is ended and started again." {
		t.Errorf("health: %v", err)
	}
	silentFor(childGone + time.Second)
	eventually(t, "another one runs", func() bool { return c.count() == 2 && l.Health(t.Context()) == nil })
	w.add(1)
	if said := lines.String(); strings.Count(said, "level=ERROR") != 1 || !strings.Contains(said, "the appender has not answered for 1") {
		t.Errorf("it says: %s", said)
	}
}

// A program that was replaced or removed under a running log is there again after a while.
func TestAnAppenderThatCannotBeStartedRefusesAndIsTriedAgain(t *testing.T) {
	c := &children{}
	var there atomic.Bool
	gone := filepath.Join(t.TempDir(), "gone")
	w := newWorld(t, 0, 0, func(cfg *Config) {
		cfg.Appender = func() *exec.Cmd {
			if !there.Load() {
				return exec.Command(gone)
			}
			return c.command()
		}
	})
	a := w.newAppender().(*childAppender)
	defer a.close()
	if _, err := a.add([]byte("leaf")); !errors.Is(err, errUntouched) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "starting the appender") {
		t.Errorf("no program: %v", err)
	}
	if err := a.trouble(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("trouble: %v", err)
	}
	there.Store(true)
	eventually(t, "a child takes the leaf", func() bool { _, err := a.add([]byte("leaf")); return err == nil })
	if err := a.trouble(); err != nil {
		t.Errorf("trouble after that: %v", err)
	}
}

// logLines is what a log says, for a reader beside it.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestAnAppenderThatDoesNotAnswerIsTrouble(t *testing.T) {
	c := &children{}
	w := newWorld(t, 0, 0, inChild(c))
	a := w.newAppender().(*childAppender)
	defer a.close()
	if _, err := a.add([]byte("leaf")); err != nil || a.trouble() != nil {
		t.Fatal(err, a.trouble())
	}
	must(t, c.first().Process.Signal(syscall.SIGSTOP))
	added := make(chan error, 1)
	go func() { _, err := a.add([]byte("another")); added <- err }()
	eventually(t, "it is given to the child", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.waiting) == 0 {
			return false
		}
		a.waiting[0].given = time.Now().Add(-childStuck - time.Second)
		return true
	})
	if err := a.trouble(); err == nil || !strings.Contains(err.Error(), "has not answered for 11s") {
		t.Errorf("trouble: %v", err)
	}
	must(t, c.first().Process.Signal(syscall.SIGCONT))
	if err := <-added; err != nil || a.trouble() != nil {
		t.Error(err, a.trouble())
	}
}

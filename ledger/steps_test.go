package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"k8s.io/klog/v2"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// running lists the goroutines of this package that a test has not started itself, and those of Tessera.
func running() (list []string) {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for _, g := range strings.Split(string(buf), "\n\n") {
		if strings.Contains(g, "assay-ledger/ledger.(*") && !strings.Contains(g, "_test.go:") || strings.Contains(g, "transparency-dev/tessera") {
			list = append(list, g)
		}
	}
	return list
}

// nothingRuns waits until everything that was closed has ended.
func nothingRuns(t *testing.T, after string) {
	t.Helper()
	eventually(t, "nothing runs after "+after, func() bool { return len(running()) == 0 })
}

// Whatever has ended has left nothing behind that runs on: neither in this process nor in another one.
func TestNothingRunsOnAfterTheEnd(t *testing.T) {
	nothingRuns(t, "the tests before this one")
	w := newWorld(t, 1, 1)
	nothingRuns(t, "a log was created")
	w.open()
	w.add(0)
	w.close()
	nothingRuns(t, "a log was closed")
	restore := fileFor(t, w.path(".state"))
	if _, err := w.tryOpen(); err == nil {
		t.Error("opened")
	}
	restore()
	nothingRuns(t, "a log did not open")

	c := &children{}
	w.cfg.Appender = c.command
	a := w.newAppender()
	for range 2 {
		if _, err := a.add([]byte("leaf")); err != nil {
			t.Error(err)
		}
		eventually(t, "nobody waits any more for a child to start", func() bool {
			for _, g := range running() {
				if strings.Contains(g, "childAppender).start.func") {
					return false
				}
			}
			return true
		})
		c.kill(t)
		eventually(t, "another child adds", func() bool { _, err := a.add([]byte("leaf")); return err == nil })
	}
	eventually(t, "one watches one child", func() bool {
		watching := 0
		for _, g := range running() {
			if strings.Contains(g, "childAppender).watch") {
				watching++
			}
		}
		return watching == 1
	})
	a.close()
	nothingRuns(t, "an appender was closed")
}

// What reads a directory of others closes what it has opened, on every way out.
func TestNoReaderKeepsAFileOpen(t *testing.T) {
	descriptors := func() int {
		list, _ := os.ReadDir("/proc/self/fd") // none: not counted here
		return len(list)
	}
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 3)
	w.close()
	nothingRuns(t, "a log was closed")
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	defer s.close()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a file that nobody refers to is closed at some time
	before := descriptors()
	for range 20 {
		if _, _, err := Fsck(t.Context(), w.cfg.Dir, w.cfg.GuardDir, nil, func(d Damage) { t.Error(d) }); err != nil {
			t.Fatal(err)
		}
		if _, err := RemakeGuard(t.Context(), w.cfg, true); !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		if _, err := s.treeState(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.readFile("tile/0/000.p/3", 3); !errors.Is(err, errDamaged) {
			t.Fatal(err)
		}
		if _, err := readSmall(w.cfg.GuardDir, signedFile); err != nil {
			t.Fatal(err)
		}
		must(t, awaitNoAppender(t.Context(), w.cfg.Dir))
	}
	if after := descriptors(); after > before+5 {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// A closed answer gives its connection back.
func TestAnAnswerOfAWitnessIsClosed(t *testing.T) {
	for name, body := range map[string]io.Reader{"whole": strings.NewReader("text"), "too long": strings.NewReader("much more"), "broken": broken{errors.New("reset")}} {
		closed := false
		req, err := http.NewRequest(http.MethodGet, "http://witness.example/", nil)
		must(t, err)
		_, _, _, _ = exchange(clientOf(func(*http.Request) (*http.Response, error) {
			r := response(200, "", nil)
			r.Body = closing{body, &closed}
			return r, nil
		}), req, 4)
		if !closed {
			t.Errorf("an answer that is %s stays open", name)
		}
	}
}

type closing struct {
	io.Reader
	closed *bool
}

func (c closing) Close() error { *c.closed = true; return nil }

// What an appender is told of once: each change, and not every try.
func TestAnAppenderSaysOnceWhyNoChildRuns(t *testing.T) {
	said := &lines{}
	a := &childAppender{log: slog.New(slog.NewTextHandler(said, nil)), why: errStarting, began: time.Now()}
	gone, full := errors.New("gone"), errors.New("disk full")
	const ended, again = "the appender has ended", "the appender runs again"
	for i, step := range []struct {
		why          error
		ended, again int
	}{
		{nil, 0, 0}, {gone, 1, 0}, {errors.New("gone"), 1, 0}, {full, 2, 0}, {nil, 2, 1}, {nil, 2, 1}, {gone, 3, 1}, {nil, 3, 2},
	} {
		a.say(step.why)
		if said.count(ended) != step.ended || said.count(again) != step.again || a.trouble() != step.why {
			t.Errorf("step %d: %s", i, said.text.String())
		}
	}
	b := &childAppender{log: a.log, why: errStarting}
	b.say(gone) // the first one does not start either
	if said.count(ended) != 4 {
		t.Error("nothing is said of a first child that does not start")
	}
}

// A program that is missing is looked for again and again, ever more seldom but never less often than every two seconds.
func TestAChildThatCannotBeStartedIsTriedAfterLongerAndLongerPauses(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var starts []time.Duration
		a := startChildren(func() *exec.Cmd {
			starts = append(starts, time.Since(began))
			return exec.Command(gone)
		}, tesseraConfig{}, slog.New(slog.DiscardHandler), childStart)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		a.close()
		const ms = time.Millisecond
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms, 5100 * ms, 7100 * ms, 9100 * ms}
		if fmt.Sprint(starts) != fmt.Sprint(want) {
			t.Errorf("started after %v", starts)
		}
	})
}

// The books of submissions that are under way: a checkpoint waits a little for those.
func TestSubmissionsAreCountedWhileTheyAreOnTheirWay(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	w := newWorld(t, 0, 0, func(c *Config) {
		c.Timestamps = TimestampsRequired
		c.TSA = tsaFunc(func(context.Context, [32]byte) (*timestamp.Token, error) {
			asked <- struct{}{}
			<-answer
			return &timestamp.Token{DER: []byte("token")}, nil
		})
	})
	l := w.open()
	added := make(chan error, 1)
	go func() { _, err := l.Add(context.Background(), manifestOf(t, 0), entry.Source{}); added <- err }()
	<-asked
	if n := l.publisher.arriving.Load(); n != 1 {
		t.Errorf("%d are arriving", n)
	}
	l.mu.Lock()
	if l.writing != 1 || len(l.pending) != 1 {
		t.Errorf("%d are being written, %d pending", l.writing, len(l.pending))
	}
	l.mu.Unlock()
	close(answer)
	must(t, <-added)
	if _, err := l.Add(t.Context(), []byte("{}"), entry.Source{}); err == nil {
		t.Error("no manifest was added")
	}
	if n := l.publisher.arriving.Load(); n != 0 {
		t.Errorf("%d are arriving", n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writing != 0 || l.integrated != 1 {
		t.Errorf("%d are being written, %d are in the tree", l.writing, l.integrated)
	}
}

// An entry in the tree is indexed at once, and not when the clock of the follower comes round.
func TestTheFollowerIsToldOfEachEntry(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	real, told := l.follower, &follower{grown: make(chan struct{}, 1)}
	l.follower = told
	w.add(1)
	l.follower = real
	if len(told.grown) != 1 {
		t.Error("it is not told")
	}
}

// Nobody waits for witnesses or authorities when a log closes in a hurry.
func TestACloseInAHurryAsksNobodyAnyMore(t *testing.T) {
	w := newWorld(t, 1, 1)
	l := w.open()
	w.add(0)
	hanging := make(chan struct{}, 8)
	w.witnesses[0].behave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client is gone
		hanging <- struct{}{}
		<-r.Context().Done()
	}))
	w.unpublished(1)
	<-hanging
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("closed: %v", err)
	}
	if l.ctx.Err() == nil || l.publisher.ctx.Err() == nil {
		t.Errorf("still wanted: %v, %v", l.ctx.Err(), l.publisher.ctx.Err())
	}
	w.close()
	w.witnesses[0].behave(nil)
	w.open()
	if a := w.add(1); a.New {
		t.Error("manifest 1 is new")
	}
}

// A log that cannot keep what it would publish is closed all the same; the entry is safe in the tree.
func TestALogThatCannotPublishIsClosed(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.open()
	w.add(0)
	note := filepath.Join(w.cfg.GuardDir, checkpointFile)
	must(t, os.Remove(note))
	must(t, os.MkdirAll(filepath.Join(note, "occupied"), 0o700))
	at := w.unpublished(1)
	w.close() // with a limit of twenty seconds
	must(t, os.RemoveAll(note))
	w.open()
	if a := w.add(1); a.New || a.Entry.Index != at {
		t.Errorf("new %v at %d", a.New, a.Entry.Index)
	}
}

// The end of a log is the end of everything that it began: what it says of the spool is said before Close returns.
func TestACloseWaitsForWhatTheSpoolIsAt(t *testing.T) {
	w, _, _ := spoolWorld(t)
	var l *Log
	reached, early := make(chan struct{}), make(chan bool, 1)
	var once sync.Once
	w.cfg.Log = slog.New(handler(func(message string) {
		if strings.Contains(message, "accepted manifests are not logged yet") {
			once.Do(func() {
				close(reached)
				<-l.probe.done // the last thing before
				select {
				case <-l.closed:
					early <- true
				case <-time.After(100 * time.Millisecond):
					early <- false
				}
			})
		}
	}))
	l = w.open()
	w.accept(0)
	<-reached
	w.close()
	if <-early {
		t.Error("closed while an accepted manifest was looked after")
	}
}

// handler hands each message to a test.
type handler func(message string)

func (h handler) Enabled(context.Context, slog.Level) bool { return true }
func (h handler) Handle(_ context.Context, r slog.Record) error {
	h(r.Message)
	return nil
}
func (h handler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h handler) WithGroup(string) slog.Handler      { return h }

// A publisher that ends gives up the questions that are open, and ends after them: their store is closed next.
func TestAPublisherEndsAfterItsQuestionsWhichItGivesUp(t *testing.T) {
	var early atomic.Bool
	startPublisher(t, 1, 1, nil, func(p *publisher, net network) {
		becomes(t, p, ready, 0)
		net["w1"].behave(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(time.Millisecond) // of the bubble
			select {
			case <-p.done:
				early.Store(true)
			default:
			}
		})
		time.Sleep(askEvery + time.Millisecond)
		synctest.Wait()
		began := time.Now()
		p.stopping <- struct{}{} // as stop does, and once
		<-p.done
		if took := time.Since(began); took > 2*time.Millisecond {
			t.Errorf("it waited %v for a witness that hangs", took)
		}
		if early.Load() {
			t.Error("a question was open when it had ended")
		}
	})
}

// What the publisher notes of an answer: a witness that fails is asked after longer and longer pauses, and soon again after it cosigned.
func TestAWitnessThatFailsIsAskedAfterPausesThatBeginAnew(t *testing.T) {
	p := &publisher{interval: 200 * time.Millisecond}
	e := &endpoint{witnesses: []string{"w1", "w2"}}
	p.endpoints = []*endpoint{e}
	now := time.Now()
	both := []trust.Cosignature{{Witness: "w1"}, {Witness: "w2"}}
	failing := func(cosignatures []trust.Cosignature, pauses ...time.Duration) {
		t.Helper()
		for i, pause := range pauses {
			p.noteStanding(now, answer{endpoint: e, reply: reply{cosignatures: cosignatures}})
			if got := e.next.Sub(now); got != pause {
				t.Errorf("failure %d: asked again after %v, want %v", i+1, got, pause)
			}
		}
	}
	const ms = time.Millisecond
	failing(nil, 200*ms, 400*ms, 800*ms, 1600*ms, 3200*ms, 6400*ms, 12800*ms, askEvery, askEvery)
	failing(both, askEvery)
	failing(both[:1], 200*ms, 400*ms) // one of its two keys is missing
	if s := (*p.standings.Load())[0]; len(s.cosigned) != 1 || s.cosigned[0] != "w1" || !s.at.Equal(now) {
		t.Errorf("standing %+v", s)
	}
	failing(both, askEvery, askEvery)
}

// aPublisher is that of a closed log, with nobody at its loop.
func aPublisher(t *testing.T, w *world) *publisher {
	t.Helper()
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	t.Cleanup(func() { s.close() })
	g, err := openGuard(w.cfg.GuardDir, w.cfg.Signer, w.cfg.Policy)
	must(t, err)
	t.Cleanup(func() { g.close() })
	cfg, err := w.cfg.withDefaults()
	must(t, err)
	p, err := newPublisher(history{s, g}, archiveOf(t, &cfg, g), &cfg, func(err error) { t.Errorf("frozen: %v", err) })
	must(t, err)
	t.Cleanup(p.cancel)
	return p
}

// When a witness has shown that more was signed than the guard knew, every witness is asked about that at once; the
// reason why nothing new is signed is said once.
// STO-16
func TestWhatTheGuardHasLearnedIsAskedOfEveryWitnessAtOnce(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.open()
	w.addAll(0, 3)
	w.close()
	said := &lines{}
	w.cfg.Log = slog.New(slog.NewTextHandler(said, nil))
	p := aPublisher(t, w)
	p.loop.round = &round{cp: &trust.Checkpoint{Origin: testOrigin}, cosignatures: map[string]trust.Cosignature{}, failed: map[*endpoint]bool{}}
	old := p.loop.round
	later := time.Now().Add(time.Hour)
	for _, e := range p.endpoints {
		e.next = later
	}
	p.loop.open = 1
	p.countHeard(answer{endpoint: p.endpoints[0], round: old, err: errors.New("it refuses")}) // the other has not answered yet
	select {
	case <-p.asked:
		t.Error("not every witness has answered")
	default:
	}
	p.loop.open = 0
	for range 3 {
		p.countHeard(answer{endpoint: p.endpoints[1], round: old, err: errors.New("it refuses")})
	}
	<-p.asked
	if said.count("nothing new is signed yet") != 1 {
		t.Errorf("it says: %s", said.text.String())
	}
	if p.loop.round == old || p.loop.round.cp.Size != 3 {
		t.Errorf("asked about size %d", p.loop.round.cp.Size)
	}
	for _, e := range p.endpoints {
		if !e.next.IsZero() {
			t.Errorf("%s is asked in %v", e, time.Until(e.next))
		}
	}
}

// A tree that could not be read is not forgotten, and not looked at again before a pause is over.
func TestATreeThatCannotBeReadIsLookedAtAfterAPause(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	p := aPublisher(t, w)
	restore := fileFor(t, w.path(".state"))
	now := time.Now()
	if wait, more := p.advance(now); wait != p.pause() || !more || !p.loop.dirty || !p.loop.started.Equal(now) || p.trouble.Load() == nil {
		t.Errorf("waits %v, goes on %t, dirty %t, trouble %v", wait, more, p.loop.dirty, p.trouble.Load())
	}
	restore()
	if wait, more := p.advance(now.Add(time.Millisecond)); wait != p.pause()-time.Millisecond || !more || p.trouble.Load() == nil {
		t.Errorf("before the pause is over: waits %v, goes on %t", wait, more)
	}
	if _, more := p.advance(now.Add(p.pause())); !more || p.trouble.Load() != nil || p.loop.dirty {
		t.Errorf("after it: %v", p.trouble.Load())
	}
	fileFor(t, w.path(".state"))
	p.loop.dirty, p.loop.draining = true, true
	if _, more := p.advance(now.Add(time.Minute)); more {
		t.Error("a log that closes waits for a tree that cannot be read")
	}
}

// What was verified is kept for the next proof.
func TestVerifiedTilesAreReadOnce(t *testing.T) {
	w := openThreeHundred(t)
	l := w.log
	seen := l.publisher.current.Load()
	_, err := newReader(l.store, seen).ReadHashes([]int64{0})
	must(t, err)
	l.store.tiles.mu.Lock()
	if len(l.store.tiles.tiles) != 1 {
		t.Errorf("%d full tiles are kept", len(l.store.tiles.tiles))
	}
	l.store.tiles.mu.Unlock()
	seen.tiles.mu.Lock()
	if len(seen.tiles.tiles) != 2 {
		t.Errorf("%d tiles of the edge are kept", len(seen.tiles.tiles))
	}
	seen.tiles.mu.Unlock()
	for _, path := range []string{"tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"} {
		w.write(path, nil)
	}
	if _, err := newReader(l.store, seen).ReadHashes([]int64{0, tlog.StoredHashIndex(0, 299)}); err != nil {
		t.Errorf("read again: %v", err)
	}
}

// How long a pass takes is known from the beginning, and again when the log has grown.
// STO-31
func TestThePeriodOfTheScrubIsKnownFromTheBeginning(t *testing.T) {
	w := openThreeHundred(t)
	s := newScrubber(func() *reader { return newReader(w.log.store, w.log.publisher.current.Load()) }, &Config{Index: manySteps{}, Scrub: time.Hour, Log: w.cfg.Log})
	if got := time.Duration(s.period.Load()); got != time.Hour {
		t.Errorf("at first: %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.pass(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if got, want := time.Duration(s.period.Load()), 2*time.Hour+3*time.Second/scrubFastest; got != want {
		t.Errorf("with a large index: %v, want %v", got, want)
	}
}

// manySteps is an index that takes two hours to read.
type manySteps struct{ wholeIndex }

func (manySteps) Steps() int64 { return 2 * 3600 * scrubFastest }

// An index of which a part is lost is named once, and what is left of it accuses no entry.
func TestFsckOfAnIndexThatLostAPartSaysNothingOfItsEntries(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 3)
	w.close()
	for _, left := range []int64{0, 2, 3} {
		given := int64(3)
		x := &scripted{Index: lossy{}, size: func() (int64, error) { n := given; given = left; return n, nil },
			find: func() (int64, bool, error) { return 0, false, nil }}
		var found []Damage
		_, _, err := Fsck(t.Context(), w.cfg.Dir, w.cfg.GuardDir, x, func(d Damage) { found = append(found, d) })
		if err != nil || len(found) != 1 || found[0].Path != indexPath || found[0].Start != left || found[0].End != max(3, left+1) || !strings.Contains(found[0].Err.Error(), "derives it again") {
			t.Errorf("%d are left: %v, %v", left, found, err)
		}
	}
}

// lossy is an index of which a part was lost.
type lossy struct{ wholeIndex }

func (lossy) Lost() error { return errors.New("a block without its checksum") }

// Tessera's own log lines go to the log of the ledger, marked as Tessera's.
func TestWhatTesseraSaysIsInTheLogOfTheLedger(t *testing.T) {
	const variable = "LEDGER_TEST_KLOG"
	if os.Getenv(variable) == "" { // what the first log of a process decides holds for all of it
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), variable+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	said := &lines{}
	newWorld(t, 0, 0, func(c *Config) { c.Log = slog.New(slog.NewJSONHandler(said, nil)) })
	klog.Error("a word of Tessera")
	if said.count(`"msg":"a word of Tessera"`) != 1 || said.count(`"from":"tessera"`) == 0 || said.count(`"origin":"`+testOrigin+`"`) == 0 {
		t.Errorf("the log has: %s", said.text.String())
	}
	grouped := slog.New(expected{slog.NewJSONHandler(said, nil)}).WithGroup("storage")
	grouped.Error("in a group", "size", 3)
	if said.count(`"storage":{"size":3}`) != 1 {
		t.Errorf("a group is lost: %s", said.text.String())
	}
}

// Whoever submits again what an earlier process accepted need not wait for anything.
func TestAManifestThatWaitsAlreadyIsAcceptedAgain(t *testing.T) {
	w, _, _ := spoolWorld(t)
	w.open()
	w.accept(0)
	w.close()
	w.open() // what an earlier process accepted is written already
	w.accept(0)
	if n := len(w.spooled()); n != 1 {
		t.Errorf("%d files", n)
	}
}

// Said once, however often it happens, and once when it is over.
func TestEntriesWithoutATimestampAreSaidOnceAndCounted(t *testing.T) {
	said := &lines{}
	var on atomic.Bool
	w := newWorld(t, 0, 0, func(c *Config) {
		c.Timestamps, c.Log = TimestampsPreferred, slog.New(slog.NewTextHandler(said, nil))
		c.TSA = tsaFunc(func(context.Context, [32]byte) (*timestamp.Token, error) {
			if on.Load() {
				return &timestamp.Token{DER: []byte("token")}, nil
			}
			return nil, errors.New("no authority")
		})
	})
	w.open()
	for i, step := range []struct {
		on          bool
		gone, again int
	}{{true, 0, 0}, {false, 1, 0}, {false, 1, 0}, {false, 1, 0}, {true, 1, 1}, {true, 1, 1}, {false, 2, 1}} {
		on.Store(step.on)
		w.add(i)
		if said.count("entries are logged without a timestamp") != step.gone || said.count("entries get timestamps again") != step.again {
			t.Errorf("entry %d: %s", i, said.text.String())
		}
	}
	if said.count("logged_without=3") != 1 {
		t.Errorf("it counts otherwise: %s", said.text.String())
	}
}

// The first reason why a log is frozen is the one that its operator needs.
func TestALogIsFrozenOnceAndForItsFirstReason(t *testing.T) {
	said := &lines{}
	w := newWorld(t, 0, 0, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	l := w.open()
	first := errors.New("the first")
	l.freeze(first)
	l.freeze(errors.New("what follows from it"))
	if err := l.frozen(); !errors.Is(err, ErrFrozen) || !errors.Is(err, first) || said.count("the log is frozen") != 1 || said.count("what follows") != 0 {
		t.Errorf("%v: %s", l.frozen(), said.text.String())
	}
}

// An index that cannot be written is said once, and once more when the log closes without it.
func TestAnIndexThatDoesNotFollowIsSaidOnceAndAtTheEnd(t *testing.T) {
	said := &lines{}
	w := newWorld(t, 0, 0, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	x := &brokenIndex{}
	w.wrapIndex = func(real Index) Index { x.Index = real; return x }
	l := w.open()
	w.add(0)
	eventually(t, "ready", func() bool { return l.Health(t.Context()) == nil })
	x.broken.Store(true)
	w.add(1)
	for i := range 3 {
		eventually(t, "it is said", func() bool { return said.count("the index does not follow the log") == 1 })
		if i < 2 {
			w.add(2 + i)
		}
	}
	w.close()
	if said.count("the index does not follow the log") != 1 || said.count("the index is behind the log") != 1 {
		t.Errorf("it says: %s", said.text.String())
	}
	x.broken.Store(false)
	w.open()
	w.close()
	if said.count("the index is behind the log") != 1 {
		t.Errorf("it says: %s", said.text.String())
	}
}

// An operator is told of another policy, with its witnesses, and of the same one not at all.
func TestAnotherPolicyIsSaidAtTheStartAndTheSameOneIsNot(t *testing.T) {
	said := &lines{}
	w := newWorld(t, 2, 1, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	const other = "the policy is not the one of the last start"
	for range 2 {
		w.open()
		w.close()
	}
	if said.count(other) != 0 {
		t.Errorf("the same policy is said: %s", said.text.String())
	}
	whole := w.cfg.Policy
	var err error
	ws := whole.Witnesses()
	w.cfg.Policy, err = trust.ParsePolicy(trust.FormatPolicy(whole.Logs(), []trust.PolicyWitness{{Name: ws[0].Name, VKey: ws[0].VKey, URL: ws[0].URL}}, 1))
	must(t, err)
	for range 2 {
		w.open()
		w.close()
	}
	if said.count(other) != 1 || said.count(`removed="[w2 `+ws[1].VKey+`]" added=[]`) != 1 {
		t.Errorf("a policy without w2: %s", said.text.String())
	}
	w.cfg.Policy = whole
	must(t, os.WriteFile(filepath.Join(w.cfg.GuardDir, policyFile), []byte("damaged"), 0o600))
	w.open()
	if said.count(other) != 2 || said.count("added=\"[w1 "+ws[0].VKey+" w2 "+ws[1].VKey+"]\"") != 1 {
		t.Errorf("a policy that cannot be read: %s", said.text.String())
	}
}

// What a witness shows at a start is looked at; that it shows nothing is worth a line.
func TestAWitnessThatShowsNothingAtTheStartIsSaid(t *testing.T) {
	said := &lines{}
	w := newWorld(t, 1, 1, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	w.open()
	w.add(0)
	w.close()
	if n := said.count("a witness shows no checkpoint of this log"); n != 1 { // at the very first start
		t.Errorf("said %d times", n)
	}
	w.open()
	w.close()
	if n := said.count("a witness shows no checkpoint of this log"); n != 1 {
		t.Errorf("said %d times, of a witness that shows one", n)
	}
}

// Storage that takes no writes at a start is said, and so is what an earlier process has left to log.
func TestAStartSaysWhatItFinds(t *testing.T) {
	w, logs, _ := spoolWorld(t)
	w.open()
	w.accept(0)
	w.accept(1)
	w.close()
	const left, reading = "manifests that were accepted before the start are logged now", "the log is open for reading only"
	if said := logs.String(); strings.Contains(said, left) || strings.Contains(said, reading) {
		t.Errorf("an empty log: %s", said)
	}
	must(t, os.RemoveAll(w.path(".probe")))
	must(t, os.Mkdir(w.path(".probe"), 0o700))
	w.open()
	if said := logs.String(); !strings.Contains(said, left+`" origin=`+testOrigin+` count=2`) || strings.Count(said, reading) != 1 {
		t.Errorf("it says: %s", said)
	}
	must(t, os.Remove(w.path(".probe")))
}

// Damage is kept in memory up to a bound, and nobody needs to keep it.
func TestDamagesAreBoundedAndNobodyNeedsToKeepThem(t *testing.T) {
	var none *damages
	at := tlog.Tile{H: tiles.Height, L: -1, W: tiles.Width}
	none.found(at, Damage{})
	none.mended(at)
	said := &lines{}
	d := newDamages(slog.New(slog.NewTextHandler(said, nil)))
	for n := range int64(maxDamages + 5) {
		at.N = n
		for range 2 {
			d.found(at, Damage{Path: "f", Start: n, End: n + 1, Err: errDamaged})
		}
	}
	if len(d.list) != maxDamages || said.count("the log is damaged") != maxDamages {
		t.Errorf("%d are kept, %d said", len(d.list), said.count("the log is damaged"))
	}
	at.N = 7
	for range 2 {
		d.mended(at)
	}
	if len(d.list) != maxDamages-1 || said.count("is whole again") != 1 {
		t.Errorf("%d are kept, %d said to be whole again", len(d.list), said.count("is whole again"))
	}
}

// The index is checked in every pass; what it finds is said, and the entries are read all the same.
func TestAPassOfTheScrubGoesOnAfterADamagedIndex(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.addAll(0, 3)
	w.flip("tile/entries/000.p/3", 20)
	said := &lines{}
	s := newScrubber(func() *reader { return newReader(l.store, l.publisher.current.Load()) },
		&Config{Index: spoiled{}, Scrub: time.Millisecond, Log: slog.New(slog.NewTextHandler(said, nil))})
	must(t, s.pass(t.Context()))
	if said.count("a part of the index is damaged") != 1 || !strings.Contains(w.reasonsOf("damage"), "tile/entries/000.p/3") {
		t.Errorf("it says %s; damage %q", said.text.String(), w.reasonsOf("damage"))
	}
}

// spoiled is an index whose check finds damage.
type spoiled struct{ wholeIndex }

func (spoiled) Check(context.Context, func(context.Context) error) error {
	return errors.New("a block without its checksum")
}

// Whoever loses a race for a guard takes nothing from the one who wins it.
func TestOfSeveralThatMakeOneGuardOneWins(t *testing.T) {
	w := newWorld(t, 0, 0)
	made := 0
	for range 20 {
		dir := filepath.Join(t.TempDir(), "guard")
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if err := createGuard(dir, w.cfg.Signer); err == nil {
					won.Add(1)
				} else if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() > 1 {
			t.Fatalf("%d have won", won.Load())
		}
		if won.Load() == 1 {
			g, err := openGuard(dir, w.cfg.Signer, w.cfg.Policy)
			must(t, err)
			must(t, g.close())
			made++
		}
	}
	if made == 0 {
		t.Error("nobody ever wins")
	}
}

// A tile that cannot be compared, because what is above it is damaged, is not called damaged itself.
func TestATileBelowADamagedOneIsNotAccused(t *testing.T) {
	w := openThreeHundred(t)
	l := w.log
	w.flip("tile/1/000.p/1", 3)
	seen := &snapshot{cp: l.publisher.current.Load().cp, tiles: &tileCache{}} // nothing of it was read before
	full := tiles.Widest(0, 0, 300)
	for name, read := range map[string]func(r *reader) (hashTile, error){
		"from the file":   func(r *reader) (hashTile, error) { return r.readTile(full) },
		"also from cache": func(r *reader) (hashTile, error) { return r.tile(full) },
	} {
		var d Damage
		if tile, err := read(newReader(l.store, seen)); tile != nil || !errors.As(err, &d) || d.Path == "tile/0/000" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if said := w.reasonsOf("damage"); said == "" || strings.Contains(said, "(tile/0/000)") {
		t.Errorf("it says %q", said)
	}
}

package ledger

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

var _ Index = (*index.Index)(nil)

// ENT-44, API-9
func TestAddReturnsAProofThatVerifiesOffline(t *testing.T) {
	w := newWorld(t, 3, 2)
	l := w.open()
	for i := range 5 {
		a := w.add(i)
		if !a.New || a.Entry.Index != int64(i) {
			t.Errorf("manifest %d: index %d, new %v", i, a.Entry.Index, a.New)
		}
	}
	cp, err := l.Checkpoint(t.Context())
	must(t, err)
	if cp.Size != 5 {
		t.Errorf("size %d", cp.Size)
	}
	for i := range 5 {
		a, err := l.Prove(t.Context(), int64(i))
		must(t, err)
		w.check(a, i)
		if a.New {
			t.Error("Prove says new")
		}
	}
	for _, i := range []int64{-1, 5, 1 << 60} {
		if _, err := l.Prove(t.Context(), i); !errors.Is(err, ErrNotFound) {
			t.Errorf("Prove(%d): %v", i, err)
		}
	}
	if found := w.indexesOf(); len(found) != 5 {
		t.Errorf("%d manifests in the log", len(found))
	}
	must(t, l.Health(t.Context()))
}

func TestTheEmptyLogHasACosignedCheckpoint(t *testing.T) {
	w := newWorld(t, 2, 2)
	l := w.open()
	eventually(t, "a checkpoint of size 0", func() bool { _, err := l.Checkpoint(t.Context()); return err == nil })
	cp, _ := l.Checkpoint(t.Context())
	if opened, err := w.cfg.Policy.OpenCheckpoint(cp.Signed); err != nil || opened.Size != 0 || opened.Root != trust.EmptyRoot {
		t.Errorf("%v, %v", opened, err)
	}
	if found := w.indexesOf(); len(found) != 0 {
		t.Errorf("an empty log has %d entries", len(found))
	}
}

// API-8
func TestOneManifestIsOneLeafForEver(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.open()
	w.addAll(1, 4)
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh, indexes := 0, map[int64]int{}
	for range 200 {
		wg.Go(func() {
			a, err := w.log.Add(context.Background(), manifestOf(t, 0), entry.Source{})
			if err != nil {
				t.Error(err)
				return
			}
			w.check(a, 0)
			mu.Lock()
			defer mu.Unlock()
			indexes[a.Entry.Index]++
			if a.New {
				fresh++
			}
		})
	}
	wg.Wait()
	if fresh != 1 || len(indexes) != 1 {
		t.Fatalf("%d fresh, indexes %v", fresh, indexes)
	}
	again := func(when string) {
		t.Helper()
		a := w.add(0)
		if a.New || indexes[a.Entry.Index] != 200 {
			t.Errorf("%s: new %v, index %d", when, a.New, a.Entry.Index)
		}
	}
	again("in the same process")
	w.open()
	again("after a restart")
	w.close()
	must(t, os.RemoveAll(filepath.Join(w.dir, "index")))
	w.open()
	again("after the index was deleted")
	for digest, at := range w.indexesOf() {
		if len(at) != 1 {
			t.Errorf("manifest %s is at %v", digest, at)
		}
	}
}

// ENT-6, API-8
func TestAReformattedManifestIsTheSameEntry(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	first := w.add(0)
	text := append([]byte(" \n"), manifestOf(t, 0)...)
	a, err := l.Add(t.Context(), text, entry.Source{})
	if err != nil {
		t.Skipf("pack does not admit another layout: %v", err)
	}
	if a.New || a.Entry.Index != first.Entry.Index {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
}

// API-7
func TestWhatDoesNotVerifyIsNotStored(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	good := string(manifestOf(t, 0))
	for name, text := range map[string]string{
		"empty":     "",
		"no JSON":   "{",
		"no object": "[]",
		"nothing":   "{}",
		"tampered":  strings.Replace(good, "run-0", "run-1", 1),
		"trailing":  good + "x",
		"unsigned":  strings.Replace(good, `"signature"`, `"signaturf"`, 1),
		"deep":      strings.Repeat("[", 100000),
	} {
		var rejected *Rejected
		_, err := l.Add(t.Context(), []byte(text), entry.Source{})
		if !errors.As(err, &rejected) || len(rejected.Findings) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a := w.add(0); a.Entry.Index != 0 {
		t.Errorf("something was stored before index %d", a.Entry.Index)
	}
}

// API-7
func TestASourceThatIsNoneIsRejectedBeforeATimestampIsAskedFor(t *testing.T) {
	asked := false
	w := newWorld(t, 0, 0, func(c *Config) {
		c.Timestamps = TimestampsRequired
		c.TSA = tsaFunc(func(context.Context, [32]byte) (*timestamp.Token, error) {
			asked = true
			return nil, errors.New("no answer")
		})
	})
	l := w.open()
	var rejected *Rejected
	for _, src := range []entry.Source{{Repo: "../.."}, {Repo: "a/b", Commit: "main"}, {Workflow: "w"}, {Repo: "a/b\n"}} {
		if _, err := l.Add(t.Context(), manifestOf(t, 0), src); !errors.As(err, &rejected) {
			t.Errorf("%+v: %v", src, err)
		}
	}
	if asked {
		t.Error("the TSA was asked")
	}
}

type tsaFunc func(ctx context.Context, digest [32]byte) (*timestamp.Token, error)

func (f tsaFunc) Timestamp(ctx context.Context, digest [32]byte) (*timestamp.Token, error) {
	return f(ctx, digest)
}

func TestARequiredTimestampThatCannotBeHadMeansNoEntry(t *testing.T) {
	for _, mode := range []TimestampMode{"", TimestampsRequired, TimestampsPreferred} {
		up := false
		w := newWorld(t, 0, 0, func(c *Config) {
			c.Timestamps = mode
			c.TSA = tsaFunc(func(_ context.Context, digest [32]byte) (*timestamp.Token, error) {
				if !up {
					return nil, errors.New("no answer")
				}
				return &timestamp.Token{DER: append([]byte("token over "), digest[:]...)}, nil
			})
		})
		l := w.open()
		a, err := l.Add(t.Context(), manifestOf(t, 0), entry.Source{})
		if mode == TimestampsPreferred {
			must(t, err)
			if a.Entry.Entry.TimestampToken != nil {
				t.Error("a token from nowhere")
			}
			continue
		}
		if !errors.Is(err, ErrTimestamp) {
			t.Fatalf("mode %q: %v", mode, err)
		}
		up = true
		a, err = l.Add(t.Context(), manifestOf(t, 0), entry.Source{})
		if err != nil {
			t.Logf("mode %q: the entry wants a real token: %v", mode, err)
			continue
		}
		if !a.New || a.Entry.Index != 0 || len(a.Entry.Entry.TimestampToken) == 0 {
			t.Errorf("mode %q: %+v", mode, a.Entry)
		}
	}
}

// probedTSA is a Timestamper that knows whether it would answer.
type probedTSA struct {
	tsaFunc
	health error
}

func (p *probedTSA) Health() error { return p.health }

func TestReadinessTellsThatNoTimestampWouldBeHad(t *testing.T) {
	silent := func(context.Context, [32]byte) (*timestamp.Token, error) { return nil, errors.New("no answer") }
	for _, mode := range []TimestampMode{TimestampsRequired, TimestampsPreferred, TimestampsOff} {
		tsa := &probedTSA{tsaFunc: silent}
		w := newWorld(t, 0, 0, func(c *Config) { c.Timestamps, c.TSA = mode, tsa })
		l := w.open()
		eventually(t, "ready", func() bool { return l.Health(t.Context()) == nil })
		if notes := l.Notes(); len(notes) != 0 {
			t.Errorf("mode %q: %v", mode, notes)
		}
		tsa.health = errors.New("tsa.example is dead")
		health, notes := l.Health(t.Context()), l.Notes()
		var why *NotReady
		if told := errors.As(health, &why) && why.Reasons[0].About == "timestamps" && errors.Is(health, ErrTimestamp) &&
			!strings.Contains(why.Reasons[0].Public, "tsa.example"); told != (mode == TimestampsRequired) {
			t.Errorf("mode %q: %v", mode, health)
		}
		if told := len(notes) == 1 && notes[0].About == "timestamps"; told != (mode == TimestampsPreferred) {
			t.Errorf("mode %q: notes %v", mode, notes)
		}
	}
}

func TestEntriesWithoutATimestampAreLoggedOnce(t *testing.T) {
	var text bytes.Buffer // slog writes one line at a time
	up := false
	w := newWorld(t, 0, 0, func(c *Config) {
		c.Timestamps, c.Log = TimestampsPreferred, slog.New(slog.NewTextHandler(&text, nil))
		c.TSA = tsaFunc(func(context.Context, [32]byte) (*timestamp.Token, error) {
			if !up {
				return nil, errors.New("no answer")
			}
			return &timestamp.Token{DER: []byte{0x30, 0}}, nil
		})
	})
	l := w.open()
	for range 5 {
		if _, err := l.timestamp([32]byte{}); err != nil {
			t.Fatal(err)
		}
	}
	up = true
	for range 5 {
		if _, err := l.timestamp([32]byte{}); err != nil {
			t.Fatal(err)
		}
	}
	must(t, l.Close(t.Context()))
	if n := strings.Count(text.String(), "timestamp"); n != 2 || !strings.Contains(text.String(), "logged_without=5") {
		t.Errorf("%s", &text)
	}
}

// API-11
func TestACancelledSubmissionLosesNothingAndDuplicatesNothing(t *testing.T) {
	w := newWorld(t, 1, 1, func(c *Config) { c.BatchAge = 50 * time.Millisecond })
	l := w.open()
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*3*time.Millisecond)
			defer cancel()
			a, err := l.Add(ctx, manifestOf(t, i), entry.Source{})
			if err == nil {
				w.check(a, i)
			} else if !errors.Is(err, ErrUnpublished) && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.addAll(0, n)
	found := w.indexesOf()
	for i := range n {
		if at := found[digestOf(t, i)]; len(at) != 1 {
			t.Errorf("manifest %d is at %v", i, at)
		}
	}
	if len(found) != n {
		t.Errorf("%d manifests, %d submitted", len(found), n)
	}
}

func TestAFloodIsRefusedAndLeavesNoGoroutineBehind(t *testing.T) {
	w := newWorld(t, 1, 1, func(c *Config) { c.MaxPending = 4 })
	l := w.open()
	eventually(t, "the empty checkpoint", func() bool { _, err := l.Checkpoint(t.Context()); return err == nil })
	w.witnesses[0].behave(down)
	manifestOf(t, 0)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	busy, waiting := 0, 0
	for i := range 100 {
		wg.Go(func() {
			_, err := l.Add(ctx, manifestOf(t, i%20), entry.Source{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, ErrBusy):
				busy++
			case errors.Is(err, ErrUnpublished), errors.Is(err, context.Canceled):
				waiting++
			default:
				t.Errorf("%v", err)
			}
		})
	}
	eventually(t, "96 are refused", func() bool { mu.Lock(); defer mu.Unlock(); return busy >= 96 })
	cancel()
	wg.Wait()
	if busy+waiting != 100 {
		t.Errorf("%d busy, %d waiting", busy, waiting)
	}
	// The tree does not grow without bound while nothing is published.
	for i := range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err := l.Add(ctx, manifestOf(t, i), entry.Source{})
		cancel()
		if !errors.Is(err, ErrBusy) && !errors.Is(err, ErrUnpublished) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("manifest %d: %v", i, err)
		}
	}
	if now, err := l.store.treeState(); err != nil || now.Size > 4 {
		t.Errorf("%v, %v: more than MaxPending entries are unpublished", now, err)
	}
	w.witnesses[0].behave(nil)
	eventually(t, "entries are taken again", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := l.Add(ctx, manifestOf(t, 19), entry.Source{})
		return err == nil
	})
	w.witnesses[0].server.CloseClientConnections()
	eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= before+4 })
}

// STO-32
func TestStorageThatCannotTakeAnEntryRefusesBeforeTesseraSeesIt(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	l.probe.mu.Lock()
	l.probe.spare, l.probe.at = 1<<62, time.Time{}
	l.probe.mu.Unlock()
	eventually(t, "a look finds it", func() bool { return l.probe.check() != nil })
	if _, err := l.Add(t.Context(), manifestOf(t, 1), entry.Source{}); !errors.Is(err, ErrStorage) {
		t.Errorf("no space: %v", err)
	}
	if err := l.Health(t.Context()); !errors.Is(err, ErrStorage) {
		t.Errorf("health: %v", err)
	}
	if a := w.add(0); a.New { // what is there is still served
		t.Error("manifest 0 is new")
	}
	l.probe.mu.Lock()
	l.probe.spare, l.probe.at = 0, time.Time{}
	l.probe.mu.Unlock()
	eventually(t, "a look finds it", func() bool { return l.probe.check() == nil })
	if a := w.add(1); a.Entry.Index != 1 {
		t.Errorf("index %d", a.Entry.Index)
	}
}

func TestDescriptorsThatRunOutAreNoticedBeforeTesseraPanics(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("counting descriptors: %v", err)
	}
	var limit, low unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	low = limit
	low.Cur = uint64(len(open)) + 6
	l.probe.mu.Lock()
	l.probe.at = time.Time{} // what it found before does not count
	l.probe.mu.Unlock()
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	eventually(t, "a look finds it", func() bool { return l.probe.check() != nil })
	_, err = l.Add(t.Context(), manifestOf(t, 1), entry.Source{})
	health := l.Health(t.Context())
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	if !errors.Is(err, ErrStorage) || !errors.Is(err, unix.EMFILE) || !errors.Is(health, ErrStorage) {
		t.Errorf("add: %v, health: %v", err, health)
	}
	eventually(t, "health is well again", func() bool { return l.Health(t.Context()) == nil })
	if a := w.add(1); !a.New || a.Entry.Index != 1 {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
}

func TestADirectoryThatCannotBeWrittenIsNoticed(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	for _, dir := range []string{w.cfg.Dir, w.cfg.GuardDir} {
		obstacle := filepath.Join(dir, ".probe") // root may write everywhere, but not into a directory
		eventually(t, "no probe is in its place", func() bool { return os.Mkdir(obstacle, 0o700) == nil })
		eventually(t, "health says so", func() bool { return errors.Is(l.Health(t.Context()), ErrStorage) })
		if _, err := l.Add(t.Context(), manifestOf(t, 1), entry.Source{}); !errors.Is(err, ErrStorage) {
			t.Errorf("%s: %v", dir, err)
		}
		must(t, os.Remove(obstacle))
		eventually(t, "health is well again", func() bool { return l.Health(t.Context()) == nil })
	}
	w.add(1)
}

// STO-21
func TestAWriteReportedAsFailedIsFoundWhenItHappenedAllTheSame(t *testing.T) {
	w := newWorld(t, 1, 1)
	l := w.open()
	lying := false
	l.appender = &alteredAppender{l.appender, func(index int64, err error) (int64, error) {
		if lying {
			return 0, errors.Join(errors.New("fsync: input/output error"), err)
		}
		return index, err
	}}
	w.add(0)
	lying = true
	if _, err := l.Add(t.Context(), manifestOf(t, 1), entry.Source{}); !errors.Is(err, ErrStorage) {
		t.Fatalf("a failed write: %v", err)
	}
	lying = false
	if a := w.add(1); a.New || a.Entry.Index != 1 {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
	if a := w.add(2); !a.New || a.Entry.Index != 2 {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
	if found := w.indexesOf(); len(found) != 3 {
		t.Errorf("%d manifests", len(found))
	}
}

func TestCloseWaitsForEntriesAndThenRefuses(t *testing.T) {
	w := newWorld(t, 1, 1, func(c *Config) { c.BatchAge = 100 * time.Millisecond })
	l := w.open()
	result := make(chan error, 1)
	go func() {
		_, err := l.Add(context.Background(), manifestOf(t, 0), entry.Source{})
		result <- err
	}()
	eventually(t, "the entry is under way", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.writing == 1 })
	must(t, l.Close(context.Background()))
	if err := <-result; err != nil {
		t.Errorf("the entry under way: %v", err)
	}
	if _, err := l.Add(t.Context(), manifestOf(t, 1), entry.Source{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := l.Health(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("health: %v", err)
	}
	must(t, l.Close(context.Background()))
	w.log = nil
	w.open()
	if a := w.add(0); a.New {
		t.Error("the entry is lost")
	}
}

func TestCloseWithoutAQuorumDoesNotWaitForOne(t *testing.T) {
	w := newWorld(t, 2, 2)
	w.open()
	w.add(0)
	w.witnesses[1].behave(down)
	at := w.unpublished(1)
	started := time.Now()
	w.close()
	if d := time.Since(started); d > 10*time.Second {
		t.Errorf("closing took %v", d)
	}
	w.witnesses[1].behave(nil)
	w.open()
	if a := w.add(1); a.New || a.Entry.Index != at {
		t.Errorf("new %v, index %d, was %d", a.New, a.Entry.Index, at)
	}
}

func TestTheClockMayStepBack(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	w := newWorld(t, 1, 1, func(c *Config) {
		c.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(-time.Hour)
			return now
		}
	})
	w.open()
	for i := range 3 {
		w.add(i)
	}
	// A checkpoint file of Tessera's from the future would silence Tessera for an hour.
	w.close()
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(w.cfg.Dir, "checkpoint"), future, future); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	w.open()
	w.add(3)
}

// STO-3
func TestABadConfigurationIsRefused(t *testing.T) {
	w := newWorld(t, 2, 2)
	other, _, err := trust.GenerateKey(seed("another"), testOrigin, trust.Ed25519)
	must(t, err)
	foreign, err := trust.NewLogSigner(other)
	must(t, err)
	unreachable, err := trust.ParsePolicy(trust.FormatPolicy(w.cfg.Policy.Logs(),
		[]trust.PolicyWitness{{Name: "w1", VKey: w.witnesses[0].vkeys[0]}}, 1))
	must(t, err)
	x, err := index.Open(filepath.Join(w.dir, "index"), testOrigin)
	must(t, err)
	defer x.Close()
	for name, change := range map[string]func(*Config){
		"no dir":            func(c *Config) { c.Dir = "" },
		"no guard":          func(c *Config) { c.GuardDir = "" },
		"no signer":         func(c *Config) { c.Signer = nil },
		"no policy":         func(c *Config) { c.Policy = nil },
		"no index":          func(c *Config) { c.Index = nil },
		"no TSA":            func(c *Config) { c.Timestamps = TimestampsRequired },
		"odd timestamps":    func(c *Config) { c.Timestamps = "sometimes" },
		"negative interval": func(c *Config) { c.Interval = -1 },
		"negative age":      func(c *Config) { c.BatchAge = -1 },
		"negative pending":  func(c *Config) { c.MaxPending = -1 },
		"same path":         func(c *Config) { c.GuardDir = c.Dir },
		"guard in the log":  func(c *Config) { c.GuardDir = filepath.Join(c.Dir, "guard") },
		"foreign key":       func(c *Config) { c.Signer = foreign },
		"no quorum to have": func(c *Config) { c.Policy = unreachable },
	} {
		cfg := w.cfg
		cfg.Index = x
		change(&cfg)
		if l, err := Open(t.Context(), cfg); err == nil {
			t.Errorf("%s: opened", name)
			l.Close(context.Background())
		}
	}
	if err := Create(t.Context(), w.cfg); !errors.Is(err, os.ErrExist) {
		t.Errorf("creating over a log: %v", err)
	}
	must(t, os.RemoveAll(w.cfg.GuardDir))
	if err := Create(t.Context(), w.cfg); !errors.Is(err, os.ErrExist) {
		t.Errorf("creating a guard for an old log: %v", err)
	}
}

func TestAnIndexOfAnotherPastIsDerivedAgain(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 5)
	w.close()
	foreign := func(n int64) {
		t.Helper()
		must(t, os.RemoveAll(filepath.Join(w.dir, "index")))
		x, err := index.Open(filepath.Join(w.dir, "index"), testOrigin)
		must(t, err)
		defer x.Close()
		var list []entry.Logged
		for i := range n {
			list = append(list, entry.Logged{Index: i, Entry: entry.Entry{ManifestSHA256: [32]byte{byte(i)}, SubmittedAt: testTime}})
		}
		must(t, x.Append(t.Context(), 0, list))
	}
	for _, n := range []int64{6, 5, 3} {
		foreign(n)
		w.open()
		for i := range 5 {
			if a := w.add(i); a.New {
				t.Errorf("%d foreign rows: manifest %d is new", n, i)
			}
		}
		must(t, w.log.Health(t.Context()))
		w.close()
	}
}

package ledger

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

func TestWhatAConfigurationLeavesOutIsAsItIsDocumented(t *testing.T) {
	w := newWorld(t, 0, 0)
	cfg, err := Config{Dir: "log", GuardDir: "guard", Signer: w.cfg.Signer, Policy: w.cfg.Policy}.withDefaults()
	must(t, err)
	if cfg.Timestamps != TimestampsRequired || cfg.Interval != 200*time.Millisecond || cfg.Scrub != 10*time.Minute || cfg.BatchSize != 256 ||
		cfg.BatchAge != 10*time.Millisecond || cfg.MaxPending != 4096 || cfg.Now == nil || cfg.Log == nil {
		t.Errorf("defaults %+v", cfg)
	}
	here, err := os.Getwd()
	must(t, err)
	if cfg.Dir != filepath.Join(here, "log") || cfg.GuardDir != filepath.Join(here, "guard") || cfg.SpoolDir != filepath.Join(here, "log.spool") {
		t.Errorf("paths %s, %s, %s", cfg.Dir, cfg.GuardDir, cfg.SpoolDir)
	}
	for name, test := range map[string]struct {
		change func(*Config)
		good   bool
	}{
		"the largest batch":                {func(c *Config) { c.BatchSize = 65536 }, true},
		"a larger batch":                   {func(c *Config) { c.BatchSize = 65537 }, false},
		"the most pending":                 {func(c *Config) { c.MaxPending = 16777216 }, true},
		"more pending":                     {func(c *Config) { c.MaxPending = 16777217 }, false},
		"a negative scrub":                 {func(c *Config) { c.Scrub = -1 }, false},
		"preferred timestamps":             {func(c *Config) { c.Timestamps = TimestampsPreferred }, true},
		"no timestamps":                    {func(c *Config) { c.Timestamps = TimestampsOff }, true},
		"a guard with the log's name in's": {func(c *Config) { c.GuardDir = "log-guard" }, true},
		"a guard with dots in its name":    {func(c *Config) { c.GuardDir = "log/..guard" }, false},
		"a guard beside, by way of it":     {func(c *Config) { c.GuardDir = "log/../guard" }, true},
		"a guard of another log":           {func(c *Config) { c.GuardDir = "elsewhere/log/guard" }, true},
	} {
		cfg := Config{Dir: "log", GuardDir: "guard", Signer: w.cfg.Signer, Policy: w.cfg.Policy}
		test.change(&cfg)
		if _, err := cfg.withDefaults(); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALogIsNotCreatedWhereSomethingElseIs(t *testing.T) {
	for name, occupy := range map[string]func(*Config) error{
		"a file for the log":     func(c *Config) error { return os.WriteFile(c.Dir, nil, 0o600) },
		"a file for the guard":   func(c *Config) error { return os.WriteFile(c.GuardDir, nil, 0o600) },
		"something in the log":   func(c *Config) error { return os.MkdirAll(filepath.Join(c.Dir, "x"), 0o700) },
		"something in the guard": func(c *Config) error { return os.MkdirAll(filepath.Join(c.GuardDir, "x"), 0o700) },
		"a log below a file":     func(c *Config) error { must(t, os.WriteFile(c.Dir, nil, 0o600)); c.Dir += "/log"; return nil },
		"a guard below a file": func(c *Config) error {
			must(t, os.WriteFile(c.GuardDir, nil, 0o600))
			c.GuardDir += "/guard"
			return nil
		},
		"a link to nothing, for the log": func(c *Config) error { return os.Symlink("nowhere", c.Dir) },
	} {
		w := newWorld(t, 0, 0)
		cfg := w.cfg
		dir := t.TempDir()
		cfg.Dir, cfg.GuardDir = filepath.Join(dir, "log"), filepath.Join(dir, "guard")
		must(t, occupy(&cfg))
		if err := Create(t.Context(), cfg); err == nil {
			t.Errorf("%s: created", name)
		}
		if _, err := os.Stat(filepath.Join(cfg.GuardDir, identityFile)); err == nil {
			t.Errorf("%s: there is a guard", name)
		}
	}
}

// A Timestamper that answers nothing, or falls over, has given no timestamp.
func TestATimestamperThatAnswersNothingGivesNoTimestamp(t *testing.T) {
	for name, answer := range map[string]func() (*timestamp.Token, error){
		"nothing":             func() (*timestamp.Token, error) { return nil, nil },
		"no token":            func() (*timestamp.Token, error) { return &timestamp.Token{}, nil },
		"an error":            func() (*timestamp.Token, error) { return nil, errors.New("no answer") },
		"a token of no bytes": func() (*timestamp.Token, error) { return &timestamp.Token{DER: []byte{}}, nil },
	} {
		for _, mode := range []TimestampMode{TimestampsRequired, TimestampsPreferred} {
			w := newWorld(t, 0, 0, func(c *Config) {
				c.Timestamps = mode
				c.TSA = tsaFunc(func(context.Context, [32]byte) (*timestamp.Token, error) { return answer() })
			})
			l := w.open()
			a, err := l.Add(t.Context(), manifestOf(t, 0), entry.Source{})
			now, treeErr := l.store.treeState()
			must(t, treeErr)
			if mode == TimestampsRequired && (!errors.Is(err, ErrTimestamp) || a != nil || now.Size != 0) {
				t.Errorf("%s, required: %v, %v, tree of %d", name, a, err, now.Size)
			}
			if mode == TimestampsPreferred && (err != nil || a.Entry.Entry.TimestampToken != nil || now.Size != 1) {
				t.Errorf("%s, preferred: %v, %v, tree of %d", name, a, err, now.Size)
			}
		}
	}
}

// lyingIndex says what it is told to say of a manifest, and counts how often it is reset.
type lyingIndex struct {
	Index
	find  atomic.Pointer[func() (int64, bool, error)]
	reset atomic.Int64
}

func (x *lyingIndex) Find(ctx context.Context, digest trust.Digest) (int64, bool, error) {
	if f := x.find.Load(); f != nil {
		return (*f)()
	}
	return x.Index.Find(ctx, digest)
}

func (x *lyingIndex) Reset(int64, error) { x.reset.Add(1) }

// A hit of the index is read back from the log before anybody is told of it.
// STO-20
func TestAPlaceThatTheIndexNamesIsComparedWithTheLog(t *testing.T) {
	w := newWorld(t, 0, 0)
	x := &lyingIndex{}
	w.wrapIndex = func(real Index) Index { x.Index = real; return x }
	l := w.open()
	w.add(0)
	w.add(1)
	trouble := errors.New("input/output error")
	for name, lie := range map[string]struct {
		find  func() (int64, bool, error)
		reset int64
	}{
		"the place of another manifest": {func() (int64, bool, error) { return 0, true, nil }, 1},
		"the end of the log":            {func() (int64, bool, error) { return 2, true, nil }, 1},
		"a place far beyond it":         {func() (int64, bool, error) { return 1 << 62, true, nil }, 1},
		"a place before it":             {func() (int64, bool, error) { return -1, true, nil }, 1},
		"an error":                      {func() (int64, bool, error) { return 0, false, trouble }, 0},
		"an error and a place":          {func() (int64, bool, error) { return 0, true, trouble }, 0},
	} {
		before := x.reset.Load()
		x.find.Store(&lie.find)
		a, err := l.Add(t.Context(), manifestOf(t, 2), entry.Source{})
		if a != nil || !errors.Is(err, ErrIndexing) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
		if n := x.reset.Load() - before; n != lie.reset {
			t.Errorf("%s: the index was reset %d times, want %d", name, n, lie.reset)
		}
		if now, err := l.store.treeState(); err != nil || now.Size != 2 {
			t.Errorf("%s: tree of %d, %v", name, now.Size, err)
		}
	}
	x.find.Store(nil)
	if a := w.add(2); !a.New || a.Entry.Index != 2 {
		t.Errorf("afterwards: %+v", a.Entry)
	}
	if a := w.add(0); a.New || a.Entry.Index != 0 {
		t.Errorf("a manifest that is there: %+v", a.Entry)
	}
}

func TestWhoGaveUpGetsNoAnswer(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	cp, err := l.Checkpoint(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if cp, err := l.Checkpoint(ctx); !errors.Is(err, context.Canceled) || cp != nil {
		t.Errorf("checkpoint: %v, %v", cp, err)
	}
	if a, err := l.Prove(ctx, 0); !errors.Is(err, context.Canceled) || a != nil {
		t.Errorf("proof: %v, %v", a, err)
	}
	if data, err := l.Tile(ctx, "tile/0/000.p/1"); !errors.Is(err, context.Canceled) || data != nil {
		t.Errorf("tile: %x, %v", data, err)
	}
	for e, err := range l.Entries(ctx, cp, 0) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("entry %d, %v", e.Index, err)
		}
	}
	if a, err := l.Add(ctx, manifestOf(t, 1), entry.Source{}); err == nil || a != nil {
		t.Errorf("submission: %v, %v", a, err)
	}
}

func TestEntriesAreThoseOfTheCheckpointFromAStartOn(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.addAll(0, 5)
	cp, err := l.Checkpoint(t.Context())
	must(t, err)
	for start := int64(-2); start <= 7; start++ {
		for stop := int64(1); stop <= 6; stop++ { // a reader may stop
			next, failed := max(start, 0), false
			for e, err := range l.Entries(t.Context(), cp, start) {
				if err != nil {
					failed = errors.Is(err, ErrNotFound)
					continue
				}
				if e.Index != next {
					t.Errorf("from %d: entry %d, want %d", start, e.Index, next)
				}
				if next++; next == stop {
					break
				}
			}
			want := max(start, 0)
			if start >= 0 && start < 5 {
				want = min(max(stop, start+1), 5)
				if stop <= start {
					want = 5
				}
			}
			if failed != (start < 0) || next != want {
				t.Errorf("from %d to %d: ends before %d, want %d; no such entry: %t", start, stop, next, want, failed)
			}
		}
	}
	larger := *cp
	larger.Size++
	for e, err := range l.Entries(t.Context(), &larger, 0) {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("of a larger tree: %d, %v", e.Index, err)
		}
	}
}

func TestARejectionNamesItsCodes(t *testing.T) {
	for want, r := range map[string]*Rejected{
		"manifest does not verify":       {},
		"manifest does not verify: A":    {[]manifest.Finding{{Code: "A"}}},
		"manifest does not verify: A, B": {[]manifest.Finding{{Code: "A"}, {Code: "B"}}},
	} {
		if r.Error() != want {
			t.Errorf("%q, want %q", r, want)
		}
	}
}

// What cannot be checked is not sound.
func TestFsckOfWhatCannotBeReadIsAnError(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 3)
	w.close()
	for name, harm := range map[string]func(w *world){
		"no guard":                  func(w *world) { must(t, os.RemoveAll(w.cfg.GuardDir)) },
		"no signed tree":            func(w *world) { w.remove("../guard/signed") },
		"an empty signed tree":      func(w *world) { w.write("../guard/signed", nil) },
		"half of the signed tree":   func(w *world) { w.truncate("../guard/signed", 10) },
		"a directory for that file": func(w *world) { w.remove("../guard/signed"); must(t, os.Mkdir(w.path("../guard/signed"), 0o700)) },
		"no log":                    func(w *world) { must(t, os.RemoveAll(w.cfg.Dir)) },
	} {
		c := w.copyTo(t)
		harm(c)
		_, _, err := Fsck(t.Context(), c.cfg.Dir, c.cfg.GuardDir, nil, func(d Damage) {})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if none := name == "no guard" || name == "no signed tree"; err != nil && none != strings.Contains(err.Error(), "there is no guard in") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Fsck(ctx, w.cfg.Dir, w.cfg.GuardDir, nil, func(Damage) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	var found []string
	size, root, err := Fsck(t.Context(), w.cfg.Dir, w.cfg.GuardDir, nil, func(d Damage) { found = append(found, d.Path) })
	if err != nil || size != 3 || root == trust.EmptyRoot || len(found) != 0 {
		t.Errorf("a sound log: size %d, %s, %v", size, strings.Join(found, " "), err)
	}
}

// givenUpIndex is one whose reader gives up while it is checked, and which then says that it is damaged.
type givenUpIndex struct {
	Index
	giveUp context.CancelFunc
}

func (x givenUpIndex) Size(context.Context) (int64, error) { return 2, nil }
func (x givenUpIndex) Lost() error                         { return errors.New("read halfway") }

func (x givenUpIndex) Check(ctx context.Context, pace func(context.Context) error) error {
	x.giveUp()
	return pace(ctx)
}

func TestFsckThatIsGivenUpAccusesNobody(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 3)
	w.close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, _, err := Fsck(ctx, w.cfg.Dir, w.cfg.GuardDir, givenUpIndex{giveUp: cancel}, func(d Damage) { t.Errorf("reported %v", d) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

func TestAClosedLogHoldsItsDirectoryNoMore(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	if _, err := l.store.root.Stat("."); err != nil {
		t.Fatal(err)
	}
	w.close()
	if _, err := l.store.root.Stat("."); !errors.Is(err, os.ErrClosed) {
		t.Errorf("still open: %v", err)
	}
}

// What is not in the books of the spool is nobody's: its file stays, and nothing is said.
func TestAFileThatTheSpoolDoesNotKnowIsLeftAlone(t *testing.T) {
	var logged bytes.Buffer
	s := newSpool(t.TempDir(), slog.New(slog.NewTextHandler(&logged, nil)))
	digest := trust.Digest{1}
	must(t, os.WriteFile(s.path(digest), []byte("somebody's"), 0o600))
	s.remove(digest)
	must(t, s.setAside(digest, errors.New("a reason")))
	s.remove(trust.Digest{2})
	must(t, s.setAside(trust.Digest{2}, errors.New("a reason")))
	if text, err := os.ReadFile(s.path(digest)); err != nil || string(text) != "somebody's" || logged.Len() != 0 {
		t.Errorf("the file is %q, %v; logged %s", text, err, &logged)
	}
	if s.bytes != 0 || len(s.files) != 0 {
		t.Errorf("the books say %d bytes in %d files", s.bytes, len(s.files))
	}
}

// When an index is reset, the log may have grown since the lie was told. What was logged meanwhile has left
// pending, so an index that has not got it again must not deny it: it would be logged twice.
func TestAResetExpectsWhatWasLoggedMeanwhile(t *testing.T) {
	w := newWorld(t, 0, 0)
	x := &resetIndex{}
	w.wrapIndex = func(real Index) Index { x.Index = real; return x }
	l := w.open()
	first := w.add(0)
	meanwhile := make(chan error, 1)
	holds := func() bool { _, ok, err := x.Index.Find(t.Context(), digestOf(t, 1)); return ok && err == nil }
	x.before = func() {
		go func() {
			_, err := l.Add(context.Background(), manifestOf(t, 1), entry.Source{})
			meanwhile <- err
		}()
		eventually(t, "manifest 1 is in the index, or in the tree and kept out of the index", func() bool {
			now, err := l.store.treeState()
			must(t, err)
			if l.follower.mu.TryLock() {
				l.follower.mu.Unlock()
				return holds()
			}
			return now.Size == 2
		})
	}
	x.after = func() { // the follower comes as far as entry 0
		must(t, x.Index.Append(t.Context(), 0, []entry.Logged{first.Entry}))
		a, err := l.Add(t.Context(), manifestOf(t, 1), entry.Source{})
		if err != nil && !errors.Is(err, ErrIndexing) {
			t.Error(err)
		} else if err == nil && a.Entry.Index != 1 {
			t.Errorf("manifest 1 is logged twice: at 1 and at %d", a.Entry.Index)
		}
	}
	x.lies.Store(true)
	if _, err := l.Add(t.Context(), manifestOf(t, 2), entry.Source{}); !errors.Is(err, ErrIndexing) {
		t.Errorf("a lie of the index: %v", err)
	}
	must(t, <-meanwhile)
	eventually(t, "the index is whole again", func() bool { return l.cfg.Index.Complete() == nil })
	if a := w.add(1); a.New || a.Entry.Index != 1 {
		t.Errorf("manifest 1 at the end: new %v at %d", a.New, a.Entry.Index)
	}
}

// resetIndex lies once, and lets a test act around its Reset.
type resetIndex struct {
	Index
	lies          atomic.Bool
	before, after func()
}

func (x *resetIndex) Find(ctx context.Context, digest trust.Digest) (int64, bool, error) {
	if x.lies.CompareAndSwap(true, false) {
		return 0, true, nil
	}
	return x.Index.Find(ctx, digest)
}

func (x *resetIndex) Reset(size int64, why error) {
	x.before()
	x.Index.Reset(size, why)
	x.after()
}

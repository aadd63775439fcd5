package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"k8s.io/klog/v2"
)

// tesseraInterval is how often Tessera rewrites its own checkpoint file. Its garbage
// collection reads the size from there, and nobody else anything.
const tesseraInterval = 500 * time.Millisecond

// tesseraConfig is all that Tessera has to know.
type tesseraConfig struct {
	Dir       string
	Origin    string
	BatchSize uint
	BatchAge  time.Duration
}

// tesseraAppender runs Tessera's POSIX storage in this process. Some of its panics are in
// goroutines of its own and end the process: see ServeAppender.
type tesseraAppender struct {
	cfg tesseraConfig
	log *slog.Logger

	mu      sync.Mutex
	tessera *tessera.Appender // guarded by mu; nil: not started, or it could not be
	stop    func()            // guarded by mu
}

func (a *tesseraAppender) add(leaf []byte) (int64, error) {
	if err := a.start(); err != nil {
		return 0, fmt.Errorf("%w: %w", errUntouched, err)
	}
	answer := a.begin(leaf)()
	return answer.index, answer.err
}

// begin gives the leaf to Tessera; what it returns waits for the outcome. Tessera looks at no
// context, neither here nor there. It must have been started.
func (a *tesseraAppender) begin(leaf []byte) func() answered {
	future := a.tessera.Add(context.Background(), tessera.NewEntry(leaf))
	return func() answered {
		at, err := future()
		if err == nil && at.Index > 1<<62 {
			err = fmt.Errorf("index %d is absurd", at.Index)
		}
		if err != nil {
			return answered{err: err}
		}
		return answered{index: int64(at.Index)}
	}
}

func (a *tesseraAppender) trouble() error { return a.start() }

// start starts Tessera unless it runs. Storage that refuses is asked again by the next call.
func (a *tesseraAppender) start() (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tessera == nil {
		a.tessera, a.stop, err = startTessera(a.cfg, a.log)
	}
	return err
}

func (a *tesseraAppender) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
}

// startTessera opens Tessera's POSIX storage. stop ends it; every future must have
// resolved by then.
func startTessera(cfg tesseraConfig, log *slog.Logger) (_ *tessera.Appender, stop func(), err error) {
	logTesseraTo(log)
	if err := removeCheckpoints(cfg.Dir); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		// Opening, it panics when it cannot lock its state.
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: Tessera: %v", ErrStorage, r)
		}
		if err != nil {
			cancel()
		}
	}()
	driver, err := posix.New(ctx, posix.Config{Path: cfg.Dir})
	if err != nil {
		return nil, nil, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(throwawaySigner(cfg.Origin)).
		WithBatching(cfg.BatchSize, cfg.BatchAge).
		WithCheckpointInterval(tesseraInterval).
		WithCheckpointRepublishInterval(0).
		WithGarbageCollectionInterval(time.Minute)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return nil, nil, err
	}
	return appender, func() {
		// Shutdown refuses further entries and then waits for Tessera's own
		// checkpoint file, which is worth nothing to us: its context is over.
		cancel()
		_ = shutdown(ctx)
	}, nil
}

// removeCheckpoints removes Tessera's own checkpoint file, and the unfinished copies of it
// (checkpoint and digits) that it leaves on a full disk, two a second. Tessera decides by the age
// and content of that file whether to write it again: a torn one, or one from before the clock
// stepped back, would stay for ever.
func removeCheckpoints(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), "checkpoint") {
			continue
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// throwawaySigner signs Tessera's internal checkpoint file in the log's name with a signature
// that no key verifies: should the file ever be served by mistake, nobody believes it.
type throwawaySigner string

func (s throwawaySigner) Name() string                  { return string(s) }
func (throwawaySigner) KeyHash() uint32                 { return 0 }
func (throwawaySigner) Sign(msg []byte) ([]byte, error) { return []byte("internal to the ledger"), nil }

var tesseraLog sync.Once

// logTesseraTo is the one place that touches klog, which is global and may be set
// only before anybody logs: the first log that is opened decides.
func logTesseraTo(log *slog.Logger) {
	tesseraLog.Do(func() { klog.SetSlogLogger(slog.New(expected{log.With("from", "tessera").Handler()})) })
}

// expected leaves out the one thing that Tessera says at each start and that is no news: its own checkpoint file is
// not there, because nothing here wants one.
type expected struct{ slog.Handler }

func (h expected) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "Failed to fetch old checkpoint: ") && strings.HasSuffix(strings.TrimSpace(r.Message), fs.ErrNotExist.Error()) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h expected) WithAttrs(attrs []slog.Attr) slog.Handler {
	return expected{h.Handler.WithAttrs(attrs)}
}
func (h expected) WithGroup(name string) slog.Handler { return expected{h.Handler.WithGroup(name)} }

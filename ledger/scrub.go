package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// damages is what was found in the log's files and has not been seen whole since.
type damages struct {
	log *slog.Logger

	mu   sync.Mutex
	list map[tlog.Tile]Damage
}

func newDamages(log *slog.Logger) *damages {
	return &damages{log: log, list: map[tlog.Tile]Damage{}}
}

const maxDamages = 1000 // of a lost disk, the first will do

// found keeps and logs d, once. A nil receiver keeps nothing.
func (d *damages) found(t tlog.Tile, damage Damage) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.list[t]; known || len(d.list) >= maxDamages {
		return
	}
	d.list[t] = damage
	d.log.Error("the log is damaged, and what is damaged is not served: restore the file from a copy", "file", damage.Path,
		"start", damage.Start, "end", damage.End, "err", damage.Err)
}

// mended forgets what was wrong with the file of t.
func (d *damages) mended(t tlog.Tile) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.list[t]; known {
		delete(d.list, t)
		d.log.Info("a damaged file of the log is whole again", "file", tiles.Path(t))
	}
}

// recheck looks again at every file that was found damaged.
func (d *damages) recheck(r *reader) {
	d.mu.Lock()
	known := slices.Collect(maps.Keys(d.list))
	d.mu.Unlock()
	for _, t := range known {
		wide := tiles.Widest(t.L, t.N, r.tree.Size)
		readAndReport(r, wide)
		if t != wide { // the tree has a wider one by now
			d.mu.Lock()
			delete(d.list, t)
			d.mu.Unlock()
		}
	}
}

// reason names the damaged ranges, the first few.
func (d *damages) reason() *Reason {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) == 0 {
		return nil
	}
	list := slices.SortedFunc(maps.Values(d.list), func(a, b Damage) int {
		return int(min(max(a.Start-b.Start, -1), 1))
	})
	public := "The log is damaged, and what is damaged is not served:"
	for i, damage := range list {
		if i == 5 {
			public += fmt.Sprintf(" and %d more", len(list)-i)
			break
		}
		if i > 0 {
			public += ";"
		}
		public += fmt.Sprintf(" entries %d to %d (%s)", damage.Start, damage.End-1, damage.Path)
	}
	return &Reason{"damage", public + ".", fmt.Errorf("%w: %w", ErrUnreadable, list[0])}
}

// scrubber reads the whole log and its index again and again, evenly spread over a period,
// so that damage is found before somebody needs what it hit. It keeps some tiles in memory.
type scrubber struct {
	reader  func() *reader // of the published tree as it is now
	archive *archive       // nil has none
	index   Index
	every   time.Duration
	log     *slog.Logger
	done    chan struct{}

	period atomic.Int64 // of the pass under way

	// of the pass under way; they belong to run
	begun        time.Time
	steps, taken int64
}

func newScrubber(reader func() *reader, cfg *Config) *scrubber {
	s := &scrubber{reader: reader, index: cfg.Index, every: cfg.Scrub, log: cfg.Log, done: make(chan struct{})}
	s.period.Store(int64(s.planned((reader().tree.Size + tiles.Width - 1) / tiles.Width)))
	return s
}

const (
	scrubEvery   = 10 * time.Minute
	scrubFastest = 64 // steps in a second; one is a bundle with its tile, a segment of checkpoints, or 64 KiB of the index
	recheckEvery = 2 * time.Second
)

// run ends with ctx.
func (s *scrubber) run(ctx context.Context) {
	defer close(s.done)
	for ctx.Err() == nil {
		if err := s.pass(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("reading the log and its index again", "err", err)
			sleep(ctx, recheckEvery)
		}
	}
}

// pass reads everything once. The index goes first: a second entry for a manifest is for ever.
func (s *scrubber) pass(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	size := s.reader().tree.Size
	kept := s.archive.size()
	s.begun, s.taken, s.steps = time.Now(), 0, (size+tiles.Width-1)/tiles.Width+(kept+tiles.Width-1)/tiles.Width+s.index.Steps()+1
	s.period.Store(int64(s.planned(s.steps)))
	if err := s.index.Check(ctx, s.pace); err != nil && ctx.Err() == nil {
		s.log.Error("a part of the index is damaged and is derived again from the log", "err", err)
	}
	for n := int64(0); n*tiles.Width < size; n++ {
		if err := s.pace(ctx); err != nil {
			return err
		}
		r := s.reader()
		for _, t := range tilesEndingWith(n, r.tree.Size) {
			readAndReport(r, t)
		}
	}
	for n := int64(0); n*tiles.Width < kept; n++ {
		if err := s.pace(ctx); err != nil {
			return err
		}
		_, _ = s.archive.bundle(n, 1) // all of the segment is verified, and what is wrong with it noted
	}
	return s.pace(ctx)
}

// planned is how long a pass of so many steps takes.
func (s *scrubber) planned(steps int64) time.Duration {
	return max(s.every, time.Duration(steps)*time.Second/scrubFastest)
}

// tilesEndingWith lists the n-th bundle, the tile above it, and those above that whose last full tile it ends.
func tilesEndingWith(n, size int64) []tlog.Tile {
	list := []tlog.Tile{tiles.Widest(-1, n, size)}
	for level := 0; ; level++ {
		list = append(list, tiles.Widest(level, n, size))
		if full := tiles.Count(level+1, size); (n+1)%tiles.Width != 0 && n+1 != full || n >= full {
			return list
		}
		n /= tiles.Width
	}
}

// readAndReport reads one file; what is wrong with it is reported on the way.
func readAndReport(r *reader, t tlog.Tile) {
	var err error
	if t.L < 0 {
		_, _, err = r.readBundle(t, 0, t.W)
	} else {
		_, err = r.readTile(t)
	}
	if err == nil {
		r.store.damages.mended(t)
	}
}

// pace waits until the next step is due. Meanwhile what is known to be damaged is looked at
// again and again, so that a file that was restored is served at once.
func (s *scrubber) pace(ctx context.Context) error {
	due := s.begun.Add(time.Duration(float64(s.period.Load()) * float64(s.taken) / float64(s.steps)))
	s.taken++
	for ctx.Err() == nil {
		wait := time.Until(due)
		if wait <= 0 {
			return nil
		}
		sleep(ctx, min(wait, recheckEvery))
		if r := s.reader(); r.store.damages != nil {
			r.store.damages.recheck(r)
			s.archive.recheck()
		}
	}
	return ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ScrubPeriod is how long it takes at present until every byte of the log and of its index has
// been read again and verified. It is Config.Scrub unless the log is too large for that.
func (l *Log) ScrubPeriod() time.Duration { return time.Duration(l.scrubber.period.Load()) }

package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// follower feeds the index from the integrated tree, in order. The index thus knows
// entries before they are published, and that is what deduplication needs.
type follower struct {
	store   *store
	index   Index
	log     *slog.Logger
	freeze  func(error)
	indexed func([]entry.Logged) // told after each batch that the index holds: in memory perhaps, but the tree is durable

	grown   chan struct{} // capacity 1
	done    chan struct{}
	trouble atomic.Pointer[error]

	mu   sync.Mutex   // one batch at a time
	size atomic.Int64 // the index's, as it was seen last
}

const (
	followBatch = 4 * tiles.Width // entries in one step
	followEvery = time.Second     // at least: damage makes the index shrink, and nobody calls
	startBatch  = 1 << 14         // so many entries are indexed before the log is open, more of them after it
)

// newFollower makes sure that the index can belong to the log as it is integrated: one that
// cannot is forgotten, and derived again like one that was deleted.
func newFollower(ctx context.Context, s *store, x Index, now tree, log *slog.Logger) (*follower, error) {
	size, err := x.Size(ctx)
	if err != nil {
		return nil, err
	}
	var foreign error
	if size > now.Size {
		foreign = fmt.Errorf("the index holds %d entries, the log only %d: it is the index of another past", size, now.Size)
	} else if size > 0 {
		// Each record was once derived from a leaf. If that of the last one still is, then so, as
		// far as a cache goes, are the others; a hit is compared with its leaf anyway.
		last, err := readEntry(s, now.Size, size-1)
		if err != nil {
			return nil, err
		}
		if index, ok, err := x.Find(ctx, last.Entry.ManifestSHA256); err == nil && (!ok || index != size-1) {
			foreign = fmt.Errorf("the index does not know entry %d of the log: it is the index of another past", size-1)
		}
	}
	if foreign != nil {
		x.Reset(now.Size, foreign)
	}
	x.Expect(now.Size)
	f := &follower{store: s, index: x, log: log, grown: make(chan struct{}, 1), done: make(chan struct{})}
	return f, nil
}

// begin brings in what the last process had no time for. If that is much, it is done in
// the background: the log is read meanwhile, and takes no entries.
func (f *follower) begin(ctx context.Context, size int64) error {
	have, err := f.indexSize(ctx)
	if err != nil {
		return err
	}
	if lost := f.index.Lost(); lost != nil {
		f.log.Error("a part of the index is lost, and derived again from the log", "from", have, "to", size, "err", lost)
	}
	if size-have > startBatch {
		f.log.Info("the index is derived from the log; until then nothing is logged", "from", have, "to", size)
		f.notify() // run, which begins soon, does the rest
		return nil
	}
	return f.catchUp(ctx)
}

// why is what keeps the index from following, nil if nothing does.
func (f *follower) why() error {
	if err := f.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

var errPanicked = errors.New("indexing panicked")

// notify says that the tree may have grown. It never blocks.
func (f *follower) notify() {
	select {
	case f.grown <- struct{}{}:
	default:
	}
}

// run follows the tree until ctx ends, told by notify or, since damage makes the index shrink by itself, by the clock.
func (f *follower) run(ctx context.Context) {
	defer close(f.done)
	timer := time.NewTimer(followEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.grown:
		case <-timer.C:
		}
		switch err := f.catchUp(ctx); {
		case err == nil:
			f.trouble.Store(nil)
		case ctx.Err() != nil:
			return
		case errors.Is(err, errDamaged), errors.Is(err, errPanicked):
			f.freeze(err)
			return
		default:
			if f.trouble.Swap(&err) == nil {
				f.log.Error("the index does not follow the log", "err", err)
			}
		}
		timer.Reset(followEvery)
	}
}

// catchUp brings the index to the size that the tree has when it is called, or beyond: the follower may be at it too. An
// entry of the log that is no entry is errDamaged: nothing but this package writes them. A panic of the index is
// errPanicked, whoever called: the process serves on.
func (f *follower) catchUp(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanicked, r, debug.Stack())
		}
	}()
	now, err := f.store.treeState()
	if err != nil {
		return err
	}
	for more := true; more; {
		if more, err = f.step(ctx, now.Size); err != nil {
			return err
		}
	}
	return nil
}

// step indexes one batch of the tree of the size; false says that there was nothing to do. It reads one bundle at a time,
// each compared with its leaf hashes: a damaged entry is never indexed.
//
// The index says by its size where to go on, and not the follower: it may have lost a part (STO-29) since the last batch.
func (f *follower) step(ctx context.Context, size int64) (more bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	have, err := f.indexSize(ctx)
	if err != nil || have >= size {
		return false, err
	}
	var batch []entry.Logged
	for start := have; start < min(size, have+followBatch); {
		end := min(size, (start/tiles.Width+1)*tiles.Width)
		entries, err := readEntries(f.store, size, start, end)
		if err != nil {
			return false, err
		}
		batch, start = append(batch, entries...), end
	}
	if err := f.index.Append(ctx, have, batch); err != nil {
		if now, sizeErr := f.indexSize(ctx); sizeErr == nil && now < have {
			return true, nil // it shrank meanwhile
		}
		return false, err
	}
	f.size.Store(have + int64(len(batch)))
	if f.indexed != nil {
		f.indexed(batch)
	}
	return true, nil
}

// reset forgets an index that has told a lie, and returns why. Nothing is indexed while it holds mu, so
// the tree that it reads has every entry that the index ever held: each is expected again. With an
// earlier size, one that left Log.pending since would be neither expected nor found, and logged twice.
func (f *follower) reset(why error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := f.store.treeState()
	if err != nil {
		return errors.Join(why, err) // whoever asks next finds the lie again
	}
	f.index.Reset(now.Size, why)
	return why
}

// indexSize also tells when the index has shrunk.
func (f *follower) indexSize(ctx context.Context) (int64, error) {
	size, err := f.index.Size(ctx)
	if err != nil {
		return 0, err
	}
	if was := f.size.Swap(size); size < was {
		f.log.Error("a part of the index is lost, and derived again from the log; until then nothing is logged",
			"from", size, "to", was, "err", f.index.Lost())
	}
	return size, nil
}

// readEntry reads one entry of the tree of the size.
func readEntry(s *store, size, index int64) (entry.Logged, error) {
	entries, err := readEntries(s, size, index, index+1)
	if err != nil {
		return entry.Logged{}, err
	}
	return entries[0], nil
}

// readEntries reads entries of one bundle, compared with their leaf hashes.
func readEntries(s *store, size, start, end int64) ([]entry.Logged, error) {
	leaves, err := s.leaves(size, start, end)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	return parseEntries(start, leaves)
}

// parseEntries reads leaves that stand in the log from start on. Nothing but this package puts any there, and only
// after it has parsed them, so one that does not parse is damage.
func parseEntries(start int64, leaves [][]byte) ([]entry.Logged, error) {
	entries := make([]entry.Logged, len(leaves))
	for i, leaf := range leaves {
		index := start + int64(i)
		e, err := entry.Parse(leaf)
		if err != nil {
			return nil, fmt.Errorf("%w: leaf %d is no entry: %w", errDamaged, index, err)
		}
		entries[i] = entry.Logged{Index: index, Leaf: leaf, Entry: e}
	}
	return entries, nil
}

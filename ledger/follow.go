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

	"github.com/Haserjian/assay-ledger/pack"
)

// follower feeds the index from the integrated tree, in order. The index thus knows
// entries before they are published, and that is what deduplication needs.
type follower struct {
	store   *store
	index   Index
	log     *slog.Logger
	freeze  func(error)
	indexed func([]pack.Logged) // told after each batch that the index holds durably

	grown   chan struct{} // capacity 1
	done    chan struct{}
	trouble atomic.Pointer[error]

	mu   sync.Mutex // one catchUp at a time
	size int64      // the index's
}

const (
	followBatch = 4 * tileWidth // entries in one transaction
	followRetry = time.Second
)

// newFollower checks that the index can belong to the log as it is integrated.
func newFollower(ctx context.Context, s *store, x Index, now tree, log *slog.Logger) (*follower, error) {
	size, err := x.Size(ctx)
	if err != nil {
		return nil, err
	}
	const remedy = "delete index.db, it is derived again from the log"
	if size > now.Size {
		return nil, fmt.Errorf("the index holds %d entries, the log only %d: it is the index of another past; %s", size, now.Size, remedy)
	}
	if size > 0 {
		// Each row was once derived from a leaf. If the last one still is, then so, as
		// far as a cache goes, are the others; a hit is compared with its leaf anyway.
		last, err := readEntry(s, now.Size, size-1)
		if err != nil {
			return nil, err
		}
		if index, ok, err := x.Find(ctx, last.Entry.ManifestSHA256); err != nil {
			return nil, err
		} else if !ok || index != size-1 {
			return nil, fmt.Errorf("the index does not know entry %d of the log: it is the index of another past; %s", size-1, remedy)
		}
	}
	return &follower{store: s, index: x, log: log, size: size, grown: make(chan struct{}, 1), done: make(chan struct{})}, nil
}

// notify says that the tree may have grown. It never blocks.
func (f *follower) notify() {
	select {
	case f.grown <- struct{}{}:
	default:
	}
}

// run ends with ctx.
func (f *follower) run(ctx context.Context) {
	defer close(f.done)
	defer func() {
		if r := recover(); r != nil {
			f.freeze(fmt.Errorf("indexing panicked: %v\n%s", r, debug.Stack()))
		}
	}()
	timer := time.NewTimer(forever)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.grown:
		case <-timer.C:
		}
		wait := forever
		switch err := f.catchUp(ctx); {
		case err == nil:
			f.trouble.Store(nil)
		case ctx.Err() != nil:
			return
		case errors.Is(err, errDamaged):
			f.freeze(err)
			return
		default:
			if f.trouble.Swap(&err) == nil {
				f.log.Error("the index does not follow the log", "err", err)
			}
			wait = followRetry
		}
		timer.Reset(wait)
	}
}

// catchUp brings the index to the size that the tree has when it is called. An
// entry of the log that is no entry is errDamaged: nothing but this package writes them.
func (f *follower) catchUp(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := f.store.treeState()
	if err != nil {
		return err
	}
	for f.size < now.Size {
		if err := ctx.Err(); err != nil {
			return err
		}
		var batch []pack.Logged
		for start := f.size; start < min(now.Size, f.size+followBatch); {
			end := min(now.Size, (start/tileWidth+1)*tileWidth)
			entries, err := readEntries(f.store, now.Size, start, end)
			if err != nil {
				return err
			}
			batch, start = append(batch, entries...), end
		}
		if err := f.index.Append(ctx, f.size, batch); err != nil {
			return err
		}
		f.size += int64(len(batch))
		if f.indexed != nil {
			f.indexed(batch)
		}
	}
	return nil
}

// readEntry reads one entry of the tree of the size.
func readEntry(s *store, size, index int64) (pack.Logged, error) {
	entries, err := readEntries(s, size, index, index+1)
	if err != nil {
		return pack.Logged{}, err
	}
	return entries[0], nil
}

// readEntries reads entries of one bundle, compared with their leaf hashes.
func readEntries(s *store, size, start, end int64) ([]pack.Logged, error) {
	leaves, err := s.leaves(size, start, end)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	entries := make([]pack.Logged, len(leaves))
	for i, leaf := range leaves {
		index := start + int64(i)
		e, err := pack.ParseEntry(leaf)
		if err != nil {
			return nil, fmt.Errorf("%w: leaf %d is no entry: %w", errDamaged, index, err)
		}
		entries[i] = pack.Logged{Index: index, Leaf: leaf, Entry: e}
	}
	return entries, nil
}

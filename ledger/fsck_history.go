package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// FsckHistory reads every published checkpoint that a ledger keeps: each is a note of this log, none is of a smaller tree
// than the one before, the log continues them all, and the published one is among them. It reports each damage and goes
// on. A ledger that has never kept one has no history, and that is no damage.
//
// Like Fsck it needs no key, changes nothing, and may run beside an open log.
func FsckHistory(ctx context.Context, dir, guardDir, checkpointsDir string, report func(Damage)) (count int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("checking the history of checkpoints: %w", err)
		}
	}()
	root, err := os.OpenRoot(checkpointsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	defer root.Close()
	c := &historyCheck{root: root, report: report}
	if err := c.readGuard(guardDir); err != nil {
		return 0, err
	}
	if c.store, err = openStore(dir); err != nil {
		return 0, err
	}
	defer c.store.close()
	if c.now, err = c.store.treeState(); err != nil {
		return 0, err
	}
	return c.all(ctx)
}

type historyCheck struct {
	root      *os.Root
	store     *store
	now       tree
	keys      *trust.Policy
	published *trust.Checkpoint // nil: nothing is
	last      tree              // of the last good note
	shown     bool              // the published one was met
	report    func(Damage)
}

// readGuard finds out whose log it is and what is published. The guard goes first: what is published meanwhile is kept
// by then.
func (c *historyCheck) readGuard(dir string) error {
	id, err := readSmall(dir, identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return noGuard(dir)
	} else if err != nil {
		return fmt.Errorf("reading the guard: %w", err)
	}
	if c.keys, err = keyOnly(guardedKey(id)); err != nil {
		return fmt.Errorf("reading the guard: %w", err)
	}
	note, err := readSmall(dir, checkpointFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err == nil {
		c.published, err = c.keys.OpenLogSignature(note)
	}
	if err != nil {
		return fmt.Errorf("reading the guard: %w", err)
	}
	return nil
}

func (c *historyCheck) all(ctx context.Context) (count int64, err error) {
	segments, _, err := listSegments(c.root)
	if err != nil || len(segments) == 0 {
		return 0, err
	}
	newest := segments[len(segments)-1]
	for n := range newest + 1 {
		if err := ctx.Err(); err != nil {
			return count, err
		}
		notes, problem := readSegment(c.root, n, n == newest)
		count = n * tiles.Width
		good, _ := lastGood(c.keys, notes)
		mayEnd := func() bool { return n == newest && good >= 0 && c.beyondPublished() } // in what a crash left
		for i, note := range notes {
			if i > good && mayEnd() {
				break
			}
			if err := c.note(note); err != nil {
				c.damaged(n, count, count+1, fmt.Errorf("note %d: %w", i, err))
			}
			count++
		}
		if problem == nil && good < 0 {
			problem = errors.New("none of its notes is one of this log")
		}
		if problem != nil && !mayEnd() {
			c.damaged(n, count, max(count+1, (n+1)*tiles.Width), problem)
		}
	}
	c.end(newest, count)
	return count, nil
}

// end: the published checkpoint was kept before it was published.
func (c *historyCheck) end(newest, count int64) {
	if c.published != nil && !c.shown {
		c.damaged(newest, count, count+1, fmt.Errorf("it ends at a tree of size %d, and does not hold the published one of size %d", c.last.Size, c.published.Size))
	}
}

// beyondPublished: the published checkpoint has been passed, and what is not whole behind it was never shown.
func (c *historyCheck) beyondPublished() bool {
	return c.published != nil && c.last.Size >= c.published.Size
}

func (c *historyCheck) damaged(n, start, end int64, err error) {
	c.report(Damage{tiles.CheckpointPath(n, tiles.Width), start, end, err})
}

// note checks that a note is of this log, continues the last one, and is continued by the log.
func (c *historyCheck) note(note []byte) error {
	next, err := follows(c.keys, c.last, note)
	if err != nil {
		return err
	}
	if next.Size > c.now.Size {
		now, err := c.store.treeState() // it may have grown meanwhile
		if err != nil {
			return err
		}
		if c.now = now; next.Size > now.Size {
			return fmt.Errorf("its tree has size %d, the log %d: it was rolled back", next.Size, now.Size)
		}
	}
	proof, err := c.store.consistency(next.Size, c.now.Size)
	if err != nil {
		return missing(err)
	}
	if err := trust.CheckConsistency(next.Size, next.Root, c.now.Size, c.now.Root, proof); err != nil {
		return fmt.Errorf("the log does not continue its tree of %v: %w", next, err)
	}
	c.last = next
	c.shown = c.shown || c.published != nil && next == treeOf(c.published)
	return nil
}

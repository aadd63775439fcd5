package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// ErrDamaged: what lies in a ledger's directories contradicts itself, or is not of its form. No retry mends it.
var ErrDamaged = errDamaged

// Files reads what a ledger has published from its directories, whether a process has them open or not: it takes no lock
// and writes nothing. What it returns are bytes as they lie there. Nobody has to believe them: tiles and entries are
// proved to the checkpoint, and every checkpoint is signed.
//
// What is missing is an fs.ErrNotExist; every other error says that it could not be looked at, or is not of its form.
type Files struct {
	Dir            string // Tessera's storage, as in Config
	GuardDir       string
	CheckpointsDir string
	LedgerPolicy   *trust.Policy    // the ledger's own
	TSARoots       *timestamp.Roots // nil: none
}

// Policy is the text of the ledger's own policy.
func (f *Files) Policy(ctx context.Context) ([]byte, error) {
	return f.LedgerPolicy.Text(), ctx.Err()
}

// Roots are the roots of the ledger's timestamps in PEM.
func (f *Files) Roots(ctx context.Context) ([]byte, error) {
	if text := f.TSARoots.PEM(); len(text) > 0 {
		return text, ctx.Err()
	}
	return nil, fmt.Errorf("roots of timestamps: the ledger has none: %w", fs.ErrNotExist)
}

// Checkpoint is the note that the guard has published last. It is opened under the ledger's own policy.
func (f *Files) Checkpoint(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	note, err := readSmall(f.GuardDir, checkpointFile)
	if err != nil {
		return nil, fmt.Errorf("reading the published checkpoint: %w", err)
	}
	cp, err := f.LedgerPolicy.OpenCheckpoint(note)
	if err != nil {
		return nil, fmt.Errorf("the published checkpoint in %s: %w", f.GuardDir, err)
	}
	return cp.Signed, nil
}

// Tile returns the bytes at a tlog-tiles path. A partial tile or bundle that has been collected is the beginning of the
// full one. Tiles beyond the published tree lie in the same directory: a caller asks for those of its checkpoint.
func (f *Files) Tile(ctx context.Context, path string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, ok := tiles.ParsePath(path)
	if !ok {
		return nil, fmt.Errorf("%s: no path of a tile: %w", path, fs.ErrNotExist)
	}
	s, err := openStore(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	defer s.close()
	data, err := s.data(t)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, nil
}

// Checkpoints yields the published checkpoints from number start on, in the order of their publication, each a signed note
// with the cosignatures that it was published with. It ends at the one that is published now. After an error it
// ends. A history without that one is an ErrDamaged, unless none was ever kept; one that has no number start, and is not
// just as long, is an fs.ErrNotExist.
func (f *Files) Checkpoints(ctx context.Context, start int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := f.checkpoints(ctx, max(start, 0), func(note []byte) bool { return yield(note, nil) }); err != nil {
			yield(nil, fmt.Errorf("reading the history of checkpoints: %w", err))
		}
	}
}

func (f *Files) checkpoints(ctx context.Context, start int64, yield func([]byte) bool) error {
	// The guard first: what is published meanwhile is not looked for.
	text, err := readSmall(f.GuardDir, checkpointFile)
	if err != nil {
		return err
	}
	published, err := f.LedgerPolicy.OpenLogSignature(text)
	if err != nil {
		return fmt.Errorf("the published checkpoint: %w", err)
	}
	root, err := os.OpenRoot(f.CheckpointsDir)
	if err != nil {
		return err
	}
	defer root.Close()
	segments, _, err := listSegments(root)
	if err != nil || len(segments) == 0 {
		return errors.Join(err, endedBefore(start, 0))
	}
	newest := segments[len(segments)-1]
	at := min(max(start-1, 0)/tiles.Width, newest) * tiles.Width // of the next note; the one before start is read too
	var reached tree                                             // of the last one
	for n := at / tiles.Width; n <= newest; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		notes, damage := readSegment(root, n, n == newest)
		for _, note := range notes {
			cp, _, err := trust.CutCheckpoint(note)
			if err != nil {
				damage = err
				break
			}
			if cp.Size > published.Size { // it is kept, and waits for the guard
				return endsAt(reached, treeOf(published), start, at)
			}
			reached = treeOf(cp)
			if at++; at > start && !yield(note) {
				return nil
			}
		}
		// Behind the published one lies what a crash left, if anything.
		if damage != nil && (n < newest || reached.Size < published.Size) {
			if _, unread := errors.AsType[*fs.PathError](damage); !unread {
				damage = fmt.Errorf("%w: %w", errDamaged, damage)
			}
			return fmt.Errorf("checkpoint %d, in %s: %w", at, tiles.CheckpointPath(n, tiles.Width), damage)
		}
	}
	return endsAt(reached, treeOf(published), start, at)
}

// endsAt is the error of a history that was read for what is from start on, and ends with count notes, of which the last one
// is of the tree reached; none that was read was published if that is no tree. The published checkpoint was kept before
// it was published, so it is the last one, wherever a crash came.
func endsAt(reached, published tree, start, count int64) error {
	switch {
	case reached == tree{} && start > 0:
		return fmt.Errorf("those from %d on are wanted, and fewer are published: %w", start, fs.ErrNotExist)
	case reached != published:
		return fmt.Errorf("%w: it ends at checkpoint %d of size %d, and the published one of size %d is not in it: either its newest files are lost, or an earlier release has published meanwhile, and the next start keeps what it published",
			errDamaged, count-1, reached.Size, published.Size)
	}
	return endedBefore(start, count)
}

// endedBefore is the error of a history that has only size checkpoints.
func endedBefore(start, size int64) error {
	if start > size {
		return fmt.Errorf("it has %d checkpoints, and those from %d on are wanted: %w", size, start, fs.ErrNotExist)
	}
	return nil
}

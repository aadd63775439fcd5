package site

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// Fsck reads every entry and every tile of a log, wherever it is, and reports what is not as the checkpoint has it; it
// returns the checkpoint that it has looked at. The error is for what could not be looked at: no bundle can be judged
// without those before it. A nil policy is the log's own word.
func Fsck(ctx context.Context, log Source, policy *trust.Policy, report func(Finding)) (*trust.Checkpoint, error) {
	b := &build{Config: Config{Log: log, Policy: policy}}
	if err := b.ask(ctx); err != nil {
		return nil, err
	}
	if b.cp == nil {
		return nil, fmt.Errorf("the log has published nothing: %w", ErrMissing)
	}
	compare := func(t tlog.Tile, want []byte) error {
		got, err := readTile(ctx, log, t)
		switch {
		case isMissing(err):
			report(Finding{tiles.Path(t), "is missing"})
		case err != nil:
			return err
		case !bytes.Equal(got, want):
			report(Finding{tiles.Path(t), "is not the tile of the entries below it: " + difference(got, want)})
		}
		return nil
	}
	tree := &growing{full: compare}
	for n := int64(0); n*tiles.Width < b.cp.Size; n++ {
		t := tiles.Widest(-1, n, b.cp.Size)
		data, err := readTile(ctx, log, t)
		if isMissing(err) {
			return b.cp, fmt.Errorf("%w: %w", ErrMissing, err)
		} else if err != nil {
			return b.cp, err
		}
		leaves, err := tiles.ParseBundle(data, t.W)
		if err != nil {
			report(Finding{tiles.Path(t), err.Error()})
			return b.cp, nil
		}
		for _, leaf := range leaves {
			if err := tree.add(tlog.RecordHash(leaf)); err != nil {
				return b.cp, err
			}
		}
	}
	for level, data := range tree.edge {
		if len(data) > 0 {
			if err := compare(tiles.Widest(level, tiles.Count(level, b.cp.Size)/tiles.Width, b.cp.Size), data); err != nil {
				return b.cp, err
			}
		}
	}
	if tree.root() != b.cp.Root {
		report(Finding{"checkpoint", fmt.Sprintf("its root is %s, and its %d entries hash to %s", b.cp.Root, b.cp.Size, tree.root())})
	}
	return b.cp, nil
}

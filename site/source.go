package site

import (
	"context"
	"iter"

	"github.com/Haserjian/assay-ledger/trust"
)

// Source is a log to build a site from: the directory of a ledger, a ledger at a URL, or another site of it. Nothing
// it gives is believed before it is verified. What it does not have is fs.ErrNotExist.
type Source interface {
	// Policy is the ledger's own word about whom to believe. It is published as it is, and a build
	// believes it unless it was given another one.
	Policy(ctx context.Context) (*trust.Policy, error)

	// Roots are certificates in PEM that timestamps chain to; nil if the ledger names none.
	Roots(ctx context.Context) ([]byte, error)

	// Checkpoint is the published note, with its cosignatures.
	Checkpoint(ctx context.Context) ([]byte, error)

	// Tile is the bytes at a path of tlog-tiles, "tile/entries/000.p/3".
	Tile(ctx context.Context, path string) ([]byte, error)

	// Checkpoints yields the published notes in their order, from number start on, 0 being the first that was kept. They
	// are at hand as they were published: sizes never fall, and a note may come again with more
	// cosignatures. It is read after Checkpoint, and may be ahead of it: what is, is left for the next build.
	Checkpoints(ctx context.Context, start int64) iter.Seq2[[]byte, error]
}

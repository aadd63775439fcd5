package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"strings"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// Files reads the files of a log at a URL as they are: of a ledger, or of any copy that has the same paths, such as its
// static site. Nothing is verified here, and no policy is needed: tiles and entries are proved to the checkpoint, and
// every checkpoint is signed.
//
// What is missing is an fs.ErrNotExist; no answer, and one that nobody could have meant, is ErrUnavailable.
type Files struct {
	Client *Client // its policy is not asked
}

const (
	maxPolicy = trust.MaxSize
	maxRoots  = 4 << 20
	maxCount  = 32
)

// Read is the file at a path below the URL, of at most limit bytes.
func (f Files) Read(ctx context.Context, path string, limit int64) ([]byte, error) {
	stranger := *f.Client
	stranger.Policy = new(trust.Policy) // which believes nobody
	a, err := stranger.do(ctx, request{method: http.MethodGet, path: path, limit: limit, page: strings.HasSuffix(path, ".html")})
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", path, missing(err))
	}
	return a.body, nil
}

// missing makes a 404 an fs.ErrNotExist too.
func missing(err error) error {
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// Policy is the text of the ledger's own policy: its own word about whom to believe.
func (f Files) Policy(ctx context.Context) ([]byte, error) { return f.Read(ctx, "policy", maxPolicy) }

// Roots are the roots of the ledger's timestamps in PEM, its own word too.
func (f Files) Roots(ctx context.Context) ([]byte, error) {
	return f.Read(ctx, "tsa-roots.pem", maxRoots)
}

// Checkpoint is the note that is published now.
func (f Files) Checkpoint(ctx context.Context) ([]byte, error) {
	return f.Read(ctx, "checkpoint", maxCheckpoint)
}

// Tile returns the bytes at a tlog-tiles path, so many as the path says. If a partial one is gone they are the beginning of
// the full one.
func (f Files) Tile(ctx context.Context, path string) ([]byte, error) {
	t, ok := tiles.ParsePath(path)
	if !ok {
		return nil, fmt.Errorf("%s: no path of a tile: %w", path, fs.ErrNotExist)
	}
	width := t.W
	data, err := f.Read(ctx, path, tiles.Limit(t))
	if errors.Is(err, fs.ErrNotExist) && width < tiles.Width {
		t.W = tiles.Width
		data, err = f.Read(ctx, tiles.Path(t), tiles.Limit(t))
	}
	if err != nil {
		return nil, err
	}
	if data, err = tiles.Prefix(data, t, width); err != nil {
		return nil, fmt.Errorf("%w: %s %w", ErrUnavailable, tiles.Path(t), err)
	}
	return data, nil
}

// Checkpoints yields the published checkpoints from number start on, in the order of their publication, each a signed note
// with the cosignatures that it was published with. After an error it ends; a history that has no number start, and is
// not just as long, is an fs.ErrNotExist.
func (f Files) Checkpoints(ctx context.Context, start int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		count, err := f.checkpointCount(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		tiles.Checkpoints(start, count, func(n int64, width int) ([][]byte, error) { return f.checkpointBundle(ctx, n, width) })(yield)
	}
}

func (f Files) checkpointCount(ctx context.Context) (int64, error) {
	text, err := f.Read(ctx, tiles.CheckpointCount, maxCount)
	if err != nil {
		return 0, err
	}
	line, ok := strings.CutSuffix(string(text), "\n")
	count, err := trust.ParseDecimal(line)
	if err != nil || !ok {
		return 0, fmt.Errorf("fetching %s: %w", tiles.CheckpointCount, notOfALedger(text, "number of checkpoints"))
	}
	return count, nil
}

// checkpointBundle fetches the first notes of a bundle. Where more have been published meanwhile a narrower one may be
// gone: then it is in a wider one, which the count names.
func (f Files) checkpointBundle(ctx context.Context, n int64, width int) ([][]byte, error) {
	path := tiles.CheckpointPath(n, width)
	data, err := f.Read(ctx, path, tiles.MaxBundle)
	for now, tries := width, 0; errors.Is(err, fs.ErrNotExist) && now < tiles.Width && tries < 3; tries++ {
		count, countErr := f.checkpointCount(ctx)
		if countErr != nil {
			return nil, countErr
		}
		wider := int(min(count-n*tiles.Width, tiles.Width))
		if wider <= now {
			break
		}
		now, path = wider, tiles.CheckpointPath(n, wider)
		data, err = f.Read(ctx, path, tiles.MaxBundle)
	}
	if err != nil {
		return nil, err
	}
	notes, _, err := tiles.SplitBundle(data, width)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %w", ErrUnavailable, path, err)
	}
	return notes, nil
}

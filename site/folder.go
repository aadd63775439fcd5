package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// Folder is a site on this machine: a Source, and what Check checks. Links that lead out of it are not followed.
type Folder struct{ root *os.Root }

// OpenFolder opens a site. It is the caller's to close.
func OpenFolder(dir string) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Folder{root}, nil
}

// Close ends the use of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Read is the file at a path of the site, of at most limit bytes. What is no regular file is missing.
func (f *Folder) Read(ctx context.Context, path string, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := durable.ReadIn(f.root, path, limit)
	if _, other := errors.AsType[*durable.NotRegular](err); other {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return data, err
}

// Policy is the file policy.
func (f *Folder) Policy(ctx context.Context) ([]byte, error) { return f.Read(ctx, "policy", maxPolicy) }

// Roots is the file tsa-roots.pem.
func (f *Folder) Roots(ctx context.Context) ([]byte, error) {
	return f.Read(ctx, "tsa-roots.pem", maxRoots)
}

// Checkpoint is the file checkpoint.
func (f *Folder) Checkpoint(ctx context.Context) ([]byte, error) {
	return f.Read(ctx, "checkpoint", trust.MaxSize)
}

// Tile is the file of a tile or bundle.
func (f *Folder) Tile(ctx context.Context, path string) ([]byte, error) {
	t, ok := tiles.ParsePath(path)
	if !ok {
		return nil, fmt.Errorf("%s: no path of a tile: %w", path, fs.ErrNotExist)
	}
	return f.Read(ctx, path, tiles.Limit(t))
}

// Checkpoints reads the history. One that has no number start, and is not just as long, is fs.ErrNotExist.
func (f *Folder) Checkpoints(ctx context.Context, start int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		read := func(path string) ([]byte, error) { return f.Read(ctx, path, tiles.MaxBundle) }
		count, err := readCount(read)
		if err != nil {
			yield(nil, err)
			return
		}
		tiles.Checkpoints(start, count, func(n int64, width int) ([][]byte, error) { return readBundle(read, n, width) })(yield)
	}
}

// names gives all files of the folder, but for what an interrupted build has left there; and, with an error, what it cannot
// look into.
func (f *Folder) names(each func(name string, err error) error) error {
	return fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return cmp.Or(each(name, err), fs.SkipDir)
		case d.IsDir() && name == workDir:
			return fs.SkipDir
		case d.IsDir():
			return nil
		default:
			return each(name, nil)
		}
	})
}

const (
	maxPolicy = trust.MaxSize
	maxRoots  = 4 << 20
)
